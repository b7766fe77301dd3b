"""From hits to curves: the best one, those that the data leave possible, and where they reach a probability."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from raylab2f.evaluation.detection.curve import Curves, Posterior, fit_curve, integrate_curve
from raylab2f.evaluation.detection.hits import Hits

__all__ = ["CONFIDENCE", "PROBABILITY", "Fit", "fit_hits"]

#: Of a90 and a90/95.
PROBABILITY, CONFIDENCE = 0.9, 0.95

# Sizes that differ by less than this share of the range of log size are one, for speed.
_BINS = 128


@dataclass(frozen=True)
class Fit:
    """Curves on z, the logarithm of size from 0 at the smallest to 1 at the largest.

    Arguments:
        low, high: logarithms of the smallest and of the largest size.
        best: one curve, of largest penalised likelihood.
        posterior: all curves, with the weights that the data leave them.
        effect: design effect by which the data were weakened for `posterior`, see `Hits.effect`.
    """

    low: float
    high: float
    best: Curves
    posterior: Posterior
    effect: float

    @property
    def reached(self) -> float:
        """z of a90; -inf: everywhere above, inf: nowhere reached."""
        return float(self.best.reach(PROBABILITY)[0])

    @property
    def bound(self) -> float:
        """z of a90/95; -inf and inf as for `reached`."""
        # A curve on the edge of what is possible is no reason to promise more than it says itself.
        return max(self.reached, self.posterior.reach_quantile(PROBABILITY, CONFIDENCE))

    def size(self, z: np.ndarray) -> np.ndarray:
        """Sizes at z."""
        return np.exp(self.low + z * (self.high - self.low))

    def band(self, z: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(points,) probability of the best curve, and one-sided lower and upper bounds that never exclude it."""
        probability = self.best.at(z)[0]
        low, high = self.posterior.band(z, CONFIDENCE)
        return probability, np.minimum(low, probability), np.maximum(high, probability)


def fit_hits(hits: Hits) -> Fit:
    """Fit curves to hits of at least two sizes."""
    x, weight = np.log(hits.size), hits.weight
    low, high = float(x.min()), float(x.max())
    z = (x - low) / (high - low)
    place = np.minimum((z * _BINS).astype(np.int64), _BINS - 1)
    _, place = np.unique(place, return_inverse=True)
    middle = np.bincount(place, weights=z * weight) / np.bincount(place, weights=weight)
    found, missed = (np.bincount(place, weights=weight * share) for share in (hits.share, 1 - hits.share))
    best = fit_curve(middle, found, missed)
    effect = hits.effect(best.at(z)[0])
    return Fit(low, high, best, integrate_curve(middle, found / effect, missed / effect), effect)
