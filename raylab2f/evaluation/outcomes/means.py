"""From the values of the folds to one estimate."""

from __future__ import annotations

import numpy as np

from raylab2f.evaluation.outcomes.judging import Estimate, Problem
from raylab2f.evaluation.outcomes.metrics import MEAN_RATE_RATIOS, prevalence_metrics

__all__ = ["fold_mean", "mean_outcomes"]


def mean_outcomes(problem: Problem, values: np.ndarray) -> np.ndarray:
    """Every estimate: the mean over folds, but for the ratios at a prevalence.

    `MEAN_RATE_RATIOS` are computed from the means over folds of recall and overkill rate. A fold judges few good
    objects, so many a fold sees no false alarm and would count as a precision of 1, however rare defects are: the mean
    of the folds' ratios would promise far too much.

    Arguments:
        problem: says what the rows are.
        values: (estimates, folds, b) as of `judge`; NaN where a fold gives none.

    Returns:
        (estimates, b), NaN where no fold gives a value.
    """
    means = fold_mean(values)
    place = {estimate: index for index, estimate in enumerate(problem.estimates)}
    for estimate, index in place.items():
        if estimate.metric in MEAN_RATE_RATIOS:
            recall, overkill_rate = (
                means[place[Estimate(estimate.strategy, estimate.level, rate)]] for rate in ("recall", "overkill_rate")
            )
            means[index] = prevalence_metrics(recall, overkill_rate, problem.costs)[estimate.metric]
    return means


def fold_mean(values: np.ndarray) -> np.ndarray:
    """Mean over axis 1 (folds) of the values that are not NaN; NaN where there is none."""
    missing = np.isnan(values)
    if not missing.any():
        return values.mean(axis=1)
    count = values.shape[1] - missing.sum(axis=1)
    with np.errstate(invalid="ignore"):
        return np.where(missing, 0, values).sum(axis=1) / np.where(count > 0, count, np.nan)
