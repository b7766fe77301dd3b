"""How much thresholds vary, from the folds: each fold chose its own on another part of the same objects.

Of two thresholds that weigh costs, one often hangs on the few scores of a class that lie furthest out. A bootstrap
draws these again and again, so its replicates vary too little (for extremes it is not even consistent: Bickel &
Freedman, "Some asymptotic theory for the bootstrap", Annals of Statistics 9, 1981). Samples without replacement do not
have this fault: leaving out d of n objects at a time, the variance between the figures that the r = n - d others give,
times r / d, is a consistent estimate of the variance of the figure of all for quantiles, too (delete-d jackknife:
Shao & Wu, "A general theory for jackknife variance estimation", Annals of Statistics 17, 1989). The threshold
partitions of random folds are such samples. Folds differ also by what else is random in a training and by which
objects they judge, so this errs towards too much.
"""

from __future__ import annotations

import numpy as np

from raylab2f.evaluation.outcomes.judging import Problem

__all__ = ["threshold_deviation"]


def threshold_deviation(problem: Problem, folds: np.ndarray) -> np.ndarray:
    """(e,) standard error that the differences between folds amount to; 0 with fewer than two folds.

    Arguments:
        problem: ranked scores.
        folds: (e, k) value of each fold; NaN folds do not count.
    """
    chosen = float(np.mean([len(np.unique(cell[problem.levels[0]].threshold.owner)) for cell in problem.cells]))
    count = (~np.isnan(folds)).sum(axis=1)
    mean = np.nansum(folds, axis=1) / np.maximum(count, 1)
    variance = np.nansum((folds - mean[:, None]) ** 2, axis=1) / np.maximum(count - 1, 1)
    return np.sqrt(variance * chosen / max(len(problem.strata) - chosen, 1.0))
