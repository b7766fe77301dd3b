"""Layout `kolektorsdd2`: that of KolektorSDD2.

    {train,test}/<NNNNN>.png
    {train,test}/<NNNNN>_GT.png         its defect mask, black where there is no defect
    train/10301 (copy).png, train/10301_GT (copy).png       came along by mistake: left out

A picture is defective if anything is marked in its mask, so its label is decided when the files are read. Nothing in
the names says which pictures show the same part.

Reference: Božič, Tabernik, Skočaj: "Mixed supervision for surface-defect detection: from weakly to fully supervised
learning" (Computers in Industry 129, 2021).
"""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

from raylab2f.datasets.discovery import list_pictures
from raylab2f.datasets.entries import Entry, Found, LayoutOptions
from raylab2f.datasets.layouts.beside import holds_masks, judged_by_masks
from raylab2f.datasets.layouts.categories import child, find, only

__all__ = ["LOOKED_FOR", "read", "recognises"]

LOOKED_FOR = "kolektorsdd2 (train/<NNNNN>.png with train/<NNNNN>_GT.png)"

_SPLITS = ("train", "test")
_MASK_SUFFIX = "_GT"
_COPY = re.compile(r"(?P<original>.+) \(copy\)", re.IGNORECASE)


def recognises(root: Path, options: LayoutOptions) -> bool:
    """Whether `root`, or a folder below it, holds pictures beside their masks."""
    return bool(find(root, _fits))


def read(root: Path, options: LayoutOptions) -> Found:
    """Pictures of both splits, their labels left to their masks.

    Raises:
        UserError: there are no such folders, or those of several copies.
    """
    base = only(root, find(root, _fits), LOOKED_FOR)
    entries, strays, left_out = [], [], []
    for split in _SPLITS:
        folder = child(base, split)
        found, odd = judged_by_masks(base, folder, _MASK_SUFFIX, partial(_entry, base, split), _is_copy)
        entries += found
        strays += odd
        copies = [path for path in list_pictures(folder) if _is_copy(path)]
        left_out += [(path.relative_to(base).as_posix(), "a copy of the picture beside it") for path in copies]
    return Found(base.name, tuple(entries), tuple(strays), left_out=tuple(left_out))


def _entry(base: Path, split: str, path: Path) -> Entry:
    return Entry(
        image_id=path.relative_to(base).as_posix(),
        path=str(path),
        label=None,
        defect_type="",
        given_split=split,
    )


def _is_copy(path: Path) -> bool:
    match = _COPY.fullmatch(path.stem)
    return match is not None and path.with_stem(match["original"]).exists()


def _fits(folder: Path) -> bool:
    return any(holds_masks(child(folder, split), _MASK_SUFFIX) for split in _SPLITS)
