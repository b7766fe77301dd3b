"""What a layout is: how it is recognised and how it is read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from raylab2f.datasets.entries import Found, LayoutOptions

__all__ = ["GENERAL_SHAPE", "MANIFEST", "NAMED_BY_USER", "OWN_SHAPE", "Layout"]

# Ranks: what the user said goes before what is found, and a shape told by names of its own before the general one that
# it is a special case of.
NAMED_BY_USER, MANIFEST, OWN_SHAPE, GENERAL_SHAPE = range(4)


@dataclass(frozen=True)
class Layout:
    """A reader.

    Attributes:
        looked_for: what the layout is recognised by, in words.
        recognises: whether a path (with what the user said about it) has this layout.
        read: its pictures; raises `UserError` if the path does not have this layout.
        options: names of the `LayoutOptions` that mean something here.
        rank: `OWN_SHAPE`, or `GENERAL_SHAPE` for one that special cases should go before; with `auto`, lower ones are
            tried first, and of one rank only one may recognise a path.
    """

    looked_for: str
    recognises: Callable[[Path, LayoutOptions], bool]
    read: Callable[[Path, LayoutOptions], Found]
    options: tuple[str, ...] = ()
    rank: int = OWN_SHAPE
