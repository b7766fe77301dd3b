"""Readers of the folder layouts that datasets are published in; one module per layout. Packages may add others."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from raylab2f import plugins
from raylab2f.datasets.accounting import account_for
from raylab2f.datasets.discovery import is_folder, search
from raylab2f.datasets.entries import Found, LayoutOptions, first_few
from raylab2f.datasets.layouts import (
    btad,
    dagm,
    folder,
    kolektorsdd,
    kolektorsdd2,
    mtd,
    mvtec,
    mvtec_3d,
    mvtec_ad2,
    mvtec_loco,
    real_iad,
    table,
    visa,
)
from raylab2f.datasets.layouts.added import added_layout, added_layouts
from raylab2f.datasets.layouts.layout import GENERAL_SHAPE, MANIFEST, NAMED_BY_USER, OWN_SHAPE, Layout
from raylab2f.errors import UserError
from raylab2f.files.tables import TABLE_SUFFIXES

__all__ = ["GENERAL_SHAPE", "LAYOUTS", "OWN_SHAPE", "Layout", "layout_names", "read_layout"]

#: raylab2f's own.
LAYOUTS = {
    "folder": Layout(folder.LOOKED_FOR, folder.recognises, folder.read, ("nominal", "anomalous"), NAMED_BY_USER),
    "manifest": Layout(table.LOOKED_FOR, table.recognises, table.read, rank=MANIFEST),
    "mtd": Layout(mtd.LOOKED_FOR, mtd.recognises, mtd.read),
    "kolektorsdd": Layout(kolektorsdd.LOOKED_FOR, kolektorsdd.recognises, kolektorsdd.read),
    "kolektorsdd2": Layout(kolektorsdd2.LOOKED_FOR, kolektorsdd2.recognises, kolektorsdd2.read),
    "dagm": Layout(dagm.LOOKED_FOR, dagm.recognises, dagm.read, ("category",)),
    "visa": Layout(visa.LOOKED_FOR, visa.recognises, visa.read, ("category",)),
    "real_iad": Layout(real_iad.LOOKED_FOR, real_iad.recognises, real_iad.read, ("category",)),
    "mvtec_ad2": Layout(mvtec_ad2.LOOKED_FOR, mvtec_ad2.recognises, mvtec_ad2.read, ("category",)),
    "mvtec_3d": Layout(mvtec_3d.LOOKED_FOR, mvtec_3d.recognises, mvtec_3d.read, ("category",)),
    "mvtec_loco": Layout(mvtec_loco.LOOKED_FOR, mvtec_loco.recognises, mvtec_loco.read, ("category",)),
    "btad": Layout(btad.LOOKED_FOR, btad.recognises, btad.read, ("category",)),
    "mvtec": Layout(mvtec.LOOKED_FOR, mvtec.recognises, mvtec.read, ("category",), GENERAL_SHAPE),
}


_AUTO = "auto"
_OWN_NAMES = (*LAYOUTS, _AUTO)


def layout_names() -> tuple[str, ...]:
    """Of raylab2f's own layouts and those that other packages add."""
    return tuple(dict.fromkeys((*LAYOUTS, *plugins.added_names(plugins.LAYOUTS))))


def read_layout(root: Path, layout: str, options: LayoutOptions) -> Found:
    """All pictures of a dataset, none of them read, with every picture file below the root accounted for.

    Arguments:
        root: absolute path of a folder, or of a manifest.
        layout: one of `layout_names`, or `auto`: the one that recognises the path; those of other packages are asked
            where none of raylab2f's own does.

    Raises:
        UserError: no layout fits, several do, the asked one does not, it holds no pictures, an option does not belong
            to it, or a package adds one that cannot be used.
    """
    asked = None if layout == _AUTO else _named(layout)
    if is_folder(root):
        try:
            first = next(root.iterdir(), None)
        except OSError as error:
            raise UserError(
                f"{root}: the folder cannot be opened ({error.strerror}); give yourself the right to read it."
            ) from error
        if first is None:
            raise UserError(f"{root}: the folder is empty.")
    name, chosen = _recognise(root, options) if asked is None else (layout, asked)
    for option in ("category", "nominal", "anomalous"):
        if getattr(options, option) and option not in chosen.options:
            raise UserError(f"--{option} does not belong to layout {name}, which {root} is read in; leave it out.")
    found = chosen.read(root, options)
    if not found.recorded:
        found = account_for(root, name, found, one_category=options.category is not None)
    if not found.entries and not found.strays:
        raise UserError(f"{root}: there are no pictures in this folder of layout {name}.")
    return found


def _named(name: str) -> Layout:
    found = added_layout(name, _OWN_NAMES) or LAYOUTS.get(name)
    if found is None:
        raise UserError(f"--layout {name}: no such layout is known; choose auto, {', '.join(layout_names())}.")
    return found


def _recognise(root: Path, options: LayoutOptions) -> tuple[str, Layout]:
    found = _first_fitting(root, options, LAYOUTS)
    if found is not None:
        return found
    others = added_layouts(_OWN_NAMES)
    found = _first_fitting(root, options, others)
    if found is not None:
        return found
    if not is_folder(root):
        raise UserError(
            f"{root} is neither a folder nor a manifest; give the folder of the pictures, or a table of them "
            f"({', '.join(TABLE_SUFFIXES)})."
        )
    looked_for = "; ".join(layout.looked_for for layout in (*LAYOUTS.values(), *others.values()))
    raise UserError(f"{root}: {_what_instead(root, looked_for)}.")


def _first_fitting(root: Path, options: LayoutOptions, layouts: Mapping[str, Layout]) -> tuple[str, Layout] | None:
    for rank in sorted({layout.rank for layout in layouts.values()}):
        fitting = [name for name, layout in layouts.items() if layout.rank == rank and layout.recognises(root, options)]
        if len(fitting) > 1:
            raise UserError(
                f"{root} holds data sets of several layouts ({', '.join(fitting)}); name the folder of one, or choose "
                "with --layout."
            )
        if fitting:
            return fitting[0], layouts[fitting[0]]
    return None


def _what_instead(root: Path, looked_for: str) -> str:
    """Why no layout is recognised in a folder, and what to do, to end a sentence with."""
    tree = search(root)
    if not tree.pictures:
        others = tree.unread or [path for path, _ in tree.broken]
        listed = first_few([path.relative_to(root).as_posix() for path in sorted(others)])
        return "there are no pictures in this folder" + (f" that can be read ({listed} cannot)" if others else "")
    holders = sorted({path.relative_to(root).parts[0] for path in tree.pictures if path.parent != root})
    tables = sorted(path.name for path in root.iterdir() if path.suffix.lower() in TABLE_SUFFIXES)
    table_hint = f", or give a manifest itself, if one of {first_few(tables)} is one" if tables else ""
    if not holders:
        return (
            "no known layout recognised, as all pictures lie in the folder itself; put good and defective ones into a "
            f"folder each and name these with --nominal and --anomalous{table_hint}"
        )
    return (
        "no known layout recognised; name the folders of good pictures with --nominal and those of defective ones with "
        f"--anomalous (there is {first_few(holders, 5)}){table_hint}; looked for {looked_for}"
    )
