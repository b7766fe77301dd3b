"""Metrics as functions of counts and curves; every function works on arrays of any shape at once.

An undefined ratio (precision when nothing is flagged, ...) counts as 0, as in scikit-learn; a rate over no objects
at all is NaN. Rates lie in [0, 1]; `mcc`, `kappa` and `youden_j` in [-1, 1]; costs are per 1,000 parts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from raylab2f.errors import UserError
from raylab2f.evaluation.decisions.curves import Curve
from raylab2f.evaluation.decisions.strategies import MOST_WEIGHT
from raylab2f.evaluation.outcomes.presorted import PRESORTED, presorted_shares

__all__ = [
    "AUTOMATIC_RATES",
    "CLASS_RATES",
    "COUNT_METRICS",
    "MEAN_RATE_RATIOS",
    "OBJECT_RATES",
    "PREVALENCE_METRICS",
    "PREVALENCE_RATIOS",
    "RANKING_METRICS",
    "REVIEWED_SHARES",
    "REVIEW_METRICS",
    "REVIEW_PREVALENCE_METRICS",
    "REVIEW_RATES",
    "Costs",
    "Counts",
    "base_rate",
    "count_metrics",
    "lower_is_better",
    "metric_range",
    "prevalence_metrics",
    "ranking_metrics",
]

COUNT_METRICS = (
    "tp",
    "fp",
    "tn",
    "fn",
    "accuracy",
    "balanced_accuracy",
    "precision",
    "recall",
    "specificity",
    "f1",
    "fbeta",
    "mcc",
    "youden_j",
    "kappa",
    "npv",
    "escape_rate",
    "overkill_rate",
    "expected_cost",
)
PREVALENCE_METRICS = ("precision_at_prevalence", "npv_at_prevalence", "cost_at_prevalence")
# Of strategies of two thresholds, in place of those above; `reviewing` has their definitions.
REVIEW_METRICS = (
    "review_rate",
    "defective_review_rate",
    "good_review_rate",
    "recall",
    "specificity",
    "escape_rate",
    "overkill_rate",
    "automatic_escape_rate",
    "automatic_overkill_rate",
    "expected_cost",
)
REVIEW_PREVALENCE_METRICS = ("review_rate_at_prevalence", "cost_at_prevalence")
# Error rates of what is decided without a person: which rate is divided by one minus which.
AUTOMATIC_RATES = {
    "automatic_escape_rate": ("escape_rate", "defective_review_rate"),
    "automatic_overkill_rate": ("overkill_rate", "good_review_rate"),
}
PREVALENCE_RATIOS = ("precision_at_prevalence", "npv_at_prevalence")
# Ratios of rates: several folds together have the ratio of their mean rates, not the mean of their ratios.
MEAN_RATE_RATIOS = (*PREVALENCE_RATIOS, *AUTOMATIC_RATES)
RANKING_METRICS = ("auroc", "average_precision", "partial_auroc", *PRESORTED)

_LOWER_IS_BETTER = frozenset(
    {
        "fp",
        "fn",
        "escape_rate",
        "overkill_rate",
        "expected_cost",
        "cost_at_prevalence",
        "review_rate",
        "defective_review_rate",
        "good_review_rate",
        "review_rate_at_prevalence",
        "brier_score",
        "log_loss",
        "ece",
        "brier_miscalibration",
        *AUTOMATIC_RATES,
    }
)

# Rates of one class: the class whose objects are counted, True for anomalous.
OBJECT_RATES = {"recall": True, "escape_rate": True, "specificity": False, "overkill_rate": False}
REVIEW_RATES = {"defective_review_rate": True, "good_review_rate": False}
CLASS_RATES = {**OBJECT_RATES, **REVIEW_RATES}
REVIEWED_SHARES = ("review_rate", "review_rate_at_prevalence", *REVIEW_RATES)


def base_rate(metric: str) -> str:
    """What is in front of the bracket of a rate that some rows have, `recall` of `recall[dent]`; else the metric."""
    return metric.partition("[")[0]


def lower_is_better(metric: str) -> bool:
    """Whether less of it is better; rates of some rows are like those of all."""
    return base_rate(metric) in _LOWER_IS_BETTER


@dataclass(frozen=True)
class Costs:
    """What the outcomes are weighed with.

    Arguments:
        escape: cost of one defective part accepted.
        overkill: cost of one good part rejected.
        prevalence: the factory's share of defective parts, or `None`.
        beta: recall counts beta times as much as precision in `fbeta`.
        max_fpr: upper limit of the false-alarm rate for `partial_auroc`.
        review: cost of one part that a person looks at.

    Raises:
        UserError: a number that makes no sense.
    """

    escape: float = 10.0
    overkill: float = 1.0
    prevalence: float | None = None
    beta: float = 2.0
    max_fpr: float = 0.1
    review: float = 0.25

    @property
    def parameters(self) -> dict[str, float | None]:
        """By name, the parameters of threshold strategies that these are; see `parse_strategy`."""
        return {name: getattr(self, name) for name in ("escape", "overkill", "review", "prevalence", "beta")}

    def __post_init__(self) -> None:
        for value, what in (
            (self.escape, "cost of an escape"),
            (self.overkill, "cost of an overkill"),
            (self.review, "cost of a review"),
            (self.beta, "beta"),
        ):
            if not 0 < value <= MOST_WEIGHT:
                raise UserError(f"The {what} is a number above 0, at most {MOST_WEIGHT:g}, not {value}.")
        if self.prevalence is not None and not 0 < self.prevalence < 1:
            raise UserError(f"The prevalence is a share between 0 and 1, not {self.prevalence}.")
        if not 0 < self.max_fpr <= 1:
            raise UserError(f"The limit of the false-alarm rate is above 0 and at most 1, not {self.max_fpr}.")


@dataclass(frozen=True)
class Counts:
    """Confusion counts: flagged anomalous and nominal, and how many of each there are; arrays of one shape."""

    tp: np.ndarray
    fp: np.ndarray
    positives: np.ndarray
    negatives: np.ndarray

    def of(self, number: int) -> Counts:
        """Those at one place of the first axis."""
        return Counts(self.tp[number], self.fp[number], self.positives[number], self.negatives[number])


def count_metrics(counts: Counts, costs: Costs) -> dict[str, np.ndarray]:
    """All metrics of `COUNT_METRICS` and, if a prevalence is given, of `PREVALENCE_METRICS`."""
    tp, fp, p, n = counts.tp, counts.fp, counts.positives, counts.negatives
    tn, fn = n - fp, p - tp
    recall, specificity = _rate(tp, p), _rate(tn, n)
    escape_rate, overkill_rate = _rate(fn, p), _rate(fp, n)
    square = (tp + fp) * p * n * (tn + fn)
    beta = costs.beta**2
    values = {
        "tp": tp,
        "fp": fp,
        "tn": tn,
        "fn": fn,
        "accuracy": _rate(tp + tn, p + n),
        "balanced_accuracy": (recall + specificity) / 2,
        "precision": _ratio(tp, tp + fp),
        "recall": recall,
        "specificity": specificity,
        "f1": _ratio(2 * tp, tp + fp + p),
        "fbeta": _ratio((1 + beta) * tp, tp + fp + beta * p),
        "mcc": _ratio(tp * tn - fp * fn, np.sqrt(square)),
        "youden_j": recall + specificity - 1,
        # Cohen (1960), by what is right beyond chance: equal to this ratio for two classes.
        "kappa": _ratio(2 * (tp * tn - fn * fp), (tp + fp) * n + p * (tn + fn)),
        "npv": _ratio(tn, tn + fn),
        "escape_rate": escape_rate,
        "overkill_rate": overkill_rate,
        "expected_cost": 1000 * _rate(costs.escape * fn + costs.overkill * fp, p + n),
    }
    if costs.prevalence is not None:
        values |= prevalence_metrics(recall, overkill_rate, costs)
    return values


def prevalence_metrics(recall: np.ndarray, overkill_rate: np.ndarray, costs: Costs) -> dict[str, np.ndarray]:
    """The metrics of `PREVALENCE_METRICS` where a share `costs.prevalence` of the parts is defective.

    `precision_at_prevalence` is the share of defective parts among those rejected, `npv_at_prevalence` the share of
    good parts among those accepted.
    """
    assert costs.prevalence is not None
    defective, good = costs.prevalence, 1 - costs.prevalence
    rejected = defective * recall, good * overkill_rate
    escaped, accepted = defective * (1 - recall), good * (1 - overkill_rate)
    return {
        "precision_at_prevalence": _ratio(rejected[0], rejected[0] + rejected[1]),
        "npv_at_prevalence": _ratio(accepted, accepted + escaped),
        "cost_at_prevalence": 1000 * (costs.escape * escaped + costs.overkill * rejected[1]),
    }


def ranking_metrics(curve: Curve, costs: Costs) -> dict[str, np.ndarray]:
    """The threshold-free metrics, each (b,); NaN for weightings without both classes.

    `auroc` is the probability that an anomalous score is higher than a nominal one, ties counting half.
    `average_precision` is the sum of precision times gain in recall over thresholds. `partial_auroc` is the area
    under the ROC curve up to a false-alarm rate of `costs.max_fpr`, standardised so that chance is 0.5 and
    perfect is 1 (McClish 1989). The others are those of `PRESORTED`.
    """
    tp, fp = curve.tp, curve.fp
    p, n = curve.positives, curve.negatives
    both = (p > 0) & (n > 0)
    safe_p, safe_n = np.where(p > 0, p, 1), np.where(n > 0, n, 1)
    height = tp[1:] + tp[:-1]
    gained = np.diff(tp, axis=0)
    width = np.diff(fp, axis=0)
    area = np.einsum("gb,gb->b", width, height) / 2
    precision = tp[1:] / np.maximum(tp[1:] + fp[1:], 1e-300)
    average = np.einsum("gb,gb->b", gained, precision)
    partial = _partial_area(tp, fp, width, costs.max_fpr * safe_n)
    chance = costs.max_fpr**2 / 2
    values = {
        "auroc": area / (safe_p * safe_n),
        "average_precision": average / safe_p,
        "partial_auroc": (1 + (partial / (safe_p * safe_n) - chance) / (costs.max_fpr - chance)) / 2,
        **presorted_shares(curve),
    }
    return {name: np.where(both, value, np.nan) for name, value in values.items()}


def metric_range(metric: str) -> tuple[float, float]:
    """Smallest and largest possible value."""
    if metric in ("tp", "fp", "tn", "fn", "expected_cost", "cost_at_prevalence", "log_loss"):
        return 0.0, np.inf
    return (-1.0 if metric in ("mcc", "kappa", "youden_j") else 0.0), 1.0


def _partial_area(tp: np.ndarray, fp: np.ndarray, width: np.ndarray, limit: np.ndarray) -> np.ndarray:
    """(b,) unnormalised area left of fp = limit."""
    # Beyond these thresholds every weighting is right of the limit.
    some = int((fp[:-1] < limit).any(axis=1).sum())
    tp, fp, width = tp[: some + 1], fp[: some + 1], width[:some]
    inside = np.clip(limit - fp[:-1], 0, width)
    # Between two thresholds the ROC curve is a straight line; cut short, its end is interpolated.
    share = inside / np.maximum(width, 1e-300)
    return np.einsum("gb,gb->b", inside, tp[:-1] + (tp[1:] - tp[:-1]) * (share / 2))


def _rate(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(whole > 0, part / whole, np.nan)


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    # NaN in, NaN out: only a true 0/0 counts as 0.
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(whole == 0, 0.0, part / whole)
