"""From a table of scores to estimates with intervals: `evaluate`.

The shape of `Summary.to_dict()` is documented in docs/summary.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from raylab2f.errors import UserError
from raylab2f.evaluation.cautions import find_cautions
from raylab2f.evaluation.decisions.object_scores import ObjectScore, parse_object_score
from raylab2f.evaluation.decisions.strategies import Strategy, parse_strategy
from raylab2f.evaluation.estimates import (
    METRICS_SCHEMA,
    BaselineRow,
    EstimateRow,
    Interval,
    estimate_rows,
    metrics_table,
)
from raylab2f.evaluation.intervals.bootstrap import bootstrap_chunks
from raylab2f.evaluation.intervals.interval_table import Replicator, build_intervals, overlap_ratio
from raylab2f.evaluation.intervals.methods import BOUNDS, INTERVALS
from raylab2f.evaluation.outcomes.judging import ANY_STRATEGY, Outcomes, Problem, build_problem, judge
from raylab2f.evaluation.outcomes.means import mean_outcomes
from raylab2f.evaluation.outcomes.metrics import Costs, base_rate
from raylab2f.evaluation.outcomes.parts import check_breakdowns
from raylab2f.evaluation.outcomes.shortcuts import (
    Protocol,
    Shortcut,
    best_epoch_optimism,
    picture_split_optimism,
    same_partition_optimism,
)
from raylab2f.evaluation.pixels.pixel_level import judge_pixel_level
from raylab2f.evaluation.probabilities.levels import check_calibrator, judge_probabilities
from raylab2f.evaluation.scores import prepare_scores
from raylab2f.pitfalls import Caution, split_muted

__all__ = ["METRICS_SCHEMA", "SUMMARY_VERSION", "EstimateRow", "Interval", "Summary", "check_rules", "evaluate"]

SUMMARY_VERSION = 2


@dataclass(frozen=True)
class Summary:
    """Outcome of an evaluation.

    Arguments:
        dataset, detector, preset: what was evaluated, as the caller describes it.
        seed: the run's seed.
        planned, finished: numbers of folds.
        settings: everything that the figures depend on beside the scores.
        estimates: one row for each strategy, level and metric.
        shortcuts: what the usual shortcuts would have claimed.
        warnings: what to know before the figures are trusted.
        muted: warnings of codes that the caller silenced.
        metrics: value of every fold, of `METRICS_SCHEMA`.
        baseline: the detector beside what nobody has to train; see `with_baseline`.
        objects: how many objects the figures rest on, those judged in any fold: `defective`, `good`, and by metric
            those of the rates of some of them.
        reliability: of probabilities, where they were asked for: see `judge_probabilities`.
        probabilities: of `PROBABILITIES_SCHEMA`, where they were asked for.
    """

    dataset: Mapping[str, Any] | None
    detector: str | None
    preset: str | None
    seed: int
    planned: int
    finished: int
    settings: Mapping[str, Any]
    estimates: tuple[EstimateRow, ...]
    shortcuts: tuple[Shortcut, ...]
    warnings: tuple[Caution, ...]
    muted: tuple[Caution, ...]
    metrics: pa.Table
    baseline: tuple[BaselineRow, ...] = ()
    objects: Mapping[str, int] = field(default_factory=dict)
    reliability: Mapping[str, Any] | None = None
    probabilities: pa.Table | None = None

    def find(self, metric: str, *, level: str = "object", strategy: str | None = None) -> EstimateRow:
        """The estimate of a metric; without `strategy` the first one that has it."""
        for row in self.estimates:
            if row.metric == metric and row.level == level and strategy in (None, row.strategy):
                return row
        raise KeyError((strategy, level, metric))

    def to_dict(self) -> dict[str, Any]:
        """The content of `summary.json`: plain values, `None` for what is undefined."""
        return {
            "version": SUMMARY_VERSION,
            "dataset": dict(self.dataset) if self.dataset is not None else None,
            "detector": self.detector,
            "preset": self.preset,
            "seed": self.seed,
            "folds": {"planned": self.planned, "finished": self.finished},
            "settings": dict(self.settings),
            "objects": dict(self.objects),
            "estimates": [asdict(row) | {"intervals": [asdict(i) for i in row.intervals]} for row in self.estimates],
            "shortcuts": [asdict(shortcut) for shortcut in self.shortcuts],
            "baseline": [asdict(row) for row in self.baseline],
            "warnings": [warning.to_dict() for warning in self.warnings],
            "muted": [warning.to_dict() for warning in self.muted],
            **({} if self.reliability is None else {"reliability": dict(self.reliability)}),
        }


def evaluate(
    table: pa.Table,
    *,
    strategies: Sequence[str] = ("youden",),
    interval: str = "object-bootstrap",
    confidence: float = 0.95,
    replicates: int = 10_000,
    seed: int = 0,
    object_score: str = "max",
    prevalence: float | None = None,
    cost_escape: float = 10.0,
    cost_overkill: float = 1.0,
    cost_review: float = 0.25,
    beta: float = 2.0,
    max_fpr: float = 0.1,
    by: Sequence[str] | None = None,
    probabilities: str | None = None,
    folds: int = 10,
    methods: Sequence[str] | None = None,
    dataset: Mapping[str, Any] | None = None,
    detector: str | None = None,
    preset: str | None = None,
    planned_folds: int | None = None,
    warnings: Sequence[Caution] = (),
    mute: Sequence[str] = (),
    replicator: Replicator = bootstrap_chunks,
    pixels: pa.Table | None = None,
    segmentation: pa.Table | None = None,
    picture_split: pa.Table | None = None,
    epoch_scores: pa.Table | None = None,
) -> Summary:
    """Choose thresholds, judge, and say how sure the outcome is.

    Arguments:
        table: scores of any detector, see `prepare_scores`.
        strategies: threshold strategies, see `raylab2f.evaluation.decisions.thresholds` and `two_thresholds` there.
        interval: method of the interval reported first, a key of `INTERVALS`.
        confidence: of all intervals, in (0, 1).
        replicates: of the bootstrap over objects.
        seed: of everything random here.
        object_score: from picture scores to object scores: `max`, `mean`, `topk-mean:k`, `quantile:q`.
        prevalence: the factory's share of defective parts; adds the metrics at that prevalence, and the strategies
            `cost` and `review-cost` use it.
        cost_escape, cost_overkill, cost_review: costs of a defective part accepted, of a good part rejected, and of a
            part that a person looks at.
        beta: of the metric and the strategy `fbeta`.
        max_fpr: limit of the false-alarm rate for `partial_auroc`.
        by: break recall and overkill rate down by the values of these columns, of `BREAKDOWNS`; `None`: by `condition`,
            where the table has it. Defect types always have their recall.
        probabilities: turn scores into probabilities of being defective, by a key of `CALIBRATORS`, and judge these.
        folds: how often to split a table that has neither `partition` nor `fold`.
        methods: intervals to compute; `None`: all. The one named by `interval` is always computed.
        dataset, detector, preset: descriptions to pass on.
        planned_folds: how many folds there should have been; `None`: those in the table.
        warnings: to pass on, before those found here.
        mute: codes of `PITFALLS`; warnings of these are kept apart.
        replicator: computes bootstrap replicates, e.g. spread over a cluster.
        pixels: what `evaluation.pixels.pixel_curves.judge_pixels` found in each fold, with the column `fold`; adds the
            level `pixel`.
        segmentation: the same of `evaluation.pixels.segmentation.judge_segmentation`; adds SegF1 to that level.
        picture_split: scores of the same detector on folds that split by picture; its optimism joins the shortcuts.
        epoch_scores: scores after some epochs (`fold`, `epoch`, `image_id`, `score`); the optimism of choosing the
            epoch by the judged pictures joins the shortcuts. Nothing else depends on either.

    Raises:
        UserError: a table or an option that makes no sense.
    """
    rule, costs, chosen, parsed = check_rules(
        strategies=strategies,
        interval=interval,
        confidence=confidence,
        replicates=replicates,
        object_score=object_score,
        prevalence=prevalence,
        cost_escape=cost_escape,
        cost_overkill=cost_overkill,
        cost_review=cost_review,
        beta=beta,
        max_fpr=max_fpr,
        methods=methods,
        by=by,
        probabilities=probabilities,
    )
    scores = prepare_scores(table, folds=folds, seed=seed)
    problem = build_problem(scores, parsed, rule, costs, by=by)
    outcomes = judge(problem, np.ones((len(problem.strata), 1)))
    intervals = build_intervals(
        scores,
        problem,
        outcomes,
        rule,
        methods=chosen,
        confidence=confidence,
        replicates=replicates,
        seed=seed,
        replicator=replicator,
    )
    means = mean_outcomes(problem, outcomes.values)[:, 0]
    protocol = Protocol(parsed, rule, costs, problem.estimates, means)
    shortcuts = same_partition_optimism(protocol, scores)
    if picture_split is not None:
        shortcuts += picture_split_optimism(protocol, picture_split)
    if epoch_scores is not None:
        shortcuts += best_epoch_optimism(protocol, table, epoch_scores)
    common: dict[str, Any] = {
        "ratio": overlap_ratio(scores),
        "methods": chosen,
        "default": interval,
        "confidence": confidence,
        "replicates": replicates,
        "seed": seed,
    }
    pixel_level = judge_pixel_level(pixels, segmentation, **common)
    likely = judge_probabilities(scores, rule, probabilities, prevalence=prevalence, **common)
    planned = planned_folds if planned_folds is not None else len(scores.folds)
    by_fold = outcomes.values[:, :, 0]
    tables = [metrics_table(scores.folds, problem.estimates, by_fold, *_thresholds(problem, outcomes))]
    tables += [one.metrics for one in (pixel_level, likely) if one.metrics is not None]
    found = find_cautions(scores, problem, outcomes, intervals, planned, interval)
    shown, muted = split_muted((*warnings, *scores.warnings, *found, *pixel_level.warnings), mute)
    return Summary(
        dataset=dataset,
        detector=detector,
        preset=preset,
        seed=seed,
        planned=planned,
        finished=len(scores.folds),
        settings={
            "strategies": [strategy.text for strategy in parsed],
            "interval": interval,
            "confidence": confidence,
            "replicates": replicates,
            "object_score": str(rule),
            "prevalence": prevalence,
            "cost_escape": cost_escape,
            "cost_overkill": cost_overkill,
            "cost_review": cost_review,
            "beta": beta,
            "max_fpr": max_fpr,
            "by": None if by is None else list(by),
            **({} if probabilities is None else {"probabilities": probabilities}),
        },
        estimates=(
            *estimate_rows(problem.estimates, by_fold, means, intervals.ends, interval, confidence),
            *pixel_level.estimates,
            *likely.estimates,
        ),
        shortcuts=tuple(shortcuts),
        warnings=shown,
        muted=muted,
        metrics=pa.concat_tables(tables),
        objects=_objects(problem),
        reliability=likely.reliability,
        probabilities=likely.probabilities if likely.metrics is not None else None,
    )


def check_rules(
    *,
    strategies: Sequence[str],
    interval: str,
    confidence: float,
    replicates: int,
    object_score: str,
    prevalence: float | None,
    cost_escape: float,
    cost_overkill: float,
    beta: float,
    cost_review: float = 0.25,
    max_fpr: float = 0.1,
    methods: Sequence[str] | None = None,
    by: Sequence[str] | None = None,
    probabilities: str | None = None,
) -> tuple[ObjectScore, Costs, tuple[str, ...], tuple[Strategy, ...]]:
    """Those arguments of `evaluate` that need no scores, checked and parsed: a run learns of mistakes before it trains.

    Raises:
        UserError: naming the argument and what it may be.
    """
    check_breakdowns(by)
    check_calibrator(probabilities)
    rule = parse_object_score(object_score)
    costs = Costs(cost_escape, cost_overkill, prevalence, beta, max_fpr, cost_review)
    chosen = _check_methods(interval, methods, confidence, replicates)
    parsed = tuple(
        parse_strategy(text, costs.parameters) for text in dict.fromkeys(text.strip() for text in strategies)
    )
    if not parsed:
        raise UserError("Name at least one threshold strategy.")
    return rule, costs, chosen, parsed


def _check_methods(interval: str, methods: Sequence[str] | None, confidence: float, replicates: int) -> tuple[str, ...]:
    chosen = tuple(dict.fromkeys((interval, *(methods if methods is not None else INTERVALS))))
    for method in chosen:
        if method not in INTERVALS and method != BOUNDS:
            raise UserError(f"Unknown interval method '{method}'; choose from {', '.join(INTERVALS)}.")
    if not 0 < confidence < 1:
        raise UserError(f"The confidence is between 0 and 1, not {confidence}.")
    if replicates < 1:
        raise UserError(f"The number of replicates is at least 1, not {replicates}.")
    return chosen


def _objects(problem: Problem) -> dict[str, int]:
    defective, good = problem.judged_classes()
    parts = {
        estimate.metric: problem.part_objects(estimate)
        for estimate in problem.estimates
        if base_rate(estimate.metric) != estimate.metric and estimate.level == problem.levels[-1]
    }
    return {"defective": defective, "good": good, **parts}


def _thresholds(problem: Problem, outcomes: Outcomes) -> np.ndarray:
    """(2, estimates, folds) threshold behind each value, and the low one where there are two; NaN for none."""
    level_of = {level: index for index, level in enumerate(problem.levels)}
    strategy_of = {strategy.text: index for index, strategy in enumerate(problem.strategies)}
    found = np.full((2, len(problem.estimates), len(problem.cells)), np.nan)
    for row, estimate in enumerate(problem.estimates):
        if estimate.strategy == ANY_STRATEGY:
            continue
        place = level_of[estimate.level], strategy_of[estimate.strategy]
        found[0, row] = outcomes.thresholds[place][:, 0]
        if problem.strategies[place[1]].reviews:
            found[1, row] = outcomes.low_thresholds[place][:, 0]
    return found
