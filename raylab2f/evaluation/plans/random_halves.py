"""Partitions for scores that come without: the objects of each fold in two halves."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from raylab2f.errors import UserError
from raylab2f.evaluation.plans.whole_objects import draw_objects
from raylab2f.seeding import numpy_generator

__all__ = ["draw_halves"]


def draw_halves(
    fold: np.ndarray, owner: np.ndarray, anomalous: np.ndarray, names: Sequence[int] | np.ndarray, seed: int
) -> np.ndarray:
    """Split each fold's objects in halves alike in pictures, each class for itself.

    Arguments:
        fold: (n,) index into `names` of each row.
        owner: (n,) number of each row's object.
        anomalous: (objects,) class of each object.
        names: numbers of the folds, which seed the draws.
        seed: of the draws.

    Returns:
        (n,) bool, True for rows that are judged, False for those that choose the threshold.

    Raises:
        UserError: a fold has fewer than two objects of a class.
    """
    judged = np.zeros(len(fold), dtype=bool)
    for index, name in enumerate(names):
        rng = numpy_generator(seed, "partition", int(name))
        rows = np.flatnonzero(fold == index)
        objects, sizes = np.unique(owner[rows], return_counts=True)
        for is_anomalous, word in ((True, "anomalous"), (False, "nominal")):
            chosen = anomalous[objects] == is_anomalous
            members, counts = objects[chosen], sizes[chosen]
            if len(members) < 2:
                raise UserError(
                    f"Fold {name} has {len(members)} {word} object{'s' * (len(members) != 1)}; at least 2 are "
                    "needed, one to choose the threshold and one to judge."
                )
            half = members[draw_objects(counts, counts.sum() / 2, rng)]
            judged[rows[np.isin(owner[rows], half)]] = True
    return judged
