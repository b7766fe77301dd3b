"""Layout `btad`: that of the beanTech Anomaly Detection data set.

    <category>/train/ok/<NNNN>.bmp          or .png; categories are 01, 02, 03
    <category>/test/{ok,ko}/<NNNN>.bmp
    <category>/ground_truth/ko/<NNNN>.png   where the defect is

Nothing in the names says which pictures show the same part. The rest of the rules is that of the layout `mvtec`.

Reference: Mishra, Verk, Fornasier, Piciarelli, Foresti: "VT-ADL: a vision transformer network for image anomaly
detection and localization" (ISIE 2021).
"""

from __future__ import annotations

from pathlib import Path

from raylab2f.datasets.discovery import is_folder
from raylab2f.datasets.entries import NOMINAL, Found, LayoutOptions
from raylab2f.datasets.layouts.categories import child, choose, find
from raylab2f.datasets.layouts.mvtec import read_category

__all__ = ["LOOKED_FOR", "read", "recognises"]

LOOKED_FOR = "btad (train/ok and test/ko)"

_GOOD = "ok"
_BAD = "ko"


def recognises(root: Path, options: LayoutOptions) -> bool:
    """Whether `root` is a category or holds some."""
    return bool(find(root, _fits))


def read(root: Path, options: LayoutOptions) -> Found:
    """Pictures of one category; image ids start at its folder.

    Raises:
        UserError: there is no category, no such category as asked for, or several and none was asked for.
    """
    category = choose(root, find(root, _fits), options.category, LOOKED_FOR)
    return read_category(root, category, (NOMINAL, _GOOD))


def _fits(folder: Path) -> bool:
    return is_folder(child(child(folder, "train"), _GOOD)) and is_folder(child(child(folder, "test"), _BAD))
