"""What the reader of a summary must know before trusting its figures."""

from __future__ import annotations

import numpy as np

from raylab2f.evaluation.interval_table import IntervalTable
from raylab2f.evaluation.means import mean_outcomes
from raylab2f.evaluation.metrics import OBJECT_RATES
from raylab2f.evaluation.outcomes import Outcomes, Problem
from raylab2f.evaluation.scores import Scores
from raylab2f.evaluation.thresholds import Strategy, why_no_threshold

__all__ = ["FEW_ERRORS", "FEW_OBJECTS", "FEW_RANK_ERRORS", "find_cautions"]

# With fewer anomalous objects judged the default interval is not shown to keep its promised coverage.
FEW_OBJECTS = 20

# With errors worth fewer objects neither is it, nor with an AUROC that lacks less than this share of an object to 1.
FEW_ERRORS = 3
FEW_RANK_ERRORS = 0.5


def find_cautions(
    scores: Scores, problem: Problem, outcomes: Outcomes, intervals: IntervalTable, planned: int, default: str
) -> list[str]:
    """Warnings, one sentence each.

    Arguments:
        scores: checked score table.
        problem: its ranked scores.
        outcomes: of the data themselves.
        intervals: of all estimates.
        planned: how many folds there should be.
        default: the interval method asked for.
    """
    found = []
    finished = len(scores.folds)
    if finished < planned:
        found.append(f"Only {finished} of {planned} folds count; the others are not in the table.")
    if finished == 1:
        found.append(
            "There is only one fold: how much the figures depend on the split and on the training is not visible."
        )
    anomalous = int((problem.strata & problem.judged_objects()).sum())
    if anomalous < FEW_OBJECTS:
        found.append(
            f"Only {anomalous} anomalous object{'s are' if anomalous != 1 else ' is'} judged in any fold; with fewer "
            f"than {FEW_OBJECTS} the intervals may be too narrow."
        )
    means = mean_outcomes(problem, outcomes.values)[:, 0]
    found += _warn_of_few_errors(problem, means)
    for number, strategy in enumerate(problem.strategies):
        missing = np.isnan(outcomes.thresholds[0, number, :, 0])
        if missing.any():
            reason = why_no_threshold(strategy, *_fewest(problem, strategy))
            found.append(
                f"Strategy '{strategy.text}' gives no threshold in {missing.sum()} of {finished} folds: {reason}"
            )
        lost = [
            share
            for estimate, share in zip(problem.estimates, intervals.lost, strict=True)
            if estimate.strategy == strategy.text and estimate.metric == "balanced_accuracy"
        ]
        if max(lost) > 0.01 and not missing.all():
            found.append(
                f"Strategy '{strategy.text}' gives no outcome in {max(lost):.0%} of the bootstrap replicates; its "
                "intervals rest on the others."
            )
    low = intervals.ends[default][0]
    if any(np.isnan(low) & ~np.isnan(means)):
        found.append(f"The interval method '{default}' does not apply to all estimates; see the other intervals there.")
    return found


def _warn_of_few_errors(problem: Problem, means: np.ndarray) -> list[str]:
    judged = problem.strata[problem.judged_objects()]
    objects = {True: int(judged.sum()), False: int((~judged).sum())}
    near = []
    for estimate, mean in zip(problem.estimates, means, strict=True):
        if estimate.metric in ("recall", "specificity"):
            few = (1 - mean) * objects[OBJECT_RATES[estimate.metric]] < FEW_ERRORS
            name = f"{estimate.metric} of '{estimate.strategy}' at {estimate.level} level"
        else:
            few = estimate.metric == "auroc" and (1 - mean) * min(objects.values()) < FEW_RANK_ERRORS
            name = f"auroc at {estimate.level} level"
        near += [name] if few else []
    if not near:
        return []
    return [
        f"Too few errors were seen to know how they vary, for {', '.join(near)}: these intervals, and those of metrics "
        "computed from them, are approximate (intervals called 95 % held the truth in 91 to 99 % of simulated cases)."
    ]


def _fewest(problem: Problem, strategy: Strategy) -> tuple[int, int]:
    """Anomalous and nominal scores in the threshold partition that has the fewest of those the strategy needs.

    Nominal objects in place of scores if the strategy is `by_share`.
    """
    level = "object" if strategy.on_objects else "image"
    counts = []
    for cell in problem.cells:
        ranking = cell[level].threshold
        nominal = ranking.owner[~ranking.label]
        counts.append((int(ranking.label.sum()), len(np.unique(nominal) if strategy.by_share else nominal)))
    return min(counts, key=lambda pair: pair[0] if strategy.needs_defects else pair[1])
