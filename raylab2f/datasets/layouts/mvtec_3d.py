"""Layout `mvtec_3d`: that of MVTec 3D-AD, of which the colour pictures are read.

    <category>/{train,validation,test}/<defect type>/rgb/<NNN>.png
    <category>/test/<defect type>/gt/<NNN>.png                             where the defect is
    <category>/{train,validation,test}/<defect type>/xyz/<NNN>.tiff        point clouds: left out

Validation pictures are given as training pictures. Nothing in the names says which pictures show the same part.

Reference: Bergmann, Jin, Sattlegger, Steger: "The MVTec 3D-AD dataset for unsupervised 3D anomaly detection and
localization" (VISAPP 2022).
"""

from __future__ import annotations

from pathlib import Path

from raylab2f.datasets.discovery import is_folder, list_folders
from raylab2f.datasets.entries import NOMINAL, Found, LayoutOptions
from raylab2f.datasets.layouts.categories import child, choose, find
from raylab2f.datasets.layouts.kinds import Pictures

__all__ = ["LOOKED_FOR", "read", "recognises"]

LOOKED_FOR = "mvtec_3d (train/good/rgb and test/<defect type>/rgb)"


def recognises(root: Path, options: LayoutOptions) -> bool:
    """Whether `root` is a category or holds some."""
    return bool(find(root, _fits))


def read(root: Path, options: LayoutOptions) -> Found:
    """Colour pictures of one category; image ids start at its folder.

    Raises:
        UserError: there is no category, no such category as asked for, or several and none was asked for.
    """
    category = choose(root, find(root, _fits), options.category, LOOKED_FOR)
    pictures = Pictures(category)
    for split, given_split in (("train", "train"), ("validation", "train"), ("test", "test")):
        for kind in list_folders(child(category, split)):
            pictures.add(child(kind, "rgb"), given_split, kind.name, child(kind, "gt"))
            pictures.leave_out(child(kind, "xyz"), "point clouds")
    return pictures.found()


def _fits(folder: Path) -> bool:
    good = child(child(folder, "train"), NOMINAL)
    return is_folder(child(good, "rgb")) and is_folder(child(folder, "test"))
