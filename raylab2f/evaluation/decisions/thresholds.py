"""Threshold strategies: from the scores of the threshold partition to a threshold.

Decision rule: a picture or object is flagged when score >= threshold. Strategies of two thresholds, between which a
person looks, stand in `two_thresholds`.

Where the threshold lies. Only the order of the scores matters, so that a monotone transform of the scores
changes no decision. There are two kinds of strategies:

- Those that look at the defects (`youden`, `gmean`, `closest-topleft`, `cost`, `f1`, `fbeta`, `mcc`,
  `target-recall`, `guaranteed-recall`), and `nominal-quantile`, put the threshold at a score of the threshold
  partition: the lowest score that is still flagged, as scikit-learn's `roc_curve` does. Equal scores are
  flagged together or not at all. Of several equally good thresholds the highest is taken. If flagging nothing
  is best, the threshold is the smallest number above the highest score, never infinity. Nothing is known about the
  gap below the threshold; with n defective scores and perfect separation, a new one falls into it with probability
  1 / (n + 1).
- `target-fpr` and `conformal` put it just above a nominal score: the smallest number above the highest nominal
  score that must be accepted.

Strategies and their parameters, with defaults; `c_e` and `c_o` are the costs of an escape and an overkill:

| name | chooses | parameters |
|---|---|---|
| `youden` | largest recall + specificity - 1 (Youden 1950) | |
| `gmean` | largest recall x specificity | |
| `closest-topleft` | smallest distance of the ROC point to (0, 1) | |
| `cost` | smallest expected cost c_e q (1 - recall) + c_o (1 - q) (1 - specificity) | `escape=10`, `overkill=1`, \
`prevalence` q = the partition's share of anomalous ones |
| `target-recall` | highest threshold with recall of at least r | `recall=0.95` |
| `target-fpr` | lowest threshold with false-alarm rate of at most r | `fpr=0.05` |
| `f1`, `fbeta` | largest F-score | `beta=2` (`fbeta` only) |
| `mcc` | largest Matthews correlation; 0 where undefined | |
| `nominal-quantile` | the q-quantile of the nominal scores (inverse of their distribution function) | `q=0.95` |
| `conformal` | a nominal score of a new object is flagged with probability of at most alpha (split conformal) \
| `alpha=0.05` |
| `guaranteed-recall` | highest threshold for which, with confidence 1 - delta, at most a share alpha of defective \
objects escapes | `alpha=0.1`, `delta=0.05` |

`fixed:T` chooses nothing: T is the threshold of every fold, at either level.

`guaranteed-recall` works on objects: m defective objects are exchangeable with those to come, so at a threshold
with miss rate above alpha at most k of them escape with probability at most P(Binomial(m, alpha) <= k). The largest k
with that probability at most delta is admissible (fixed-sequence testing from the lowest threshold upward:
Angelopoulos et al., "Learn then Test", 2021). Without such a k there is no threshold.

`conformal`: n nominal objects and the one to come are exchangeable, their pictures are not, for those of one object are
alike. So an object's nominal pictures share the weight of one object, and so much weight may be flagged as leaves
alpha (n + 1) with one object more (Lee, Barber & Willett, "Distribution-free inference with hierarchical data", 2023).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import bdtr

from raylab2f.errors import UserError
from raylab2f.evaluation.decisions.curves import Curve, Ranking, rank_scores, sweep
from raylab2f.evaluation.decisions.strategies import MOST_WEIGHT, STRATEGIES, Strategy, parse_strategy

__all__ = [
    "MOST_WEIGHT",
    "STRATEGIES",
    "Choice",
    "Strategy",
    "admissible_misses",
    "choose_threshold",
    "cut_below",
    "cuts",
    "nominal_shares",
    "objects_for_guarantee",
    "parse_strategy",
    "threshold_values",
    "why_no_threshold",
]

_ROUNDING = 1e-9  # absorbs rounding in products like 0.95 * 20 before they are rounded to whole objects


@dataclass(frozen=True)
class Choice:
    """A threshold, or why there is none.

    Arguments:
        threshold: finite, or `None`.
        reason: one sentence where there is no threshold.
    """

    threshold: float | None
    reason: str | None = None


def choose_threshold(
    strategy: Strategy | str, scores: np.ndarray, labels: np.ndarray, weights: np.ndarray | None = None
) -> Choice:
    """Choose a threshold on one partition.

    Arguments:
        strategy: or its text.
        scores: (n,) finite scores, higher means more anomalous; of objects for `guaranteed-recall`.
        labels: (n,) 0 or 1.
        weights: (n,) how often each row counts, >= 0; `None`: once. For pictures under `conformal`: 1 over the number
            of nominal pictures of the same object.

    Raises:
        UserError: an unknown strategy, or one of two thresholds.
    """
    if isinstance(strategy, str):
        strategy = parse_strategy(strategy)
    if strategy.reviews:
        raise UserError(f"The strategy '{strategy.text}' has two thresholds; choose them with choose_pair.")
    if strategy.is_given:
        return Choice(strategy.given[1])
    ranking = rank_scores(np.asarray(scores, dtype=np.float64), np.arange(len(scores)), np.asarray(labels, dtype=bool))
    counts = np.ones((len(scores), 1)) if weights is None else np.asarray(weights, dtype=np.float64)[:, None]
    curve = sweep(ranking, counts)
    cut = int(cuts(strategy, curve)[0])
    if cut < 0:
        return Choice(None, why_no_threshold(strategy, round(curve.positives[0]), round(curve.negatives[0])))
    return Choice(float(threshold_values(ranking)[cut]))


def threshold_values(ranking: Ranking) -> np.ndarray:
    """(2 g,) thresholds that cuts refer to: first at each distinct score, then just above each."""
    return np.concatenate((ranking.score, np.nextafter(ranking.score, np.inf)))


def nominal_shares(ranking: Ranking, objects: int) -> np.ndarray:
    """(objects,) 1 over the number of the object's nominal rows; 1 where it has none."""
    return 1 / np.maximum(np.bincount(ranking.owner[~ranking.label], minlength=objects), 1)


