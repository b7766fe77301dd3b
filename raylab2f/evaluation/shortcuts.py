"""How optimistic the usual shortcuts would have been on the same scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from raylab2f.evaluation.bootstrap import fold_mean
from raylab2f.evaluation.metrics import Costs
from raylab2f.evaluation.object_scores import ObjectScore
from raylab2f.evaluation.outcomes import Problem, build_problem, judge
from raylab2f.evaluation.scores import Scores
from raylab2f.evaluation.thresholds import Strategy

__all__ = ["Shortcut", "same_partition_optimism"]

_LOWER_IS_BETTER = frozenset({"escape_rate", "overkill_rate", "expected_cost", "cost_at_prevalence"})
_REPORTED = (
    "accuracy",
    "balanced_accuracy",
    "precision",
    "recall",
    "specificity",
    "f1",
    "mcc",
    "escape_rate",
    "overkill_rate",
    "expected_cost",
)


@dataclass(frozen=True)
class Shortcut:
    """One figure as a shortcut would have reported it.

    Arguments:
        shortcut: name of the shortcut.
        strategy, level, metric: the estimate.
        honest: mean over folds by the protocol.
        claimed: mean over folds by the shortcut.
        optimism: how much better the claim looks; positive is too good, also for metrics where lower is better.
    """

    shortcut: str
    strategy: str
    level: str
    metric: str
    honest: float
    claimed: float
    optimism: float


def same_partition_optimism(
    scores: Scores,
    problem: Problem,
    honest: np.ndarray,
    strategies: Sequence[Strategy],
    object_score: ObjectScore,
    costs: Costs,
) -> list[Shortcut]:
    """Thresholds chosen on the inference partition and judged on it: `threshold-on-inference`.

    Arguments:
        scores: checked score table.
        problem: its ranked scores.
        honest: (estimates,) means over folds by the protocol.
        strategies, object_score, costs: as for the problem.
    """
    swapped = build_problem(scores, strategies, object_score, costs, swap=True)
    claimed = fold_mean(judge(swapped, np.ones((len(problem.strata), 1))).values)[:, 0]
    shortcuts = []
    for estimate, true_mean, claim in zip(problem.estimates, honest, claimed, strict=True):
        if estimate.metric in _REPORTED and np.isfinite(true_mean) and np.isfinite(claim):
            gain = float(claim - true_mean) * (-1 if estimate.metric in _LOWER_IS_BETTER else 1)
            shortcuts.append(
                Shortcut(
                    "threshold-on-inference",
                    estimate.strategy,
                    estimate.level,
                    estimate.metric,
                    float(true_mean),
                    float(claim),
                    gain,
                )
            )
    return shortcuts
