"""A manifest by objects, as fold plans see it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

__all__ = ["PlanObjects", "collect_objects"]


@dataclass(frozen=True)
class PlanObjects:
    """Objects in the order of their names; arrays are (n,), or (pictures,) in the manifest's order of rows.

    Arguments:
        of_picture: (pictures,) index of each picture's object.
        label: (pictures,) bool, anomalous.
        given_train: (pictures,) bool, given as training ones.
        sizes: pictures of each object.
        anomalous: objects with an anomalous picture.
        defect: integer code of the anomalous objects' defect types.
    """

    of_picture: np.ndarray
    label: np.ndarray
    given_train: np.ndarray
    sizes: np.ndarray
    anomalous: np.ndarray
    defect: np.ndarray

    def count(self, pictures: np.ndarray) -> np.ndarray:
        """(n,) how many of the marked (pictures,) each object has."""
        return np.bincount(self.of_picture[pictures], minlength=len(self.sizes))

    @property
    def nominal(self) -> np.ndarray:
        return ~self.anomalous

    @property
    def mixed(self) -> np.ndarray:
        """Anomalous objects that have good pictures, too."""
        return self.anomalous & (self.count(~self.label) > 0)

    @property
    def any_given_train(self) -> np.ndarray:
        return self.count(self.given_train) > 0

    def pool(self, merged: bool) -> np.ndarray:
        """Nominal objects that may choose the threshold and be judged."""
        return self.nominal if merged else self.nominal & ~self.any_given_train


def collect_objects(manifest: pa.Table, split_by: str) -> PlanObjects:
    """The objects of a manifest; with `split_by` `picture` every picture is one."""
    names = np.array(manifest["object_id" if split_by == "object" else "image_id"].to_pylist(), dtype=object)
    labels = np.array(manifest["label"].to_pylist(), dtype=np.int64)
    given_train = np.array(manifest["given_split"].to_pylist(), dtype=object) == "train"
    unique, of_picture = np.unique(names.astype(str), return_inverse=True)
    count = len(unique)
    anomalous = np.bincount(of_picture, weights=labels, minlength=count) > 0
    types: list[set[str]] = [set() for _ in range(count)]
    if "defect_type" in manifest.column_names:
        for owner, label, kind in zip(of_picture, labels, manifest["defect_type"].to_pylist(), strict=True):
            if label:
                types[owner].add(str(kind))
    _, defect = np.unique(np.array(["+".join(sorted(kinds)) for kinds in types], dtype=str), return_inverse=True)
    sizes = np.bincount(of_picture, minlength=count)
    return PlanObjects(of_picture, labels == 1, given_train, sizes, anomalous, defect)
