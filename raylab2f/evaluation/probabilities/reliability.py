"""How far probabilities of being defective can be relied on.

`brier_score`: mean squared distance of the probability from the label (Brier 1950). It is what is lost by probabilities
that are off, less what is won by telling parts apart, and what is inevitable where nothing tells them apart, share (1 -
share): `brier_miscalibration` - `brier_discrimination` + that. Both are taken from an isotonic fit of the labels to the
probabilities (Dimitriadis, Gneiting & Jordan, "Stable reliability diagrams for probabilistic classifiers", PNAS 2021):
its Brier score is what these probabilities would reach if they were put right. `log_loss`: mean of -log of the
probability of the true class, natural logarithm. `ece`: mean distance of the probability from the share of defective
parts within each of ten bins of equal mass, weighted by mass (Naeini et al., "Obtaining Well Calibrated Probabilities
Using Bayesian Binning", AAAI 2015; bins of equal mass: Nixon et al., "Measuring Calibration in Deep Learning", 2019).

`ece` and `brier_miscalibration` are above 0 by chance alone, the more so the fewer parts are judged; `chance_ece` says
by how much.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import isotonic_regression

__all__ = ["BINS", "RELIABILITY_METRICS", "Judged", "chance_ece", "equal_mass_bins", "reliability_metrics"]

RELIABILITY_METRICS = ("brier_score", "log_loss", "ece", "brier_miscalibration", "brier_discrimination")
BINS = 10


@dataclass(frozen=True)
class Judged:
    """Rows with known labels; arrays are (n,).

    Arguments:
        probability: of being defective, in [0, 1].
        label: 1.0 where defective.
        weight: at least 0, of sum 1.
        owner: number of the object that a row is of.
    """

    probability: np.ndarray
    label: np.ndarray
    weight: np.ndarray
    owner: np.ndarray


def reliability_metrics(judged: Judged) -> np.ndarray:
    """(metrics,) in the order of `RELIABILITY_METRICS`; infinite `log_loss` where a certainty was wrong."""
    p, y, u = judged.probability, judged.label, judged.weight
    brier = float(u @ (p - y) ** 2)
    right = np.where(y > 0, p, 1 - p)
    used = u > 0
    with np.errstate(divide="ignore"):
        log_loss = float(u[used] @ -np.log(right[used]))
    which = equal_mass_bins(p, u)
    ece = float(np.abs(np.bincount(which, weights=u * (p - y))).sum())
    value, group = np.unique(p[used], return_inverse=True)
    mass = np.bincount(group, weights=u[used], minlength=len(value))
    share = np.bincount(group, weights=(u * y)[used], minlength=len(value)) / mass
    put_right = isotonic_regression(share, weights=mass).x[group]
    best = float(u[used] @ (put_right - y[used]) ** 2)
    base = float(u @ y)
    return np.array([brier, log_loss, ece, max(brier - best, 0.0), max(base * (1 - base) - best, 0.0)])


def equal_mass_bins(probability: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """(n,) number of each row's bin, of up to `BINS` bins with about the same weight; equal probabilities share one."""
    value, group = np.unique(probability, return_inverse=True)
    mass = np.bincount(group, weights=weight, minlength=len(value))
    # By the middle of what each value weighs: a value that weighs as much as several bins is one.
    middle = np.cumsum(mass) - mass / 2
    return np.minimum((BINS * middle / max(mass.sum(), 1e-300)).astype(np.int64), BINS - 1)[group]


def chance_ece(judged: Judged) -> float:
    """About what `ece` is if every probability is right: chance alone, by the normal approximation within each bin.

    Rows of one object in a bin go together, so that ten folds that judge one object count as one part.
    """
    p, u = judged.probability, judged.weight
    which = equal_mass_bins(p, u)
    pairs, pair = np.unique(np.column_stack((which, judged.owner)), axis=0, return_inverse=True)
    deviation = np.bincount(pair.ravel(), weights=u * np.sqrt(p * (1 - p)), minlength=len(pairs))
    variance = np.bincount(pairs[:, 0], weights=deviation**2)
    return float(np.sqrt(2 / np.pi) * np.sqrt(variance).sum())
