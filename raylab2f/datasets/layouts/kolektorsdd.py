"""Layout `kolektorsdd`: that of KolektorSDD, where a part is shown from several sides.

    kos<NN>/Part<K>.jpg           side K of commutator NN
    kos<NN>/Part<K>_label.bmp     its defect mask, black where there is no defect

The object is kos<NN>, the view Part<K>. A picture is defective if anything is marked in its mask, so its label and its
split are decided when the files are read; the data set has no split of its own.

Reference: Tabernik, Šela, Skvarč, Skočaj: "Segmentation-based deep-learning approach for surface-defect detection"
(Journal of Intelligent Manufacturing 31, 2020).
"""

from __future__ import annotations

import re
from pathlib import Path

from raylab2f.datasets.discovery import list_folders
from raylab2f.datasets.entries import Entry, Found, LayoutOptions
from raylab2f.datasets.layouts.beside import holds_masks, judged_by_masks
from raylab2f.datasets.layouts.categories import find, only

__all__ = ["LOOKED_FOR", "read", "recognises"]

LOOKED_FOR = "kolektorsdd (kos<NN>/Part<K>.jpg with Part<K>_label.bmp)"

_OBJECT = re.compile(r"kos\d+", re.IGNORECASE)
_MASK_SUFFIX = "_label"


def recognises(root: Path, options: LayoutOptions) -> bool:
    """Whether `root`, or a folder below it, holds the folders of objects."""
    return bool(find(root, _fits))


def read(root: Path, options: LayoutOptions) -> Found:
    """Pictures of all objects, their labels left to their masks.

    Raises:
        UserError: there are no folders of objects, or those of several copies.
    """
    base = only(root, find(root, _fits), LOOKED_FOR)
    entries, strays = [], []
    for folder in _objects(base):
        found, odd = judged_by_masks(base, folder, _MASK_SUFFIX, lambda path: _entry(base, path))
        entries += found
        strays += odd
    return Found(base.name, tuple(entries), tuple(strays))


def _entry(base: Path, path: Path) -> Entry:
    return Entry(
        image_id=path.relative_to(base).as_posix(),
        path=str(path),
        label=None,
        defect_type="",
        given_split="",
        object_id=path.parent.name,
        view=path.stem,
    )


def _fits(folder: Path) -> bool:
    return any(holds_masks(below, _MASK_SUFFIX) for below in _objects(folder))


def _objects(folder: Path) -> list[Path]:
    return [below for below in list_folders(folder) if _OBJECT.fullmatch(below.name)]
