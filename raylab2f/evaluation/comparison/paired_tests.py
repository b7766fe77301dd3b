"""Tests for paired differences, as functions on arrays.

Corrected resampled t: Nadeau & Bengio, "Inference for the Generalization Error", Machine Learning 52 (2003), section 3.
Bayesian correlated t: Corani & Benavoli, "A Bayesian approach for comparing cross-validated algorithms on multiple data
sets", Machine Learning 100 (2015), section 2; region of practical equivalence: Benavoli, Corani, Demšar & Zaffalon,
"Time for a Change", JMLR 18 (2017), section 3.1. Replicability: Bouckaert, "Estimating replicability of classifier
learning experiments", ICML 2004. Step-down adjustment: Holm, "A simple sequentially rejective multiple test
procedure", Scandinavian Journal of Statistics 6 (1979).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import stdtr, stdtrit

__all__ = ["TTest", "corrected_t_test", "correlated_t_posterior", "holm", "sign_replicability", "t_test"]


@dataclass(frozen=True)
class TTest:
    """A difference with its t interval and the two-sided p value of "no difference"; the two agree."""

    low: float
    high: float
    p: float


def t_test(difference: float, error: float, degrees: float, confidence: float) -> TTest:
    """t interval and test.

    Arguments:
        difference: estimate.
        error: its standard error, >= 0.
        degrees: of freedom.
        confidence: of the interval, in (0, 1).
    """
    half = float(stdtrit(degrees, (1 + confidence) / 2)) * error
    if error == 0:
        return TTest(difference, difference, 1.0 if difference == 0 else 0.0)
    return TTest(difference - half, difference + half, float(2 * stdtr(degrees, -abs(difference) / error)))


def corrected_t_test(folds: np.ndarray, ratio: float, confidence: float) -> TTest | None:
    """The corrected resampled t test; `None` with fewer than two folds.

    Arguments:
        folds: (k,) difference in each fold, finite.
        ratio: size of the judged partition over the size of the one learned from; the variance of the mean is taken
            as (1 / k + ratio) times the variance between folds.
        confidence: of the interval, in (0, 1).
    """
    if len(folds) < 2:
        return None
    return t_test(float(folds.mean()), _corrected_error(folds, ratio), len(folds) - 1, confidence)


def correlated_t_posterior(folds: np.ndarray, ratio: float, rope: float) -> tuple[float, float, float] | None:
    """Posterior probabilities that the mean difference lies below, within and above [-rope, rope].

    The posterior is Student's t with k - 1 degrees of freedom around the mean, with the scale of the corrected t test:
    with the correlation rho = ratio / (1 + ratio) between folds, 1 / k + rho / (1 - rho) = 1 / k + ratio. If all folds
    have the same difference, it is that value.

    Arguments:
        folds: (k,) difference in each fold, finite.
        ratio: size of the judged partition over the size of the one learned from.
        rope: half-width of the region of practical equivalence, >= 0, in the unit of the metric.

    Returns:
        Three numbers that sum to 1; `None` with fewer than two folds.
    """
    if len(folds) < 2:
        return None
    mean, scale, degrees = float(folds.mean()), _corrected_error(folds, ratio), len(folds) - 1
    if scale == 0:
        return float(mean < -rope), float(-rope <= mean <= rope), float(mean > rope)
    below = float(stdtr(degrees, (-rope - mean) / scale))
    above = float(stdtr(degrees, (mean - rope) / scale))
    return below, max(1 - below - above, 0.0), above


def sign_replicability(folds: np.ndarray) -> float | None:
    """How often two repeats of the experiment agree on which of the two is better.

    Bouckaert's estimator is the share of pairs of repeats with the same outcome of the experiment. A repeat here is a
    fold: another split of the same objects and another training; a fold holds one value, hence no test whose
    acceptance could be compared, so its outcome is the sign of the difference (better, equal, worse), on which
    people act. With n+, n0 and n- folds of each sign: [C(n+, 2) + C(n0, 2) + C(n-, 2)] / C(k, 2). It lies
    in [0, 1]; 1: all folds agree; about 0.5: which is better depends on the split. Repeats with new objects would agree
    less often.

    Arguments:
        folds: (k,) difference in each fold, finite.

    Returns:
        The share; `None` with fewer than two folds.
    """
    count = len(folds)
    if count < 2:
        return None
    signs = np.array([(folds > 0).sum(), (folds == 0).sum(), (folds < 0).sum()])
    return float((signs * (signs - 1)).sum() / (count * (count - 1)))


def holm(p: np.ndarray) -> np.ndarray:
    """Holm's adjusted p values: comparing them with alpha keeps the chance of any false rejection at alpha.

    Arguments:
        p: (n,) p values; NaN ones are not tests and stay NaN.

    Returns:
        (n,) the i-th smallest of m values times (m - i + 1), made monotone, at most 1.
    """
    adjusted = np.full(len(p), np.nan)
    tests = np.flatnonzero(~np.isnan(p))
    order = tests[np.argsort(p[tests], kind="stable")]
    factors = np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * factors), 1.0)
    return adjusted


def _corrected_error(folds: np.ndarray, ratio: float) -> float:
    # Differences that are equal but for rounding have no variance.
    if np.ptp(folds) <= 1e-12 * max(1.0, float(np.abs(folds).max())):
        return 0.0
    return float(np.sqrt((1 / len(folds) + ratio) * folds.var(ddof=1)))
