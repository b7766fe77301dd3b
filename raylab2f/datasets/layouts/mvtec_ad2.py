"""Layout `mvtec_ad2`: that of MVTec AD 2, where the same part is shown under several lights.

    <category>/train/good/<NNN>_<light>.png, <category>/validation/good/<NNN>_<light>.png
    <category>/test_public/{good,bad}/<NNN>_<light>.png
    <category>/test_public/ground_truth/bad/<NNN>_<light>_mask.png
    <category>/test_private, <category>/test_private_mixed      no labels are published: left out

The light (regular, overexposed, underexposed, shift_1, ...) is the condition. Pictures of one folder with the same
number show the same part, so the object is `<folder>/<NNN>`; numbers start anew in each folder. Validation pictures are
given as training pictures.

Reference: Heckler-Kram, Neudeck, Scheler, König, Steger: "The MVTec AD 2 dataset: advanced scenarios for unsupervised
anomaly detection" (2025, arXiv:2503.21622).
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path, PurePosixPath

from raylab2f.datasets.discovery import is_folder, list_folders
from raylab2f.datasets.entries import NOMINAL, Entry, Found, LayoutOptions
from raylab2f.datasets.layouts.categories import child, choose, find
from raylab2f.datasets.layouts.kinds import Pictures

__all__ = ["LOOKED_FOR", "read", "recognises"]

LOOKED_FOR = "mvtec_ad2 (train/good and test_public/bad)"

_MASKS = "ground_truth"
_PRIVATE = ("test_private", "test_private_mixed")
_NAME = re.compile(r"(?P<number>\d+)_(?P<light>.+)")


def recognises(root: Path, options: LayoutOptions) -> bool:
    """Whether `root` is a category or holds some."""
    return bool(find(root, _fits))


def read(root: Path, options: LayoutOptions) -> Found:
    """Pictures of one category; image ids start at its folder.

    Raises:
        UserError: there is no category, no such category as asked for, or several and none was asked for.
    """
    category = choose(root, find(root, _fits), options.category, LOOKED_FOR)
    pictures = Pictures(category)
    for split in ("train", "validation"):
        pictures.add(child(child(category, split), NOMINAL), "train")
    public = child(category, "test_public")
    masks = child(public, _MASKS)
    for kind in list_folders(public):
        if kind != masks:
            pictures.add(kind, "test", kind.name, child(masks, kind.name))
    for private in _PRIVATE:
        pictures.leave_out(child(category, private), "no labels are published")
    pictures.entries = [_lit(entry) for entry in pictures.entries]
    return pictures.found()


def _fits(folder: Path) -> bool:
    return is_folder(child(folder, "test_public")) and is_folder(child(child(folder, "train"), NOMINAL))


def _lit(entry: Entry) -> Entry:
    """The entry with its object and, where its name tells it, its light."""
    place = PurePosixPath(entry.image_id)
    match = _NAME.fullmatch(place.stem)
    if match is None:
        return replace(entry, object_id=str(place.with_suffix("")))
    return replace(entry, object_id=str(place.parent / match["number"]), condition=match["light"].lower())
