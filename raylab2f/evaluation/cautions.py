"""What the reader of a summary must know before trusting its figures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from raylab2f.evaluation.decisions.curves import Ranking
from raylab2f.evaluation.decisions.strategies import Strategy
from raylab2f.evaluation.decisions.thresholds import why_no_threshold
from raylab2f.evaluation.intervals.interval_table import IntervalTable
from raylab2f.evaluation.outcomes.judging import Outcomes, Problem
from raylab2f.evaluation.outcomes.means import mean_outcomes
from raylab2f.evaluation.outcomes.metrics import OBJECT_RATES
from raylab2f.evaluation.scores import Scores
from raylab2f.pitfalls import Caution

__all__ = ["FEW_ERRORS", "FEW_OBJECTS", "FEW_RANK_ERRORS", "find_cautions"]

# With fewer anomalous objects judged the default interval is not shown to keep its promised coverage.
FEW_OBJECTS = 20

# With errors worth fewer objects neither is it, nor with an AUROC that lacks less than this share of an object to 1.
FEW_ERRORS = 3
FEW_RANK_ERRORS = 0.5

_NOUNS = {"image": "pictures", "object": "objects"}


def find_cautions(
    scores: Scores, problem: Problem, outcomes: Outcomes, intervals: IntervalTable, planned: int, default: str
) -> list[Caution]:
    """Warnings about a table of scores.

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
        found.append(Caution("RL301", f"Only {finished} of {planned} folds count; the others are not in the table."))
    if finished == 1:
        found.append(
            Caution(
                "RL302",
                "There is only one fold: how much the figures depend on the split and on the training is not visible.",
            )
        )
    anomalous, _ = problem.judged_classes()
    if anomalous < FEW_OBJECTS:
        found.append(
            Caution(
                "RL303",
                f"All folds together judge {anomalous} anomalous object{'s' * (anomalous != 1)} only; with fewer than "
                f"{FEW_OBJECTS} the intervals may be too narrow.",
            )
        )
    means = mean_outcomes(problem, outcomes.values)[:, 0]
    found += _warn_of_reversed_scores(problem, means, intervals, default)
    found += _warn_of_few_errors(problem, means)
    found += _warn_of_unjudged(problem)
    for number, strategy in enumerate(problem.strategies):
        found += _warn_of_missing_thresholds(problem, strategy, outcomes.thresholds[:, number, :, 0])
        found += _warn_of_lost_replicates(problem, strategy, means, intervals.lost)
    low = intervals.ends[default][0]
    if any(np.isnan(low) & ~np.isnan(means)):
        found.append(
            Caution(
                "RL308",
                f"The interval method '{default}' does not apply to all estimates; see the other intervals there.",
            )
        )
    return found


def _warn_of_reversed_scores(
    problem: Problem, means: np.ndarray, intervals: IntervalTable, default: str
) -> list[Caution]:
    """Once, by the level that every table has: a picture's score is what the detector gave."""
    methods = [default, *(method for method in intervals.ends if method != default and not method.startswith("naive"))]
    for number, estimate in enumerate(problem.estimates):
        if (estimate.metric, estimate.level) != ("auroc", "image"):
            continue
        for low, high in ((ends[0][number], ends[1][number]) for ends in map(intervals.ends.__getitem__, methods)):
            if np.isnan(high):
                continue
            if high >= 0.5:
                break
            return [
                Caution(
                    "RL312",
                    f"The AUROC of the pictures is {means[number]:.3f} ({low:.3f} to {high:.3f}), worse than chance: "
                    "the scores seem to be the wrong way round, for a higher score must mean more anomalous; negate "
                    "the scores, or swap the labels if 1 stands for good, and evaluate again.",
                )
            ]
    return []


def _warn_of_few_errors(problem: Problem, means: np.ndarray) -> list[Caution]:
    objects = dict(zip((True, False), problem.judged_classes(), strict=True))
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
        Caution(
            "RL304",
            f"Too few errors were seen to know how they vary, for {', '.join(near)}: these intervals, and those of "
            "metrics computed from them, are approximate (intervals called 95 % held the truth in 91 to 99 % of "
            "simulated "
            "cases).",
        )
    ]


def _warn_of_unjudged(problem: Problem) -> list[Caution]:
    """Pictures of both classes are judged in every fold, objects perhaps not."""
    found = []
    if problem.no_object_level is not None:
        found.append(
            Caution(
                "RL305",
                f"The object level is left out, for {problem.no_object_level}: the figures are about pictures, their "
                "intervals about new objects.",
            )
        )
    found += [
        Caution(
            "RL306",
            f"Strategy '{strategy.text}' gives no threshold: it chooses on objects, and {problem.no_object_level}.",
        )
        for strategy in problem.left_out
    ]
    for level in problem.levels:
        labels = [cell[level].inference.ranking.label for cell in problem.cells]
        for wanted, word in ((True, "anomalous"), (False, "nominal")):
            without = sum(not (label == wanted).any() for label in labels)
            if without:
                found.append(
                    Caution(
                        "RL305",
                        f"{without} of {len(labels)} folds judge no {word} {_NOUNS[level]} and give no figures at "
                        f"{level} level; an object with one anomalous picture is anomalous.",
                    )
                )
    return found


def _warn_of_missing_thresholds(problem: Problem, strategy: Strategy, thresholds: np.ndarray) -> list[Caution]:
    """`thresholds`: (levels, folds), NaN where there is none."""
    levels: dict[str, list[str]] = {}
    for level, values in zip(problem.levels, thresholds, strict=True):
        missing = np.flatnonzero(np.isnan(values))
        if len(missing):
            source = "object" if strategy.on_objects else level
            noun = "objects" if strategy.by_share else _NOUNS[source]
            counts = [_count(problem.cells[fold][source].threshold, strategy) for fold in missing]
            fewest = min(counts, key=lambda pair: pair if strategy.needs_defects else pair[::-1])
            reason = why_no_threshold(strategy, *fewest, noun)
            levels.setdefault(f"in {len(missing)} of {len(values)} folds: {reason}", []).append(level)
    return [
        Caution("RL306", f"Strategy '{strategy.text}' gives no threshold {_where(problem, at)}{rest}")
        for rest, at in levels.items()
    ]


def _warn_of_lost_replicates(
    problem: Problem, strategy: Strategy, means: np.ndarray, lost: np.ndarray
) -> list[Caution]:
    """Where the data themselves give a value; where they give none it was said why."""
    shares = {
        estimate.level: float(share)
        for estimate, mean, share in zip(problem.estimates, means, lost, strict=True)
        if (estimate.strategy, estimate.metric) == (strategy.text, "escape_rate") and not np.isnan(mean)
    }
    high = {level: share for level, share in shares.items() if share > 0.01}
    if not high:
        return []
    return [
        Caution(
            "RL307",
            f"Strategy '{strategy.text}' gives no outcome {_where(problem, list(high))}in {max(high.values()):.0%} of "
            "the bootstrap replicates; its intervals rest on the others.",
        )
    ]


def _where(problem: Problem, levels: Sequence[str]) -> str:
    return "" if len(levels) == len(problem.levels) else f"at {' and '.join(levels)} level "


def _count(ranking: Ranking, strategy: Strategy) -> tuple[int, int]:
    """Anomalous and nominal scores of a threshold partition, nominal objects if the strategy is `by_share`."""
    nominal = ranking.owner[~ranking.label]
    return int(ranking.label.sum()), len(np.unique(nominal) if strategy.by_share else nominal)
