"""Decisions with a middle way: accept below the low threshold, reject from the high one up, a person looks between.

Decision rule: score < low is accepted, score >= high is rejected, what lies between is reviewed; low <= high. This is
classification with a reject option (Chow, "On optimum recognition error and reject tradeoff", 1970); the share that is
decided without a person is called coverage there.

| name | chooses | parameters |
|---|---|---|
| `two-sided` | low: the highest threshold for which at most a share `escape` of the anomalous scores is accepted; \
high: the lowest for which at most a share `overkill` of the nominal ones is rejected | `escape=0.01`, `overkill=0.02` |
| `review-cost` | the pair of smallest expected cost c_e q P(accepted if anomalous) + \
c_o (1 - q) P(rejected if nominal) \
+ c_r P(reviewed) | `escape=10`, `overkill=1`, `review=0.25`, \
`prevalence` q = the partition's share of anomalous ones |

`fixed-pair:LOW,HIGH` chooses nothing: these are the thresholds of every fold, at either level.

A review is assumed to decide rightly: it costs c_r and no error.

Where they lie. Both are chosen on the threshold partition, and only the order of the scores matters. The low threshold
is the lowest score that is not accepted, the high one the smallest number above the highest score that is reviewed: no
more is reviewed than the partition asks for. Nothing is known about the gaps on either side; a new score in the lower
one is accepted, in the upper one rejected. Where nothing is reviewed both are the same number, which lies where
strategies of one threshold put it: at the lowest score that is rejected, or just above all scores.

`two-sided` needs no review where the low threshold would come out above the high one. Then every threshold between
keeps both limits, and of these it takes `youden`'s: the highest with the largest recall + specificity - 1. So neither
allowance is used up where that gains nothing.

`review-cost`: of equally cheap pairs the one with the highest low threshold, and then with the lowest high one. A
review that costs as much as an escape or an overkill is never asked for (accepting or rejecting all that is reviewed
costs no more); the threshold is then that of `cost`. The expected cost is the sum of a term of the low and a term of
the high threshold, so the best pair takes one pass: with every low threshold goes the high one at which the other term
has its minimum so far.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from raylab2f.evaluation.decisions.curves import Curve, rank_scores, sweep
from raylab2f.evaluation.decisions.strategies import Strategy, parse_strategy
from raylab2f.evaluation.decisions.thresholds import cut_below, cuts, threshold_values, why_no_threshold

__all__ = ["PairChoice", "choose_pair", "cut_pairs"]

_ROUNDING = 1e-9  # as for strategies of one threshold


@dataclass(frozen=True)
class PairChoice:
    """Two thresholds, or why there are none.

    Arguments:
        low: what scores less is accepted; finite, or `None`.
        high: what scores as high or higher is rejected; not below `low`, and equal to it where nothing is reviewed.
        reason: one sentence where there are no thresholds.
    """

    low: float | None
    high: float | None
    reason: str | None = None


def choose_pair(
    strategy: Strategy | str, scores: np.ndarray, labels: np.ndarray, weights: np.ndarray | None = None
) -> PairChoice:
    """Choose both thresholds on one partition; a strategy of one threshold gives it twice.

    Arguments:
        strategy: or its text.
        scores: (n,) finite scores, higher means more anomalous.
        labels: (n,) 0 or 1.
        weights: (n,) how often each row counts, >= 0; `None`: once.

    Raises:
        UserError: an unknown strategy.
    """
    if isinstance(strategy, str):
        strategy = parse_strategy(strategy)
    if strategy.is_given:
        return PairChoice(*strategy.given)
    ranking = rank_scores(np.asarray(scores, dtype=np.float64), np.arange(len(scores)), np.asarray(labels, dtype=bool))
    counts = np.ones((len(scores), 1)) if weights is None else np.asarray(weights, dtype=np.float64)[:, None]
    curve = sweep(ranking, counts)
    low, high = (int(cut[0]) for cut in cut_pairs(strategy, curve))
    if low < 0:
        reason = why_no_threshold(strategy, round(curve.positives[0]), round(curve.negatives[0]))
        return PairChoice(None, None, reason)
    values = threshold_values(ranking)
    return PairChoice(float(values[low]), float(values[high]))


def cut_pairs(strategy: Strategy, curve: Curve) -> tuple[np.ndarray, np.ndarray]:
    """Low and high threshold, (b,) each: index into `threshold_values` for each weighting; -1 where there is none.

    For strategies of one threshold both are the same array, that of `cuts`, and `curve` is as there.
    """
    if not strategy.reviews:
        cut = cuts(strategy, curve)
        return cut, cut
    kept, rejected = _by_cost(strategy, curve) if strategy.name == "review-cost" else _by_shares(strategy, curve)
    low = cut_below(kept, curve)
    high = np.where(rejected < kept, len(curve.tp) - 1 + rejected, low)
    valid = (curve.positives > 0) & (curve.negatives > 0)
    return np.where(valid, low, -1), np.where(valid, high, -1)


def _by_shares(strategy: Strategy, curve: Curve) -> tuple[np.ndarray, np.ndarray]:
    """(b,) each: how many groups are not accepted, and how many are rejected."""
    tp, fp = curve.tp, curve.fp
    p, n = curve.positives, curve.negatives
    # Shares are below 1, so one score of either class is always left, whatever rounding says.
    needed = np.maximum(p - np.floor(strategy["escape"] * p + _ROUNDING), _ROUNDING)
    allowed = np.minimum(np.floor(strategy["overkill"] * n + _ROUNDING), n - _ROUNDING)
    kept = (tp < needed).sum(axis=0)
    rejected = (fp[1:] <= allowed).sum(axis=0)
    free = np.flatnonzero((kept <= rejected) & (p > 0) & (n > 0))
    if len(free):
        flagged = np.arange(len(tp))[:, None]
        between = (flagged >= kept[free]) & (flagged <= rejected[free])
        gain = np.where(between, tp[:, free] * n[free] - fp[:, free] * p[free], -np.inf)
        kept[free] = rejected[free] = gain.argmax(axis=0)
    return kept, rejected


def _by_cost(strategy: Strategy, curve: Curve) -> tuple[np.ndarray, np.ndarray]:
    """(b,) each, as `_by_shares`."""
    escape, overkill, review = (strategy[name] for name in ("escape", "overkill", "review"))
    prevalence = strategy.parameters["prevalence"]
    bad, good = curve.tp, curve.fp
    if prevalence is not None:
        bad, good = prevalence * bad * curve.negatives, (1 - prevalence) * good * curve.positives
    if review >= min(escape, overkill):
        kept = (escape * bad - overkill * good).argmax(axis=0)
        return kept, kept
    # Beside what is the same for all pairs: what the low threshold costs, and what the high one does.
    below = review * good - (escape - review) * bad
    above = (overkill - review) * good - review * bad
    least = np.minimum.accumulate(above, axis=0)
    kept = (below + least).argmin(axis=0)
    flagged = np.arange(len(above))[:, None]
    cheapest = (above == least[kept, np.arange(len(kept))]) & (flagged <= kept)
    return kept, len(above) - 1 - cheapest[::-1].argmax(axis=0)
