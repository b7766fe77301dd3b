"""A logistic curve of the probability of detection on the logarithm of size, with free asymptotes.

    POD(a) = floor + (ceiling - floor) / (1 + exp(-(log a - log middle) / width))

With floor 0 and ceiling 1 it is the hit/miss model of MIL-HDBK-1823A, "Nondestructive Evaluation System Reliability
Assessment" (US Department of Defense, 2009), appendix G.3, with log size and the logit link; the asymptotes that differ
from 0 and 1 are those of its G.3.5 ("POD floor", "POD ceiling") and of Spencer, "Identification of Optimum POD
Functions" (1998): inspectors call some parts without a reason and miss some defects however large they are.

**Fit.** Maximum likelihood with a penalty. In z, log size as a share of its observed range, the middle lies within
half a range of it, and log width is drawn to `_USUAL_WIDTH` as by a normal distribution with a standard deviation of 1,
so that data in which a size separates misses from hits give a steep curve rather than none.

**Bounds.** Likelihood-ratio bounds (MIL-HDBK-1823A, G.3.4; Cheng & Iles, 1983) rest on the asymptotic distribution
of the ratio, which does not hold where a bound is wanted most: after 13 hits of 13 they call a probability of 0.9
refuted, which happens by chance in a quarter of the cases. So the penalised likelihood is not compared but integrated,
with all shares equally likely beforehand: the ends are quantiles of POD(a) under the weights that it gives to curves,
as in Berger, Liseo & Wolpert, "Integrated likelihood methods for eliminating nuisance parameters" (1999). After n hits
of n, that is the exact binomial bound of one hit more. That the ends keep their promise is shown by simulation.

Half of the weight beforehand is that of curves without a floor, as in the usual hit/miss model. Where the smallest
defects seen are found now and then, a floor and a small width fit about as well as none and a larger width; were floors
of all heights equally likely and none impossible, most of the weight would go to the former, and with the steeper
curves a90/95 would come out too small. What each half ends up with is in proportion to its integrated likelihood
(Hoeting, Madigan, Raftery & Volinsky, "Bayesian model averaging: a tutorial", Statistical Science 14, 1999).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

__all__ = ["Curves", "Posterior", "fit_curve", "integrate_curve"]

# Of the logarithm of the width in ranges of log size.
_USUAL_WIDTH = 0.1
# Places of the parameters: middle and log width in z, and the roots of 1 - ceiling and of floor / ceiling, which let
# a grid see what is near 1 and near 0.
_BOX = np.array([[-0.5, 1.5], [np.log(0.01), np.log(1.0)], [0.0, 1.0], [0.0, 1.0]])
_STEPS = (25, 13, 16, 9)
# What has less than this of the largest weight is left out of the finer grid.
_LEAST = 1e-4
# Of curves, less than this.
_NOTHING = 1e-6
_PASSES = 2
_TINY = 1e-12


@dataclass(frozen=True)
class Curves:
    """Curves on z; arrays are (c,).

    Arguments:
        middle: where the curve is half-way between its asymptotes.
        width: how much z changes the odds by a factor of e.
        floor, ceiling: asymptotes, 0 <= floor <= ceiling <= 1.
    """

    middle: np.ndarray
    width: np.ndarray
    floor: np.ndarray
    ceiling: np.ndarray

    @classmethod
    def of_places(cls, places: np.ndarray) -> Curves:
        """From (4, c) places in the box."""
        ceiling = 1 - places[2] ** 2
        return cls(places[0], np.exp(places[1]), ceiling * places[3] ** 2, ceiling)

    def at(self, z: np.ndarray) -> np.ndarray:
        """(c, points) probabilities at (points,) z."""
        rise = expit((z[None] - self.middle[:, None]) / self.width[:, None])
        return self.floor[:, None] + (self.ceiling - self.floor)[:, None] * rise

    def reach(self, probability: float) -> np.ndarray:
        """(c,) z where the curve reaches a probability; -inf: everywhere, inf: nowhere."""
        with np.errstate(divide="ignore", invalid="ignore"):
            share = (probability - self.floor) / (self.ceiling - probability)
            found = self.middle + self.width * np.log(share)
        return np.where(self.floor >= probability, -np.inf, np.where(self.ceiling <= probability, np.inf, found))


@dataclass(frozen=True)
class Posterior:
    """Curves with the weights that the penalised likelihood gives them.

    Arguments:
        curves: (c,) of them.
        weights: (c,) above 0, of sum 1.
    """

    curves: Curves
    weights: np.ndarray

    def reach_quantile(self, probability: float, quantile: float) -> float:
        """z where, with this confidence, the curve has reached the probability; inf where that cannot be said."""
        return float(_quantiles(self.curves.reach(probability)[:, None], self.weights, quantile)[0][0])

    def band(self, z: np.ndarray, confidence: float) -> tuple[np.ndarray, np.ndarray]:
        """(points,) one-sided lower and upper bounds at (points,) z, each with the confidence."""
        low, high = _quantiles(self.curves.at(z), self.weights, 1 - confidence, confidence)
        return low, high


def fit_curve(z: np.ndarray, hits: np.ndarray, misses: np.ndarray) -> Curves:
    """The one curve of largest penalised likelihood.

    Arguments:
        z: (n,) log sizes, from 0 to 1 over their range.
        hits, misses: (n,) weights of what was found and missed at each, at least 0.
    """
    axes = _axes(_BOX)
    start = np.array([axis[place] for axis, place in zip(axes, _best(z, hits, misses, axes), strict=True)])

    def loss(places: np.ndarray) -> float:
        probability = np.clip(Curves.of_places(places[:, None]).at(z)[0], _TINY, 1 - _TINY)
        return -float(np.log(probability) @ hits + np.log1p(-probability) @ misses + _penalty(places[1]))

    found = minimize(loss, start, method="L-BFGS-B", bounds=_BOX, options={"ftol": 1e-12, "gtol": 1e-8})
    best = found.x if found.fun <= loss(start) else start
    return Curves.of_places(best[:, None])


def integrate_curve(z: np.ndarray, hits: np.ndarray, misses: np.ndarray) -> Posterior:
    """All curves that the data leave possible; arguments as for `fit_curve`."""
    no_floor = _BOX.copy()
    no_floor[3] = 0.0
    places, logs = zip(*(_integrate(z, hits, misses, box) for box in (_BOX, no_floor)), strict=True)
    weights = np.exp(np.concatenate(logs) - max(part.max() for part in logs))
    kept = weights > _NOTHING * weights.max()
    return Posterior(Curves.of_places(np.concatenate(places, axis=1)[:, kept]), weights[kept] / weights[kept].sum())


def _integrate(z: np.ndarray, hits: np.ndarray, misses: np.ndarray, box: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(4, c) places in the box that have weight, and (c,) logarithms of it: likelihood, penalty, size of a grid's cell.

    Of all boxes up to the same constant, so that their sums compare.
    """
    for _ in range(_PASSES):
        axes = _axes(box)
        density = _log_likelihood(z, hits, misses, axes) + _penalty(axes[1])[:, None, None]
        highest = density.max()
        weights = np.exp(density - highest)
        for number, axis in enumerate(axes):
            if len(axis) == 1:
                continue
            # The trapezoidal rule; shares, not their roots, are equally likely: the change of variables.
            factor = np.full(len(axis), axis[1] - axis[0])
            factor[[0, -1]] *= 0.5
            factor = factor * 2 * axis if number >= 2 else factor
            weights *= factor.reshape([-1 if number == other else 1 for other in range(4)])
        box = np.array([_support(weights, axes, number) for number in range(4)])
    kept = np.flatnonzero(weights.ravel() > _NOTHING * weights.max())
    places = np.stack([part.ravel()[kept] for part in np.meshgrid(*axes, indexing="ij")])
    return places, np.log(weights.ravel()[kept]) + highest


