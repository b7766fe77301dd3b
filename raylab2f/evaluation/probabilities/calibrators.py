"""From scores to probabilities of being defective: calibrators, fitted on labelled scores that judged nothing.

`isotonic`: the non-decreasing function of the score that is nearest to the labels in squares, between scores a straight
line (Zadrozny & Elkan, "Transforming Classifier Scores into Accurate Multiclass Probability Estimates", KDD 2002). It
says 0 and 1 where it has seen one class only, however few parts that were.

`venn-abers`: inductive Venn-Abers predictors (Vovk & Petej, "Venn-Abers Predictors", UAI 2014). The score to be judged
is added to the others twice, once as good and once as defective; the isotonic fits give two probabilities p0 <= p1, one
of which is right as long as parts are exchangeable. The one probability is p1 / (1 - p0 + p1), which loses least in the
worst case under log loss (there, section 4), and lies between 0 and 1. Both fits of all scores together take linear
time (Vovk, Petej & Fedorova, "Large-scale probabilistic predictors with and without guarantees of validity", NeurIPS
2015, algorithms 1 to 4).

A calibrator knows defects as often as they were where it was fitted; `at_prevalence` moves probabilities to another
share of defective parts by Bayes' rule, which takes for granted that scores within each class stay as they were.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.optimize import isotonic_regression

__all__ = ["CALIBRATORS", "Calibrated", "at_prevalence", "isotonic", "venn_abers"]


@dataclass(frozen=True)
class Calibrated:
    """Probabilities of being defective, each (n,) in [0, 1].

    Arguments:
        value: the probability.
        low, high: p0 and p1 of Venn-Abers; equal to `value` for calibrators of one probability.
    """

    value: np.ndarray
    low: np.ndarray
    high: np.ndarray


def isotonic(score: np.ndarray, positive: np.ndarray, total: np.ndarray, wanted: np.ndarray) -> Calibrated:
    """Isotonic regression.

    Arguments:
        score: (m,) distinct scores, ascending.
        positive: (m,) weight of the defective ones with each score.
        total: (m,) weight of all with each score, above 0.
        wanted: (n,) scores to be judged.
    """
    fitted = isotonic_regression(positive / total, weights=total).x
    value = np.interp(wanted, score, np.clip(fitted, 0, 1))
    return Calibrated(value, value, value)


def venn_abers(score: np.ndarray, positive: np.ndarray, total: np.ndarray, wanted: np.ndarray) -> Calibrated:
    """Inductive Venn-Abers; arguments as for `isotonic`. What is added has the weight 1."""
    as_defective = _with_one_defective(positive, total)
    # As good it is the same with classes and order reversed.
    as_good = 1 - _with_one_defective((total - positive)[::-1], total[::-1])[::-1]
    high = as_defective[np.searchsorted(score, wanted, side="left")]
    low = as_good[np.searchsorted(score, wanted, side="right")]
    return Calibrated(high / (1 - low + high), low, high)


#: By name in options.
CALIBRATORS: Mapping[str, Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray], Calibrated]] = {
    "isotonic": isotonic,
    "venn-abers": venn_abers,
}


def at_prevalence(found: Calibrated, share: float, prevalence: float) -> Calibrated:
    """Probabilities where a share `prevalence` of the parts is defective, from those at `share`; both in (0, 1)."""
    odds = prevalence / (1 - prevalence) / (share / (1 - share))

    def moved(value: np.ndarray) -> np.ndarray:
        return odds * value / (odds * value + 1 - value)

    return Calibrated(*(moved(value) for value in (found.value, found.low, found.high)))


def _with_one_defective(positive: np.ndarray, total: np.ndarray) -> np.ndarray:
    """(m + 1,) isotonic fit of one defective part that is added below the first, second, ..., beyond the last score.

    Sums of labels over sums of weights are points; a fit is a slope of their greatest convex minorant. The part that is
    added moves all points before it by (-1, -1): the slope wanted is that of the line that touches from below the moved
    points as well as the others. From one score to the next, one point changes sides.
    """
    x, y = np.concatenate(([-1.0, 0.0], np.cumsum(total))), np.concatenate(([-1.0, 0.0], np.cumsum(positive)))
    points = list(zip(x.tolist(), y.tolist(), strict=True))
    hull: list[tuple[float, float]] = []
    for point in points:
        while len(hull) > 1 and _turns_down(hull[-2], hull[-1], point):
            hull.pop()
        hull.append(point)
    hull.reverse()
    slopes = []
    left = points[0]
    for (x0, y0), (x1, y1) in pairwise(points[1:]):
        first, second = hull[-1], hull[-2]
        slopes.append((second[1] - first[1]) / (second[0] - first[0]))
        left = left[0] + x1 - x0, left[1] + y1 - y0
        if not _turns_down(first, second, left):
            # At or above the line: the line stays.
            continue
        hull.pop()
        while hull and hull[-1][0] <= left[0]:
            hull.pop()
        while len(hull) > 1 and _turns_down(left, hull[-1], hull[-2]):
            hull.pop()
        hull.append(left)
    return np.array([*slopes, 1.0])


def _turns_down(first: tuple[float, float], middle: tuple[float, float], last: tuple[float, float]) -> bool:
    """Whether the way over three points turns clockwise, or goes straight on."""
    return (middle[0] - first[0]) * (last[1] - first[1]) <= (middle[1] - first[1]) * (last[0] - first[0])