def cuts(strategy: Strategy, curve: Curve) -> np.ndarray:
    """(b,) index into `threshold_values` for each weighting; -1 where there is no threshold.

    A strategy `by_share` takes the curve of weights multiplied by `nominal_shares`.
    """
    tp, fp = curve.tp, curve.fp
    p, n = curve.positives, curve.negatives
    groups = len(tp) - 1
    match strategy.name:
        case "target-fpr":
            return _cut_nominal(fp, np.floor(strategy["fpr"] * n + _ROUNDING), above=True)
        case "conformal":
            return _cut_nominal(fp, strategy["alpha"] * (n + 1) - 1 + _ROUNDING, above=True)
        case "nominal-quantile":
            return _cut_nominal(fp, np.floor((1 - strategy["q"]) * n + _ROUNDING), above=False)
        case "target-recall":
            needed = np.ceil(strategy["recall"] * p - _ROUNDING)
        case "guaranteed-recall":
            allowed = admissible_misses(int(p.max(initial=0)), strategy["alpha"], strategy["delta"])[p.astype(np.int64)]
            needed = np.where(allowed >= 0, p - allowed, np.inf)
        case _:
            flagged = _criterion(strategy, tp, fp, p, n).argmax(axis=0)
            return np.where((p > 0) & (n > 0), cut_below(flagged, curve), -1)
    flagged = (tp < needed).sum(axis=0)
    return np.where((p > 0) & (flagged <= groups), flagged - 1, -1)


def cut_below(flagged: np.ndarray, curve: Curve) -> np.ndarray:
    """(b,) cut at the lowest flagged score, for (b,) numbers of flagged groups; for none just above the highest score.

    Scores without weight do not count, and the last flagged group must have some.
    """
    cut = flagged - 1
    none = np.flatnonzero(flagged == 0)
    cut[none] = len(curve.tp) - 1 + (curve.tp[1:, none] + curve.fp[1:, none] > 0).argmax(axis=0)
    return cut


def _cut_nominal(fp: np.ndarray, allowed: np.ndarray, *, above: bool) -> np.ndarray:
    """Cut at, or just above, the highest nominal group that does not fit into the allowed false alarms."""
    group = (fp[1:] <= allowed).sum(axis=0)
    groups = len(fp) - 1
    return np.where((allowed >= 0) & (group < groups), group + (groups if above else 0), -1)


def _criterion(strategy: Strategy, tp: np.ndarray, fp: np.ndarray, p: np.ndarray, n: np.ndarray) -> np.ndarray:
    """(g + 1, b) what the strategy maximises.

    Multiplied by p, n or constants so that, for whole weights, equal criteria come out as equal numbers.
    """
    match strategy.name:
        case "youden":
            return tp * n - fp * p
        case "gmean":
            return tp * (n - fp)
        case "closest-topleft":
            return -(((p - tp) * n) ** 2 + (fp * p) ** 2)
        case "cost":
            escape, overkill = strategy["escape"], strategy["overkill"]
            prevalence = strategy.parameters["prevalence"]
            if prevalence is None:
                return escape * tp - overkill * fp
            return escape * prevalence * tp * n - overkill * (1 - prevalence) * fp * p
        case "f1":
            return tp / np.maximum(tp + fp + p, 1)
        case "fbeta":
            return tp / np.maximum(tp + fp + strategy["beta"] ** 2 * p, 1e-300)
        case "mcc":
            flagged = tp + fp
            square = flagged * (p + n - flagged)
            return np.where(square > 0, (tp * n - fp * p) / np.sqrt(np.maximum(square, 1)), 0.0)
        case _:
            raise AssertionError(strategy.name)


def admissible_misses(largest: int, alpha: float, delta: float) -> np.ndarray:
    """For m = 0 to `largest` defective objects: the most that may escape under the guarantee; -1: no guarantee.

    (largest + 1,) the largest k with P(Binomial(m, alpha) <= k) <= delta.
    """
    allowed = np.full(largest + 1, -1, dtype=np.int64)
    for m in range(1, largest + 1):
        # One more object never allows fewer escapes, and at most one more.
        k = int(allowed[m - 1])
        allowed[m] = k + 1 if bdtr(k + 1, m, alpha) <= delta else k
    return allowed


def objects_for_guarantee(alpha: float, delta: float) -> int:
    """Fewest defective objects with which `guaranteed-recall` gives a threshold: (1 - alpha)^m <= delta."""
    return math.ceil(math.log(delta) / math.log1p(-alpha) - _ROUNDING)


def why_no_threshold(strategy: Strategy, positives: int, negatives: int, noun: str = "scores") -> str:
    """One sentence: why a strategy gives no threshold on so many anomalous and nominal scores, or what `noun` says."""
    if strategy.name == "guaranteed-recall":
        needed = objects_for_guarantee(strategy["alpha"], strategy["delta"])
        return f"Not enough defective parts, {needed - positives} more needed."
    if strategy.name == "conformal" and negatives > 0:
        needed = math.ceil(1 / strategy["alpha"] - 1 - _ROUNDING)
        return f"Not enough nominal objects, {needed - negatives} more needed."
    missing = "nominal" if negatives == 0 else "anomalous"
    return f"The threshold partition has no {missing} {noun}."
