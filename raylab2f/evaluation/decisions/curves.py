"""Cumulative counts over thresholds, for many weightings of the objects at once.

Everything the bootstrap needs is linear in the objects' weights: the number of true and false positives at each
threshold is a sum of weights. One pass over the sorted scores gives them for all replicates together.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["Curve", "Ranking", "arrange_weights", "rank_scores", "sweep"]

# From so many weightings on a loop over rows is faster than one over weightings.
_WIDE = 256


@dataclass(frozen=True)
class Ranking:
    """Scores of one partition in descending order; equal scores form one group.

    Arguments:
        score: (g,) distinct scores, descending.
        group: (n,) group of each row; rows are in descending order of score.
        owner: (n,) object of each row, an index into the weights.
        label: (n,) bool.
        row: (n,) position of each row in the arrays that were ranked.
    """

    score: np.ndarray
    group: np.ndarray
    owner: np.ndarray
    label: np.ndarray
    row: np.ndarray


@dataclass(frozen=True)
class Curve:
    """Weighted counts when the first 0, 1, ..., g groups are flagged, for b weightings.

    Arguments:
        tp: (g + 1, b) flagged anomalous weight; the last row is all of it.
        fp: (g + 1, b) flagged nominal weight.
    """

    tp: np.ndarray
    fp: np.ndarray

    @property
    def positives(self) -> np.ndarray:
        """(b,) weight of the anomalous rows."""
        return self.tp[-1]

    @property
    def negatives(self) -> np.ndarray:
        """(b,) weight of the nominal rows."""
        return self.fp[-1]


def rank_scores(score: np.ndarray, owner: np.ndarray, label: np.ndarray) -> Ranking:
    """Rank (n,) scores with their objects and labels, n >= 1."""
    # Rows with equal scores are ordered by owner and label so that the result does not depend on row order.
    order = np.lexsort((label, owner, -score))
    ranked = score[order]
    first = np.concatenate(([True], ranked[1:] != ranked[:-1]))
    return Ranking(ranked[first], np.cumsum(first) - 1, owner[order], label[order].astype(bool), order)


def arrange_weights(weights: np.ndarray) -> np.ndarray:
    """(objects, b) weights, laid out in memory as `sweep` reads them fastest."""
    return np.require(weights, requirements="C" if weights.shape[1] >= _WIDE else "F")


def sweep(ranking: Ranking, weights: np.ndarray) -> Curve:
    """Counts at every threshold for every weighting.

    Arguments:
        ranking: n rows in g groups.
        weights: (objects, b) weight of each object in each weighting.
    """
    if weights.shape[1] < _WIDE:
        return _sweep_along_columns(ranking, weights)
    groups, replicates = len(ranking.score), weights.shape[1]
    tp = np.empty((groups + 1, replicates), dtype=weights.dtype)
    fp = np.empty_like(tp)
    tp[0] = 0
    fp[0] = 0
    # The loop runs over rows; each step is one vector operation over all weightings (numpy's own cumsum along
    # an axis is several times slower).
    done = 0
    columns = (ranking.group, ranking.owner, ranking.label)
    for group, owner, label in zip(*(column.tolist() for column in columns), strict=True):
        grows, stays = (tp, fp) if label else (fp, tp)
        if group == done:
            np.add(grows[group], weights[owner], out=grows[group + 1])
            stays[group + 1] = stays[group]
        else:
            grows[group + 1] += weights[owner]
        done = group + 1
    return Curve(tp, fp)


def _sweep_along_columns(ranking: Ranking, weights: np.ndarray) -> Curve:
    """The same sums in the same order, one weighting after the other; `Curve` lies in memory by columns."""
    across = np.ascontiguousarray(weights.T)
    last = np.flatnonzero(np.diff(ranking.group, append=-1))
    counts = []
    for rows in (ranking.label, ~ranking.label):
        owner = ranking.owner[rows]
        total = np.empty((len(across), len(owner) + 1), dtype=weights.dtype)
        total[:, 0] = 0
        np.cumsum(np.take(across, owner, axis=1), axis=1, out=total[:, 1:])
        upto = np.append(0, np.cumsum(rows)[last])
        counts.append(np.take(total, upto, axis=1).T)
    return Curve(*counts)
