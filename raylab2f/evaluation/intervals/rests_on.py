"""On what an estimate rests: how many objects of which class, of how many pictures, on which scale."""

from __future__ import annotations

import numpy as np

from raylab2f.evaluation.outcomes.judging import Estimate, Problem
from raylab2f.evaluation.outcomes.metrics import (
    AUTOMATIC_RATES,
    CLASS_RATES,
    OBJECT_RATES,
    base_rate,
    metric_range,
)

__all__ = ["class_objects", "many_pictures", "metric_scale"]


def class_objects(
    problem: Problem, estimate: Estimate, judged: tuple[int, int], reviewed: float
) -> tuple[float, float]:
    """How many objects of either class the estimate rests on; twice the same number for rates of one class.

    Objects that only chose thresholds are no evidence of how often new ones are judged rightly; `judged` are the
    others, of `Problem.judged_classes`. Nor are, of what is decided without a person, the `reviewed` share of them.
    """
    anomalous, nominal = judged
    if estimate.metric in AUTOMATIC_RATES:
        count = (1 - reviewed) * (anomalous if CLASS_RATES[AUTOMATIC_RATES[estimate.metric][0]] else nominal)
        return count, count
    if estimate.metric in CLASS_RATES:
        count = anomalous if CLASS_RATES[estimate.metric] else nominal
        return count, count
    if base_rate(estimate.metric) in OBJECT_RATES:
        count = problem.part_objects(estimate)
        return count, count
    return anomalous, nominal


def many_pictures(problem: Problem) -> np.ndarray:
    """(e,) bool, estimates at picture level where objects have several pictures; else pictures are objects."""
    owners = [cell["image"].inference.ranking.owner for cell in problem.cells]
    several = any(len(np.unique(owner)) < len(owner) for owner in owners)
    return np.array([several and estimate.level == "image" for estimate in problem.estimates])


def metric_scale(problem: Problem, estimate: Estimate) -> tuple[float, float]:
    """Smallest and largest value that the metric can have on these partitions."""
    labels = [cell[estimate.level].inference.ranking.label for cell in problem.cells]
    positives = float(np.mean([label.sum() for label in labels]))
    negatives = float(np.mean([(~label).sum() for label in labels]))
    costs, prevalence = problem.costs, problem.costs.prevalence or 0
    # What an escape and an overkill cost, or a review in their place.
    reviews = any(strategy.reviews for strategy in problem.strategies if strategy.text == estimate.strategy)
    escape, overkill = (max(cost, costs.review if reviews else 0) for cost in (costs.escape, costs.overkill))
    largest = {
        "tp": positives,
        "fn": positives,
        "fp": negatives,
        "tn": negatives,
        "expected_cost": 1000 * (escape * positives + overkill * negatives) / (positives + negatives),
        "cost_at_prevalence": 1000 * (escape * prevalence + overkill * (1 - prevalence)),
    }
    low, high = metric_range(estimate.metric)
    return low, largest.get(estimate.metric, high)
