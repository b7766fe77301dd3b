"""What the interval of a ranking metric lacks where objects hold pictures of both classes.

Two things, both seen in simulations (docs/coverage.md). Some of the pairs of pictures that an AUROC compares show one
object; its pictures are alike, so such pairs are ordered rightly more often than a new defective picture and a good one
of another object: the AUROC of few objects is too high. And the same objects train in one fold and are judged in
another, so figures vary with the training sample, which a bootstrap of given scores does not see; differences between
folds show it.
"""

from __future__ import annotations

import numpy as np

from raylab2f.evaluation.decisions.curves import Ranking
from raylab2f.evaluation.outcomes.judging import Problem

__all__ = ["fold_deviation", "within_object_excess"]


def within_object_excess(problem: Problem) -> float:
    """The AUROC of pictures less that of pairs of different objects, mean over folds; 0 if no fold has both."""
    found = [_excess(cell[problem.levels[0]].inference.ranking) for cell in problem.cells]
    known = [value for value in found if np.isfinite(value)]
    return float(np.mean(known)) if known else 0.0


def fold_deviation(problem: Problem, folds: np.ndarray) -> np.ndarray:
    """(e,) standard error that the differences between folds amount to; 0 with fewer than two folds.

    The variance between folds, scaled from the objects that a fold judges to those judged in any, as if the objects of
    a fold were an independent sample.

    Arguments:
        problem: ranked scores.
        folds: (e, k) value of each fold; NaN folds do not count.
    """
    judged = [len(np.unique(cell[problem.levels[0]].inference.ranking.owner)) for cell in problem.cells]
    count = (~np.isnan(folds)).sum(axis=1)
    mean = np.nansum(folds, axis=1) / np.maximum(count, 1)
    variance = np.nansum((folds - mean[:, None]) ** 2, axis=1) / np.maximum(count - 1, 1)
    return np.sqrt(variance * np.mean(judged) / max(int(problem.judged_objects().sum()), 1))


def _excess(ranking: Ranking) -> float:
    """NaN without a pair of different objects."""
    label, owner, height = ranking.label, ranking.owner, -ranking.group
    wins, pairs = _won(height[label], np.sort(height[~label])), int(label.sum()) * int((~label).sum())
    inside_wins, inside_pairs = 0.0, 0
    for one in np.intersect1d(owner[label], owner[~label]):
        good, bad = height[(owner == one) & ~label], height[(owner == one) & label]
        inside_wins += _won(bad, np.sort(good))
        inside_pairs += len(good) * len(bad)
    if pairs == inside_pairs:
        return float("nan")
    return wins / pairs - (wins - inside_wins) / (pairs - inside_pairs)


def _won(bad: np.ndarray, good: np.ndarray) -> float:
    """Pairs in which the bad one is higher, ties half; `good` ascending."""
    return float((np.searchsorted(good, bad, "left") + np.searchsorted(good, bad, "right")).sum()) / 2
