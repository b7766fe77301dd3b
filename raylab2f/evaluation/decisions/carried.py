"""From the thresholds of folds to that of one model which was trained on all good parts.

Such a model has no good parts left that it has not seen, so its threshold must come from the folds. The ways:

| name | the model's threshold |
|---|---|
| `anchored` | defective parts train neither in folds nor in the model: from the scores that both give to a fold's \
defective parts follows the affine map that carries median and interquartile range over, and with it the fold's \
threshold; the mean over folds |
| `mean` | the mean of the folds' |
| `nominal-rank` | folds' thresholds lie above a mean share r of the good parts that did not train; the r-quantile of \
the good parts' scores in all folds that did not train on them |
| `cross-conformal` | as the strategy `conformal` with alpha = 1 - r on the same scores, as if they were one model's \
(after Vovk, "Cross-conformal predictors", 2015; without its guarantee, which needs the folds' models) |

The other ways take scores of folds for scores of the model, which has seen more good parts: measured in
benchmarks/carried_thresholds.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from raylab2f.errors import UserError

__all__ = ["WAYS", "FoldScores", "anchored_scale", "carry_threshold"]

WAYS = ("anchored", "nominal-rank", "cross-conformal", "mean")
_FEWEST = 4


@dataclass(frozen=True)
class FoldScores:
    """What one fold said of parts, or pictures, that did not train in it.

    Arguments:
        units: (n,) names.
        labels: (n,) 0 or 1.
        scores: (n,).
        threshold: the fold's.
    """

    units: NDArray[np.str_]
    labels: NDArray[np.int64]
    scores: NDArray[np.float64]
    threshold: float


def carry_threshold(way: str, folds: Mapping[int, FoldScores], anchors: Mapping[str, float] | None = None) -> float:
    """The threshold of a model trained on all good parts.

    Arguments:
        way: one of `WAYS`.
        folds: at least one.
        anchors: the model's own scores of defective units, for `anchored`.

    Raises:
        UserError: an unknown way, or one for which there are too few good or defective parts.
    """
    thresholds = np.array([fold.threshold for fold in folds.values()])
    if way == "mean":
        return float(thresholds.mean())
    if way == "anchored":
        return float(np.mean([_anchored(fold, anchors or {}) for fold in folds.values()]))
    if way not in WAYS:
        raise UserError(f"--carry {way}: choose one of {', '.join(WAYS)}.")
    share = float(np.mean([(fold.scores[fold.labels == 0] < fold.threshold).mean() for fold in folds.values()]))
    scores, weights = _pooled_nominal(folds)
    above = np.cumsum(weights[::-1])[::-1]
    units = float(weights.sum())
    # The lowest score above which little enough weight remains; above all of them where nothing may.
    allowed = (1 - share) * units if way == "nominal-rank" else (1 - share) * (units + 1) - 1
    fits = np.flatnonzero(above <= allowed + 1e-9)
    return float(scores[fits[0]]) if len(fits) else float(np.nextafter(scores[-1], np.inf))


def _pooled_nominal(folds: Mapping[int, FoldScores]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Distinct scores of good units in all folds, ascending, and their weights; those of a unit add up to 1."""
    units = np.concatenate([fold.units[fold.labels == 0] for fold in folds.values()])
    scores = np.concatenate([fold.scores[fold.labels == 0] for fold in folds.values()])
    _, place, count = np.unique(units, return_inverse=True, return_counts=True)
    # Equal scores are rejected together.
    distinct, group = np.unique(scores, return_inverse=True)
    return np.asarray(distinct, np.float64), np.asarray(np.bincount(group, 1 / count[place]), np.float64)


def anchored_scale(fold: FoldScores, anchors: Mapping[str, float]) -> tuple[float, float]:
    """From a fold's scores to the model's: factor and offset that carry over median and interquartile range of the
    fold's defective units.

    Raises:
        UserError: fewer than 4 of them are known.
    """
    known = [(float(s), anchors[u]) for u, s, y in zip(fold.units, fold.scores, fold.labels, strict=True) if y]
    if len(known) < _FEWEST:
        raise UserError(f"--carry anchored needs {_FEWEST} or more defective parts in every fold; choose another way.")
    theirs, ours = np.quantile(np.array(known), (0.25, 0.5, 0.75), axis=0).T
    spread = float(theirs[2] - theirs[0])
    factor = float(ours[2] - ours[0]) / spread if spread > 0 else 1.0
    return factor, float(ours[1] - factor * theirs[1])


def _anchored(fold: FoldScores, anchors: Mapping[str, float]) -> float:
    factor, offset = anchored_scale(fold, anchors)
    return factor * fold.threshold + offset
