"""Confidence intervals as functions on arrays; every function returns lower and upper ends.

Score interval: Wilson (1927), with the number of trials that the standard error amounts to, as Korn & Graubard (1998)
do for exact bounds. Percentile and BCa: Efron & Tibshirani, "An Introduction to the Bootstrap" (1993), sections 13.3
and 14.3; the acceleration for strata: Davison & Hinkley, "Bootstrap Methods and their Application" (1997), section
5.3.2. Ratio of two rates from their intervals: Zou & Donner, "Construction of confidence limits about effect measures:
a general approach", Statistics in Medicine 27 (2008). Corrected resampled t: Nadeau & Bengio, "Inference for the
Generalization Error" (2003). AUROC: DeLong et al. (1988), for clusters Obuchowski (1997).
"""

from __future__ import annotations

import numpy as np
from scipy.special import betaincinv, expit, logit, ndtr, ndtri, stdtrit

__all__ = [
    "BOUNDS",
    "INTERVALS",
    "bca_interval",
    "clopper_pearson_interval",
    "corrected_t_interval",
    "delong_components",
    "delong_interval",
    "deviation_interval",
    "logit_interval",
    "naive_t_interval",
    "odds_interval",
    "percentile_interval",
    "score_interval",
    "wilson_interval",
]

# Name in options and tables -> what it is.
INTERVALS = {
    "object-bootstrap": "bootstrap over objects, thresholds chosen anew in each replicate; score interval",
    "object-bootstrap-percentile": "percentiles of the same replicates",
    "object-bootstrap-bca": "the same replicates, bias-corrected and accelerated",
    "corrected-t": "Nadeau and Bengio's corrected resampled t over folds",
    "clopper-pearson": "exact binomial bounds for rates of objects",
    "wilson": "Wilson's score interval for rates of objects",
    "delong": "DeLong's interval for the AUROC, components summed by object",
    "naive-picture-bootstrap": "bootstrap over pictures as if they were independent; for contrast only",
    "naive-t": "t interval as if the folds were independent; for contrast only",
}

# Not among them: the ends of `object-bootstrap` for one-sided verdicts, see `bounds`; computed where asked for by name.
BOUNDS = "object-bootstrap-bounds"

Ends = tuple[np.ndarray, np.ndarray]


def deviation_interval(
    estimate: np.ndarray,
    replicates: np.ndarray,
    objects: np.ndarray,
    degrees: np.ndarray | float,
    ranking: np.ndarray,
    confidence: float,
    least: np.ndarray | float = 0.0,
) -> Ends:
    """Score intervals from the standard deviation of bootstrap replicates, which is what the bootstrap gets right.

    Their percentiles cover too little where the metric is near its limit, above all the AUROC, and too much where
    thresholds jump between few values. For metrics of ranking each end is the outer one of the score interval and of
    the t interval on the logit scale (docs/coverage.md has the simulations behind both choices). A class of one object
    is the same in every replicate, so its share of the deviation is missing: then the trials are at most the objects,
    as if each were wholly right or wrong.

    Arguments:
        estimate: (e,) in [0, 1].
        replicates: (e, b) bootstrap replicates on the same scale.
        objects: (e, 2) how many objects of either class the estimate rests on.
        degrees: of freedom of t, of all or (e,).
        ranking: (e,) bool, metrics of ranking.
        confidence: in (0, 1).
        least: (e,) standard error that the deviation is not less than.
    """
    smaller = objects.min(axis=1)
    deviation = np.maximum(_deviation(replicates) * np.sqrt(smaller / np.maximum(smaller - 1, 1)), least)
    low, high = score_interval(
        estimate,
        deviation,
        # Their harmonic mean; 0 where a defect type was never judged, whose estimate is NaN.
        objects=2 * objects.prod(axis=1) / np.maximum(objects.sum(axis=1), 1),
        degrees=np.full(len(estimate), degrees),
        confidence=confidence,
        few_errors=np.where(smaller < 2, np.inf, np.where(ranking, 0.0, 1.0)),
    )
    outer = logit_interval(estimate, deviation, np.maximum(smaller - 1, 1), confidence)
    return np.where(ranking, np.fmin(low, outer[0]), low), np.where(ranking, np.fmax(high, outer[1]), high)


def score_interval(
    estimate: np.ndarray,
    deviation: np.ndarray,
    objects: np.ndarray,
    degrees: np.ndarray,
    confidence: float,
    few_errors: np.ndarray | float = 1.0,
) -> Ends:
    """Wilson's score interval with as many trials as the standard error amounts to.

    All values x with |estimate - x| <= t sqrt(x (1 - x) / m), where m = estimate (1 - estimate) / deviation^2 is the
    effective number of trials. Near 0 and 1 the standard error says too little: with errors (or hits) worth less than
    `few_errors` objects, m is at most the number of objects.

    Arguments:
        estimate: (e,) in [0, 1].
        deviation: (e,) standard error.
        objects: (e,) how many objects the estimate rests on.
        degrees: (e,) degrees of freedom of t.
        confidence: in (0, 1).
        few_errors: see above; 0: only estimates of exactly 0 or 1.
    """
    t = stdtrit(degrees, (1 + confidence) / 2)
    with np.errstate(invalid="ignore", divide="ignore"):
        trials = estimate * (1 - estimate) / deviation**2
        few = np.minimum(estimate, 1 - estimate) * objects < few_errors
        trials = np.where(few, np.minimum(trials, objects), trials)
        trials = np.where((trials > 0) & np.isfinite(trials), trials, objects)
        shrink = 1 + t**2 / trials
        centre = (estimate + t**2 / (2 * trials)) / shrink
        half = t * np.sqrt(estimate * (1 - estimate) / trials + t**2 / (4 * trials**2)) / shrink
    return _keep_nan(estimate, centre - half), _keep_nan(estimate, centre + half)


