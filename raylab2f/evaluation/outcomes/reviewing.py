"""Metrics of strategies of two thresholds, between which a person looks.

A part is accepted, rejected or reviewed; errors are what is decided wrongly without a person, for a review is assumed
to decide rightly. So `recall`, one minus the escape rate, is the share of defective parts that are rejected or
reviewed, and `specificity` the share of good ones that are accepted or reviewed. Metrics of a table of two decisions
(precision, F, Matthews correlation, kappa, accuracy, the counts) are not defined here and left out.

`automatic_escape_rate` and `automatic_overkill_rate` are error rates among the parts of a class that are decided
without a person: class by class the selective risk of El-Yaniv & Wiener, "On the foundations of noise-free selective
classification" (2010), whose coverage is one minus the review rate.
"""

from __future__ import annotations

import numpy as np

from raylab2f.evaluation.outcomes.metrics import Costs, Counts

__all__ = ["automatic_rate", "review_metrics"]


def review_metrics(rejected: Counts, unaccepted: Counts, costs: Costs) -> dict[str, np.ndarray]:
    """All metrics of `REVIEW_METRICS` and, if a prevalence is given, of `REVIEW_PREVALENCE_METRICS`.

    Arguments:
        rejected: from the high threshold up; arrays of any one shape.
        unaccepted: from the low threshold up, the reviewed ones included; of the same rows.
        costs: of an escape, an overkill and a review; the prevalence.

    Returns:
        Rates in [0, 1], costs of 1,000 parts; NaN where a class has no rows, and for the error rates of what is decided
        without a person also where all of its class is reviewed.
    """
    p, n = rejected.positives, rejected.negatives
    with np.errstate(invalid="ignore", divide="ignore"):
        escape_rate = np.where(p > 0, (p - unaccepted.tp) / p, np.nan)
        overkill_rate = np.where(n > 0, rejected.fp / n, np.nan)
        defective = np.where(p > 0, (unaccepted.tp - rejected.tp) / p, np.nan)
        good = np.where(n > 0, (unaccepted.fp - rejected.fp) / n, np.nan)
        reviewed = unaccepted.tp + unaccepted.fp - rejected.tp - rejected.fp
        cost = costs.escape * (p - unaccepted.tp) + costs.overkill * rejected.fp + costs.review * reviewed
        values = {
            "review_rate": np.where(p + n > 0, reviewed / (p + n), np.nan),
            "defective_review_rate": defective,
            "good_review_rate": good,
            "recall": 1 - escape_rate,
            "specificity": 1 - overkill_rate,
            "escape_rate": escape_rate,
            "overkill_rate": overkill_rate,
            "automatic_escape_rate": automatic_rate(escape_rate, defective),
            "automatic_overkill_rate": automatic_rate(overkill_rate, good),
            "expected_cost": np.where(p + n > 0, 1000 * cost / (p + n), np.nan),
        }
    if costs.prevalence is not None:
        bad = costs.prevalence
        looked_at = bad * defective + (1 - bad) * good
        errors = costs.escape * bad * escape_rate + costs.overkill * (1 - bad) * overkill_rate
        values["review_rate_at_prevalence"] = looked_at
        values["cost_at_prevalence"] = 1000 * (errors + costs.review * looked_at)
    return values


def automatic_rate(errors: np.ndarray, reviewed: np.ndarray) -> np.ndarray:
    """Share of errors in what is decided without a person, from their shares in the whole; NaN where all is reviewed.

    Arguments:
        errors, reviewed: of one shape, in [0, 1], together at most 1.
    """
    # Shares that are means of folds add up to 1 only roughly.
    decided = 1 - reviewed
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(decided > 1e-12, np.minimum(errors / decided, 1.0), np.nan)
