"""Estimates with intervals by resampling objects: pictures of one object are no independent evidence.

Objects are drawn with replacement, defective and good ones each for themselves, and every picture counts as often as
its object was drawn, in all folds alike. The interval of a rate or an AUROC is the evaluation's
(`evaluation.intervals.deviation_interval`); that of differences, and of figures that are no rates, is Student's t with
(objects - 2) degrees of freedom.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from raylab2f.evaluation.intervals.bootstrap import object_weights
from raylab2f.evaluation.intervals.methods import deviation_interval
from raylab2f.seeding import numpy_generator

__all__ = [
    "CONFIDENCE",
    "REPLICATES",
    "Estimate",
    "Resampling",
    "auroc",
    "auroc_difference",
    "mean",
    "mean_difference",
    "resample",
    "t_estimate",
]

CONFIDENCE = 0.95
REPLICATES = 1000


@dataclass(frozen=True)
class Estimate:
    """A value and the ends of its interval; NaN where there is none."""

    value: float
    low: float = float("nan")
    high: float = float("nan")

    def __str__(self) -> str:
        if not np.isfinite(self.low):
            return f"{self.value:.3g}"
        return f"{self.value:.2f} ({self.low:.2f} to {self.high:.2f})"


@dataclass(frozen=True)
class Resampling:
    """How often each row's object is drawn.

    Arguments:
        owner: (n,) number of each row's object.
        anomalous: (objects,) bool.
        weights: (objects, replicates).
    """

    owner: np.ndarray
    anomalous: np.ndarray
    weights: np.ndarray


def resample(
    objects: Sequence[str] | np.ndarray, labels: np.ndarray, *, seed: int, replicates: int = REPLICATES
) -> Resampling:
    """Resamplings of the objects of a table.

    Arguments:
        objects: (n,) name of each row's object.
        labels: (n,) 1 where a picture is anomalous; an object with one such picture is anomalous.
        seed: of the draws.
    """
    names, owner = np.unique(np.asarray(objects), return_inverse=True)
    anomalous = np.bincount(owner, weights=np.asarray(labels, np.float64), minlength=len(names)) > 0
    rng = numpy_generator(seed, "diagnosis")
    return Resampling(owner, anomalous, object_weights(anomalous, replicates, rng))


def mean(
    resampling: Resampling,
    values: np.ndarray,
    where: np.ndarray | None = None,
    limits: tuple[float, float] = (0.0, 1.0),
) -> Estimate:
    """Mean over pictures.

    Arguments:
        values: (n,) of each row; NaN rows do not count.
        where: (n,) bool, the rows that count; `None`: all.
        limits: smallest and largest possible mean.
    """
    kept = np.isfinite(values) if where is None else where & np.isfinite(values)
    if not kept.any():
        return Estimate(float("nan"))
    owner, count = resampling.owner[kept], len(resampling.anomalous)
    sums = np.bincount(owner, weights=values[kept], minlength=count)
    rows = np.bincount(owner, minlength=count).astype(np.float64)
    drawn = rows @ resampling.weights
    with np.errstate(invalid="ignore", divide="ignore"):
        replicates = (sums @ resampling.weights) / drawn
    value, objects = float(values[kept].mean()), int((rows > 0).sum())
    if limits == (0.0, 1.0):
        return _rate(value, replicates, (objects, objects), objects - 2)
    return t_estimate(value, replicates, objects, limits)


def mean_difference(resampling: Resampling, values: np.ndarray, first: np.ndarray, second: np.ndarray) -> Estimate:
    """Mean over the rows `first` minus mean over the rows `second`, of values in [0, 1]."""
    parts = []
    for where in (first & np.isfinite(values), second & np.isfinite(values)):
        owner, count = resampling.owner[where], len(resampling.anomalous)
        sums = np.bincount(owner, weights=values[where], minlength=count)
        rows = np.bincount(owner, minlength=count).astype(np.float64)
        if not where.any():
            return Estimate(float("nan"))
        with np.errstate(invalid="ignore", divide="ignore"):
            replicates = (sums @ resampling.weights) / (rows @ resampling.weights)
        parts.append((float(values[where].mean()), replicates, int((rows > 0).sum())))
    (one, ones, n), (two, twos, m) = parts
    return t_estimate(one - two, ones - twos, min(n, m), (-1.0, 1.0))


def auroc(resampling: Resampling, scores: np.ndarray, labels: np.ndarray, folds: np.ndarray) -> Estimate:
    """Mean over folds of the probability that an anomalous picture scores higher than a nominal one, ties half."""
    value, replicates = _auroc_replicates(resampling, scores, labels, folds)
    kept = np.isfinite(scores)
    degrees = len(np.unique(resampling.owner[kept])) - 2
    return _rate(value, replicates, _classes(resampling, kept, labels), degrees, ranking=True)


def auroc_difference(
    resampling: Resampling, first: np.ndarray, second: np.ndarray, labels: np.ndarray, folds: np.ndarray
) -> Estimate:
    """AUROC of the `first` scores (n,) minus that of the `second` ones of the same pictures."""
    one, ones = _auroc_replicates(resampling, first, labels, folds)
    two, twos = _auroc_replicates(resampling, second, labels, folds)
    objects = min(_classes(resampling, np.isfinite(first) & np.isfinite(second), labels))
    return t_estimate(one - two, ones - twos, objects, (-1.0, 1.0))


def _auroc_replicates(
    resampling: Resampling, scores: np.ndarray, labels: np.ndarray, folds: np.ndarray
) -> tuple[float, np.ndarray]:
    """The value and (replicates,) of it."""
    anomalous = np.asarray(labels, bool)
    values, replicates = [], []
    for fold in np.unique(folds):
        here = (folds == fold) & np.isfinite(scores)
        positive, negative = here & anomalous, here & ~anomalous
        if not positive.any() or not negative.any():
            continue
        above = scores[positive][:, None] - scores[negative][None]
        wins = (above > 0) + 0.5 * (above == 0)
        values.append(float(wins.mean()))
        # Pairs of pictures summed to pairs of objects, once for all replicates.
        rows, row = np.unique(resampling.owner[positive], return_inverse=True)
        columns, column = np.unique(resampling.owner[negative], return_inverse=True)
        left = np.zeros((len(rows), len(row)))
        left[row, np.arange(len(row))] = 1
        right = np.zeros((len(columns), len(column)))
        right[column, np.arange(len(column))] = 1
        won, met = left @ wins @ right.T, np.outer(left.sum(axis=1), right.sum(axis=1))
        drawn, beside = resampling.weights[rows], resampling.weights[columns]
        with np.errstate(invalid="ignore", divide="ignore"):
            replicates.append(((won.T @ drawn) * beside).sum(axis=0) / ((met.T @ drawn) * beside).sum(axis=0))
    if not values:
        return float("nan"), np.empty(0)
    table = np.stack(replicates)
    known = np.isfinite(table)
    with np.errstate(invalid="ignore", divide="ignore"):
        return float(np.mean(values)), np.where(known, table, 0).sum(axis=0) / known.sum(axis=0)


def _classes(resampling: Resampling, where: np.ndarray, labels: np.ndarray) -> tuple[int, int]:
    """How many objects of the rows that count are anomalous, and nominal; where none is nominal, how many have pictures
    of either class.
    """
    anomalous = resampling.anomalous[np.unique(resampling.owner[where])]
    if not anomalous.all():
        return int(anomalous.sum()), int((~anomalous).sum())
    positive, negative = (len(np.unique(resampling.owner[where & (np.asarray(labels) == c)])) for c in (1, 0))
    return positive, negative


def _rate(
    value: float, replicates: np.ndarray, objects: tuple[int, int], degrees: int, *, ranking: bool = False
) -> Estimate:
    """The evaluation's interval of a value in [0, 1] that rests on so many objects of either class, or twice on the
    same ones.
    """
    replicates = replicates[np.isfinite(replicates)]
    if not np.isfinite(value) or len(replicates) < 2 or min(objects) < 3:
        return Estimate(value)
    low, high = deviation_interval(
        np.array([value]),
        replicates[None],
        objects=np.array([objects], np.float64),
        degrees=degrees,
        ranking=np.array([ranking]),
        confidence=CONFIDENCE,
    )
    return Estimate(value, float(low[0]), float(high[0]))


def t_estimate(value: float, replicates: np.ndarray, objects: int, limits: tuple[float, float]) -> Estimate:
    """A value with Student's interval from its replicates, which rest on so many objects.

    Within the limits: a score interval is made for the ends of a range, at which a difference seldom lies.
    """
    replicates = replicates[np.isfinite(replicates)]
    if not np.isfinite(value) or len(replicates) < 2 or objects < 3:
        return Estimate(value)
    deviation = float(replicates.std(ddof=1)) * (objects / (objects - 1)) ** 0.5
    half = float(stdtrit(objects - 2, (1 + CONFIDENCE) / 2)) * deviation
    return Estimate(value, max(limits[0], value - half), min(limits[1], value + half))
