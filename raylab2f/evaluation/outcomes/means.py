"""From the values of the folds to one estimate."""

from __future__ import annotations

import numpy as np

from raylab2f.evaluation.outcomes.judging import Estimate, Problem
from raylab2f.evaluation.outcomes.metrics import AUTOMATIC_RATES, PREVALENCE_RATIOS, prevalence_metrics
from raylab2f.evaluation.outcomes.reviewing import automatic_rate

__all__ = ["fold_mean", "mean_outcomes"]


def mean_outcomes(problem: Problem, values: np.ndarray) -> np.ndarray:
    """Every estimate: the mean over folds, but for `MEAN_RATE_RATIOS`, which are computed from mean rates.

    Those at a prevalence are made of the means over folds of recall and overkill rate. A fold judges few good
    objects, so many a fold sees no false alarm and would count as a precision of 1, however rare defects are: the mean
    of the folds' ratios would promise far too much. So it is with the error rates of what is decided without a person,
    where a fold reviews all but a few objects of a class.

    Arguments:
        problem: says what the rows are.
        values: (estimates, folds, b) as of `judge`; NaN where a fold gives none.

    Returns:
        (estimates, b), NaN where no fold gives a value.
    """
    means = fold_mean(values)
    place = {estimate: index for index, estimate in enumerate(problem.estimates)}
    for estimate, index in place.items():
        if estimate.metric in PREVALENCE_RATIOS:
            recall, overkill_rate = (
                means[place[Estimate(estimate.strategy, estimate.level, rate)]] for rate in ("recall", "overkill_rate")
            )
            means[index] = prevalence_metrics(recall, overkill_rate, problem.costs)[estimate.metric]
        if estimate.metric in AUTOMATIC_RATES:
            errors, reviewed = (
                means[place[Estimate(estimate.strategy, estimate.level, rate)]]
                for rate in AUTOMATIC_RATES[estimate.metric]
            )
            means[index] = automatic_rate(errors, reviewed)
    return means


def fold_mean(values: np.ndarray) -> np.ndarray:
    """Mean over axis 1 (folds) of the values that are not NaN; NaN where there is none."""
    missing = np.isnan(values)
    if not missing.any():
        return values.mean(axis=1)
    count = values.shape[1] - missing.sum(axis=1)
    with np.errstate(invalid="ignore"):
        return np.where(missing, 0, values).sum(axis=1) / np.where(count > 0, count, np.nan)