def logit_interval(estimate: np.ndarray, deviation: np.ndarray, degrees: np.ndarray, confidence: float) -> Ends:
    """t interval on the scale of the logarithm of the odds; NaN for estimates of 0 and 1."""
    t = stdtrit(degrees, (1 + confidence) / 2)
    inside = (estimate > 0) & (estimate < 1)
    safe = np.where(inside, estimate, 0.5)
    half = t * deviation / (safe * (1 - safe))
    low, high = (expit(logit(safe) + sign * half) for sign in (-1, 1))
    return np.where(inside, low, np.nan), np.where(inside, high, np.nan)


def odds_interval(
    first: tuple[float, float, float], second: tuple[float, float, float], odds: float
) -> tuple[float, float]:
    """Interval of s = x / (1 + x) with x = odds a / b, for rates a and b whose own intervals are known.

    The distances of log a and log b to their ends are added in quadrature (Zou & Donner 2008), as if the two were
    independent. A threshold moves recall and overkill rate the same way, which makes their ratio vary less than that.

    Arguments:
        first: estimate of a with its lower and upper end, in [0, 1].
        second: the same of b.
        odds: above 0.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        (a, a_low, a_high), (b, b_low, b_high) = np.log(first), np.log(second)
        # What is 0 has infinitely far to go to its upper end, and then only that end counts.
        low = a - np.hypot(a - a_low, b_high - b) - b if np.isfinite(b) else a - b_high
        high = a + np.hypot(a_high - a, b - b_low) - b if np.isfinite(a) else a_high - b
    ends = expit(np.array((low, high)) + np.log(odds))
    return float(0.0 if np.isneginf(a) else ends[0]), float(1.0 if np.isneginf(b) else ends[1])


def percentile_interval(replicates: np.ndarray, confidence: float) -> Ends:
    """Percentiles of the replicates.

    Arguments:
        replicates: (e, b) replicates of e estimates; NaN replicates do not count.
        confidence: in (0, 1).
    """
    tail = (1 - confidence) / 2
    return _quantiles(replicates, np.full((len(replicates), 2), (tail, 1 - tail)))


def bca_interval(
    estimate: np.ndarray, replicates: np.ndarray, left_out: np.ndarray, strata: np.ndarray, confidence: float
) -> Ends:
    """Bias-corrected and accelerated percentiles.

    Arguments:
        estimate: (e,) estimates from the data.
        replicates: (e, b) bootstrap replicates.
        left_out: (e, n) estimates with one object, or one of n groups of objects, left out at a time.
        strata: (n,) stratum of each of these.
        confidence: in (0, 1).
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        # Replicates equal to the estimate count half; few-valued estimates would otherwise be shifted.
        below = (replicates < estimate[:, None]).sum(axis=1) + (replicates == estimate[:, None]).sum(axis=1) / 2
        bias = ndtri(below / (~np.isnan(replicates)).sum(axis=1))
        cubes, squares = np.zeros(len(estimate)), np.zeros(len(estimate))
        for stratum in np.unique(strata):
            part = left_out[:, strata == stratum]
            part = np.where(np.isnan(part), estimate[:, None], part)
            size = part.shape[1]
            influence = (size - 1) * (part.mean(axis=1, keepdims=True) - part)
            cubes += (influence**3).sum(axis=1) / size**3
            squares += (influence**2).sum(axis=1) / size**2
        acceleration = np.where(squares > 0, cubes / (6 * squares**1.5), 0.0)
        levels = np.empty((len(estimate), 2))
        for side, z in enumerate(ndtri([(1 - confidence) / 2, (1 + confidence) / 2])):
            shifted = bias + z
            levels[:, side] = ndtr(bias + shifted / (1 - acceleration * shifted))
    return _quantiles(replicates, levels)


def naive_t_interval(folds: np.ndarray, confidence: float) -> Ends:
    """t interval over folds as if they were independent; they are not, so it is too narrow.

    Arguments:
        folds: (e, k) value of each fold, k >= 2; NaN folds do not count.
        confidence: in (0, 1).
    """
    return _t_interval(folds, confidence, 0.0)


def corrected_t_interval(folds: np.ndarray, ratio: float, confidence: float) -> Ends:
    """t interval with the variance of the mean corrected for the overlap of the folds (Nadeau & Bengio, section 3).

    Arguments:
        folds: (e, k) value of each fold, k >= 2; NaN folds do not count.
        ratio: size of the judged partition over the size of the one learned from.
        confidence: in (0, 1).
    """
    return _t_interval(folds, confidence, ratio)


