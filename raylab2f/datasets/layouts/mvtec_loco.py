"""Layout `mvtec_loco`: that of MVTec LOCO AD, where a picture has several masks.

    <category>/train/good/<NNN>.png, <category>/validation/good/<NNN>.png
    <category>/test/{good,logical_anomalies,structural_anomalies}/<NNN>.png
    <category>/ground_truth/<defect type>/<NNN>/<KKK>.png    one mask for each defect of picture NNN

The masks of a picture are merged; validation pictures are given as training pictures. Nothing in the names says which
pictures show the same part. The rest of the rules is that of the layout `mvtec`.

Reference: Bergmann, Batzner, Fauser, Sattlegger, Steger: "Beyond dents and scratches: logical constraints in
unsupervised anomaly detection and localization" (International Journal of Computer Vision 130, 2022).
"""

from __future__ import annotations

from pathlib import Path

from raylab2f.datasets.discovery import is_folder, list_folders
from raylab2f.datasets.entries import NOMINAL, Found, LayoutOptions
from raylab2f.datasets.layouts.categories import child, choose, find
from raylab2f.datasets.layouts.mvtec import read_category

__all__ = ["LOOKED_FOR", "read", "recognises"]

LOOKED_FOR = "mvtec_loco (train/good and test/logical_anomalies or structural_anomalies)"

_KINDS = frozenset({"logical_anomalies", "structural_anomalies"})


def recognises(root: Path, options: LayoutOptions) -> bool:
    """Whether `root` is a category or holds some."""
    return bool(find(root, _fits))


def read(root: Path, options: LayoutOptions) -> Found:
    """Pictures of one category; image ids start at its folder.

    Raises:
        UserError: there is no category, no such category as asked for, or several and none was asked for.
    """
    return read_category(root, choose(root, find(root, _fits), options.category, LOOKED_FOR))


def _fits(folder: Path) -> bool:
    kinds = {kind.name.lower() for kind in list_folders(child(folder, "test"))}
    return bool(kinds & _KINDS) and is_folder(child(child(folder, "train"), NOMINAL))