def _axes(box: np.ndarray) -> list[np.ndarray]:
    """The grid's; of a side without length its one place."""
    sides = zip(box, _STEPS, strict=True)
    return [np.linspace(low, high, steps if high > low else 1) for (low, high), steps in sides]


def _best(z: np.ndarray, hits: np.ndarray, misses: np.ndarray, axes: list[np.ndarray]) -> tuple[np.intp, ...]:
    density = _log_likelihood(z, hits, misses, axes) + _penalty(axes[1])[:, None, None]
    return np.unravel_index(int(density.argmax()), density.shape)


def _penalty(log_width: np.ndarray) -> np.ndarray:
    return -0.5 * (log_width - np.log(_USUAL_WIDTH)) ** 2


def _log_likelihood(z: np.ndarray, hits: np.ndarray, misses: np.ndarray, axes: list[np.ndarray]) -> np.ndarray:
    """Of every curve of a grid, in its shape."""
    middle, log_width, lack, low = axes
    rise = expit((z - middle[:, None, None]) / np.exp(log_width)[:, None])
    found = np.empty([len(axis) for axis in axes])
    for i, ceiling in enumerate(1 - lack**2):
        for j, floor in enumerate(ceiling * low**2):
            probability = np.clip(floor + (ceiling - floor) * rise, _TINY, 1 - _TINY)
            found[:, :, i, j] = np.log(probability) @ hits + np.log1p(-probability) @ misses
    return found


def _support(weights: np.ndarray, axes: list[np.ndarray], number: int) -> tuple[float, float]:
    """Where an axis has weight, one step more on either side."""
    margin = weights.sum(axis=tuple(other for other in range(4) if other != number))
    kept = np.flatnonzero(margin > _LEAST * margin.max())
    axis = axes[number]
    return float(axis[max(kept[0] - 1, 0)]), float(axis[min(kept[-1] + 1, len(axis) - 1)])


def _quantiles(values: np.ndarray, weights: np.ndarray, *quantiles: float) -> list[np.ndarray]:
    """(points,) weighted quantiles of (c, points) values: the least of them that so much weight does not exceed."""
    order = np.argsort(values, axis=0)
    reached = np.cumsum(weights[order], axis=0)
    columns = np.arange(values.shape[1])
    places = [(reached >= quantile * reached[-1]).argmax(axis=0) for quantile in quantiles]
    return [values[order[place, columns], columns] for place in places]