def clopper_pearson_interval(rate: np.ndarray, objects: float, confidence: float) -> Ends:
    """Exact binomial bounds.

    Arguments:
        rate: observed rates; rate x objects need not be whole.
        objects: how many objects were judged.
        confidence: in (0, 1).
    """
    tail = (1 - confidence) / 2
    hits = np.clip(np.asarray(rate, dtype=np.float64) * objects, 0, objects)
    misses = objects - hits
    with np.errstate(invalid="ignore"):
        low = np.where(hits > 0, betaincinv(np.where(hits > 0, hits, 1), misses + 1, tail), 0.0)
        high = np.where(misses > 0, betaincinv(hits + 1, np.where(misses > 0, misses, 1), 1 - tail), 1.0)
    return np.where(np.isnan(hits), np.nan, low), np.where(np.isnan(hits), np.nan, high)


def wilson_interval(rate: np.ndarray, objects: float, confidence: float) -> Ends:
    """Wilson's score interval (1927); arguments as for `clopper_pearson_interval`."""
    z = ndtri((1 + confidence) / 2)
    rate = np.asarray(rate, dtype=np.float64)
    shrink = 1 + z**2 / objects
    centre = (rate + z**2 / (2 * objects)) / shrink
    half = z * np.sqrt(rate * (1 - rate) / objects + z**2 / (4 * objects**2)) / shrink
    return np.clip(centre - half, 0, 1), np.clip(centre + half, 0, 1)


def delong_components(score: np.ndarray, label: np.ndarray) -> np.ndarray:
    """(n,) placement values: for each row, the share of the other class's scores on the right side of its own.

    The mean over the rows of one class is the AUROC; ties count half.
    """
    positives, negatives = np.sort(score[label]), np.sort(score[~label])
    placement = np.empty(len(score))
    for here, others, sign in ((label, negatives, 1), (~label, positives, -1)):
        below = np.searchsorted(others, score[here], "left") + np.searchsorted(others, score[here], "right")
        share = below / (2 * len(others))
        placement[here] = share if sign > 0 else 1 - share
    return placement


def delong_interval(auroc: float, influence: np.ndarray, strata: np.ndarray, confidence: float) -> tuple[float, float]:
    """Normal interval for the AUROC from the objects' influence on it, cut off at 0 and 1.

    With one picture an object and one fold this is DeLong's interval; with several pictures an object the
    components of an object are summed (Obuchowski 1997), and so they are over folds.

    Arguments:
        auroc: estimate.
        influence: (n,) change of the estimate due to each object; sums to 0 in each stratum.
        strata: (n,) bool, class of each object.
        confidence: in (0, 1).
    """
    variance = 0.0
    for stratum in (False, True):
        part = influence[strata == stratum]
        variance += float((part**2).sum()) * len(part) / max(len(part) - 1, 1)
    half = float(ndtri((1 + confidence) / 2)) * variance**0.5
    return max(auroc - half, 0.0), min(auroc + half, 1.0)


def _deviation(replicates: np.ndarray) -> np.ndarray:
    valid = ~np.isnan(replicates)
    count = np.maximum(valid.sum(axis=1, keepdims=True), 1)
    centred = np.where(valid, replicates, 0)
    centred -= centred.sum(axis=1, keepdims=True) / count
    return np.sqrt((np.where(valid, centred, 0) ** 2).sum(axis=1) / count[:, 0])


def _keep_nan(estimate: np.ndarray, end: np.ndarray) -> np.ndarray:
    return np.where(np.isnan(estimate), np.nan, np.clip(end, 0, 1))


def _t_interval(folds: np.ndarray, confidence: float, ratio: float) -> Ends:
    count = (~np.isnan(folds)).sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.nansum(folds, axis=1) / count
        deviation = np.nansum((folds - mean[:, None]) ** 2, axis=1) / (count - 1)
        half = stdtrit(count - 1.0, (1 + confidence) / 2) * np.sqrt((1 / count + ratio) * deviation)
        half = np.where(count >= 2, half, np.nan)
    return mean - half, mean + half


def _quantiles(replicates: np.ndarray, levels: np.ndarray) -> Ends:
    """Quantiles at each row's own two levels, linearly interpolated; NaN replicates sort last and do not count."""
    ordered = np.sort(replicates, axis=1)
    count = ordered.shape[1] - np.isnan(ordered).sum(axis=1)
    ends = []
    for side in range(2):
        level = levels[:, side]
        position = np.where(np.isnan(level), 0, level) * np.maximum(count - 1, 0)
        lower = np.floor(position).astype(np.int64)
        upper = np.minimum(lower + 1, np.maximum(count - 1, 0))
        rows = np.arange(len(ordered))
        part = position - lower
        # Equal neighbours must not pick up a rounding error.
        low, high = ordered[rows, lower], ordered[rows, upper]
        value = np.where(low == high, low, low + part * (high - low))
        ends.append(np.where((count > 0) & ~np.isnan(level), value, np.nan))
    return ends[0], ends[1]
