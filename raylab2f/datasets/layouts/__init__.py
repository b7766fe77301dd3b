"""Readers of the folder layouts that datasets are published in; one module per layout."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from raylab2f.datasets.accounting import account_for
from raylab2f.datasets.discovery import list_pictures
from raylab2f.datasets.entries import Found, LayoutOptions
from raylab2f.datasets.layouts import folder, mtd, mvtec, table
from raylab2f.errors import UserError

__all__ = ["LAYOUTS", "Layout", "read_layout"]


@dataclass(frozen=True)
class Layout:
    """A reader.

    Attributes:
        looked_for: what the layout is recognised by, in words.
        recognises: whether a path (with what the user said about it) has this layout.
        read: its pictures; raises `UserError` if the path does not have this layout.
        options: names of the `LayoutOptions` that mean something here.
    """

    looked_for: str
    recognises: Callable[[Path, LayoutOptions], bool]
    read: Callable[[Path, LayoutOptions], Found]
    options: tuple[str, ...] = ()


# In the order in which they are tried: what the user said goes before what is found.
LAYOUTS = {
    "folder": Layout(folder.LOOKED_FOR, folder.recognises, folder.read, ("nominal", "anomalous")),
    "manifest": Layout(table.LOOKED_FOR, table.recognises, table.read),
    "mtd": Layout(mtd.LOOKED_FOR, mtd.recognises, mtd.read),
    "mvtec": Layout(mvtec.LOOKED_FOR, mvtec.recognises, mvtec.read, ("category",)),
}


def read_layout(root: Path, layout: str, options: LayoutOptions) -> Found:
    """All pictures of a dataset, none of them read, with every picture file below the root accounted for.

    Arguments:
        root: absolute path of a folder, or of a manifest.
        layout: a key of `LAYOUTS`, or `auto`: the first one that recognises the path.

    Raises:
        UserError: no layout fits, the asked one does not, it holds no pictures, or an option does not belong to it.
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
    for name, layout in LAYOUTS.items():
        if layout.recognises(root, options):
            return name
    if root.is_dir() and not list_pictures(root, recursive=True):
        raise UserError(f"{root}: there are no pictures in this folder.")
    looked_for = "; ".join(layout.looked_for for layout in LAYOUTS.values())
    raise UserError(f"{root}: no known layout recognised; looked for {looked_for}.")
