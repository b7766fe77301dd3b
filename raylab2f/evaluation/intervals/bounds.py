"""One-sided bounds of rates of one class, for verdicts: an end that is a little too near says "shown" too often.

Two things are taken more strictly than in the two-sided default (`deviation_interval`), whose ends err on both sides.

**Degrees of freedom.** A rate of one class rests on the objects of that class, so its standard error has one degree of
freedom less than there are of them, as in a survey whose primary units are the objects (Korn & Graubard,
"Confidence intervals for proportions with small expected number of positive counts estimated from survey data",
Survey Methodology 24, 1998).

**Shape.** A score interval takes the variance at another rate x from the binomial distribution, V(x) proportional to
x (1 - x). In any exponential family V'(x) = k3 / k2, the ratio of third to second cumulant (Morris, "Natural
exponential families with quadratic variance functions", Annals of Statistics 10, 1982; as a family through the
resampled data: DiCiccio & Romano, "Nonparametric confidence limits by resampling methods and least favorable families",
International Statistical Review 58, 1990). Where the pictures of an object are decided differently, and some objects
are much harder than others, the replicates are more skewed than binomial rates: a sample that happens to hold few hard
objects has a low rate and too small a standard error at once. So at picture level each end is the outer one of the
score interval and of that with V(x) = s^2 (1 + g (x - p) / s), for a standard error s and a skewness g of the
replicates, both corrected for the number of objects (g: the G1 of Joanes & Gill, "Comparing measures of sample skewness
and kurtosis", The Statistician 47, 1998). What this mends and what it costs: benchmarks/acceptance.md.
"""

from __future__ import annotations

import numpy as np
from scipy.special import stdtrit

from raylab2f.evaluation.intervals.methods import Ends

__all__ = ["outer_skewed_bounds", "skewed_interval"]


def outer_skewed_bounds(
    ends: Ends, estimate: np.ndarray, replicates: np.ndarray, objects: np.ndarray, confidence: float
) -> Ends:
    """Move ends of score intervals of picture rates outwards to those of `skewed_interval`, where these lie outside.

    A rate whose standard error is that of fewer trials than there are objects is left as it is: it says no more than
    objects that are each wholly right or wrong, whose rates are binomial.

    Arguments:
        ends: (e,) lower and upper ends in [0, 1].
        estimate: (e,) rates in [0, 1]; NaN stays NaN.
        replicates: (e, b) of the bootstrap over objects; NaN replicates do not count.
        objects: (e,) of the class, above 0.
        confidence: in (0, 1), two-sided.
    """
    known = ~np.isnan(replicates)
    count = np.maximum(known.sum(axis=1), 1)
    centred = np.where(known, replicates, 0.0)
    centred = np.where(known, centred - (centred.sum(axis=1) / count)[:, None], 0.0)
    plain = np.sqrt((centred**2).sum(axis=1) / count)
    skewness = (centred**3).sum(axis=1) / count / np.maximum(plain, 1e-12) ** 3
    skewness *= np.sqrt(objects * (objects - 1)) / np.maximum(objects - 2, 1)
    deviation = plain * np.sqrt(objects / np.maximum(objects - 1, 1))
    low, high = skewed_interval(estimate, deviation, skewness, np.maximum(objects - 1, 1), confidence)
    several = estimate * (1 - estimate) > objects * deviation**2
    return (
        np.where(several, np.fmin(ends[0], np.maximum(low, 0.0)), ends[0]),
        np.where(several, np.fmax(ends[1], np.minimum(high, 1.0)), ends[1]),
    )


def skewed_interval(
    estimate: np.ndarray, deviation: np.ndarray, skewness: np.ndarray, degrees: np.ndarray, confidence: float
) -> Ends:
    """All values x with |estimate - x| <= t s sqrt(1 + g (x - estimate) / s), not cut off.

    Arguments:
        estimate: (e,) any numbers.
        deviation: (e,) standard errors s.
        skewness: (e,) g, of the estimates.
        degrees: (e,) degrees of freedom of t.
        confidence: in (0, 1).
    """
    t = stdtrit(degrees, (1 + confidence) / 2)
    # In units of s, d^2 = t^2 (1 + g d).
    half, shift = np.hypot(t, t**2 * skewness / 2), t**2 * skewness / 2
    return estimate + deviation * (shift - half), estimate + deviation * (shift + half)
