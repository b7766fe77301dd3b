"""Readers of the folder layouts that datasets are published in; one module per layout."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from raylab2f.datasets.accounting import account_for
from raylab2f.datasets.discovery import list_pictures
from raylab2f.datasets.entries import Found, LayoutOptions
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
from raylab2f.errors import UserError

__all__ = ["LAYOUTS", "Layout", "read_layout"]


# What the user said goes before what is found, and a shape told by names of its own before the general one that it is a
# special case of.
_NAMED_BY_USER, _MANIFEST, _OWN_SHAPE, _GENERAL_SHAPE = range(4)


@dataclass(frozen=True)
class Layout:
    """A reader.

    Attributes:
        looked_for: what the layout is recognised by, in words.
        recognises: whether a path (with what the user said about it) has this layout.
        read: its pictures; raises `UserError` if the path does not have this layout.
        options: names of the `LayoutOptions` that mean something here.
        rank: with `auto`, lower ones are tried first; of one rank, only one may recognise a path.
    """

    looked_for: str
    recognises: Callable[[Path, LayoutOptions], bool]
    read: Callable[[Path, LayoutOptions], Found]
    options: tuple[str, ...] = ()
    rank: int = _OWN_SHAPE


LAYOUTS = {
    "folder": Layout(folder.LOOKED_FOR, folder.recognises, folder.read, ("nominal", "anomalous"), _NAMED_BY_USER),
    "manifest": Layout(table.LOOKED_FOR, table.recognises, table.read, rank=_MANIFEST),
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
    "mvtec": Layout(mvtec.LOOKED_FOR, mvtec.recognises, mvtec.read, ("category",), _GENERAL_SHAPE),
}


def read_layout(root: Path, layout: str, options: LayoutOptions) -> Found:
    """All pictures of a dataset, none of them read, with every picture file below the root accounted for.

    Arguments:
        root: absolute path of a folder, or of a manifest.
        layout: a key of `LAYOUTS`, or `auto`: the one that recognises the path.

    Raises:
        UserError: no layout fits, several do, the asked one does not, it holds no pictures, or an option does not
            belong to it.
    """
    if layout != "auto" and layout not in LAYOUTS:
        raise UserError(f"--layout {layout}: no such layout is known; choose auto, {', '.join(LAYOUTS)}.")
    if root.is_dir() and next(root.iterdir(), None) is None:
        raise UserError(f"{root}: the folder is empty.")
    name = _recognise(root, options) if layout == "auto" else layout
    for option in ("category", "nominal", "anomalous"):
        if getattr(options, option) and option not in LAYOUTS[name].options:
            raise UserError(f"--{option} does not belong to layout {name}, which {root} is read in; leave it out.")
    found = LAYOUTS[name].read(root, options)
    if not found.recorded:
        found = account_for(root, name, found, one_category=options.category is not None)
    if not found.entries and not found.strays:
        raise UserError(f"{root}: there are no pictures in this folder of layout {name}.")
    return found


def _recognise(root: Path, options: LayoutOptions) -> str:
    for rank in sorted({layout.rank for layout in LAYOUTS.values()}):
        fitting = [name for name, layout in LAYOUTS.items() if layout.rank == rank and layout.recognises(root, options)]
        if len(fitting) > 1:
            raise UserError(
                f"{root} holds data sets of several layouts ({', '.join(fitting)}); name the folder of one, or choose "
                "with --layout."
            )
        if fitting:
            return fitting[0]
    if root.is_dir() and not list_pictures(root, recursive=True):
        raise UserError(f"{root}: there are no pictures in this folder.")
    looked_for = "; ".join(layout.looked_for for layout in LAYOUTS.values())
    raise UserError(f"{root}: no known layout recognised; looked for {looked_for}.")
