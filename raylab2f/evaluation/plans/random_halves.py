"""Partitions for scores that come without: the objects of each fold in two halves."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from raylab2f.errors import UserError
from raylab2f.evaluation.plans.whole_objects import draw_objects, halve_pictures
from raylab2f.seeding import numpy_generator

__all__ = ["draw_halves"]


def draw_halves(
    fold: np.ndarray, owner: np.ndarray, label: np.ndarray, names: Sequence[int] | np.ndarray, seed: int
) -> np.ndarray:
    """Split each fold's objects in halves alike in pictures, each class for itself.

    Where fewer than two are nominal, all are split together, so that either half has pictures of both classes.

    Arguments:
        fold: (n,) index into `names` of each row.
        owner: (n,) number of each row's object.
        label: (n,) bool, True for anomalous rows; an object with one is anomalous.
        names: numbers of the folds, which seed the draws.
        seed: of the draws.

    Returns:
        (n,) bool, True for rows that are judged, False for those that choose the threshold.

    Raises:
        UserError: a fold has fewer than two objects with pictures of a class.
    """
    anomalous = np.bincount(owner, weights=label) > 0
    judged = np.zeros(len(fold), dtype=bool)
    for index, name in enumerate(names):
        rng = numpy_generator(seed, "partition", int(name))
        rows = np.flatnonzero(fold == index)
        objects, sizes = np.unique(owner[rows], return_counts=True)
        bad = np.bincount(owner[rows[label[rows]]], minlength=len(anomalous))[objects]
        good = sizes - bad
        if anomalous[objects].sum() >= 2 > (~anomalous[objects]).sum() and (good > 0).sum() >= 2:
            judged[rows] = halve_pictures(good, bad, rng)[np.searchsorted(objects, owner[rows])]
            continue
        for is_anomalous, what in ((True, "anomalous object{s}"), (False, "object{s} with nominal pictures")):
            chosen = anomalous[objects] == is_anomalous
            members, counts = objects[chosen], sizes[chosen]
            if len(members) < 2:
                count = int(((bad if is_anomalous else good) > 0).sum())
                raise UserError(
                    f"Fold {name} has {count} {what.format(s='s' * (count != 1))}; at least 2 are needed, one to "
                    "choose the threshold and one to judge."
                )
            half = members[draw_objects(counts, counts.sum() / 2, rng)]
            judged[rows[np.isin(owner[rows], half)]] = True
    return judged
