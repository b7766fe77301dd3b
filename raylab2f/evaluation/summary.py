"""From a table of scores to estimates with intervals: `evaluate`.

The shape of `Summary.to_dict()` is documented in docs/summary.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from raylab2f.errors import UserError
from raylab2f.evaluation.bootstrap import bootstrap_chunks, fold_mean
from raylab2f.evaluation.cautions import find_cautions
from raylab2f.evaluation.interval_table import IntervalTable, Replicator, build_intervals
from raylab2f.evaluation.intervals import INTERVALS
from raylab2f.evaluation.metrics import Costs
from raylab2f.evaluation.object_scores import parse_object_score
from raylab2f.evaluation.outcomes import ANY_STRATEGY, Outcomes, Problem, build_problem, judge
from raylab2f.evaluation.scores import Scores, prepare_scores
from raylab2f.evaluation.shortcuts import Shortcut, same_partition_optimism
from raylab2f.evaluation.thresholds import parse_strategy

__all__ = ["METRICS_SCHEMA", "SUMMARY_VERSION", "EstimateRow", "Interval", "Summary", "evaluate"]

SUMMARY_VERSION = 1

METRICS_SCHEMA = pa.schema(
    [
        ("fold", pa.int32()),
        ("strategy", pa.string()),
        ("level", pa.string()),
        ("metric", pa.string()),
        ("value", pa.float64()),
        ("threshold", pa.float64()),
    ]
)


@dataclass(frozen=True)
class Interval:
    """Ends of one interval; `method` is a key of `INTERVALS`."""

    method: str
    confidence: float
    low: float
    high: float


@dataclass(frozen=True)
class EstimateRow:
    """One estimate.

    Arguments:
        strategy: threshold strategy, or `any` for metrics that need no threshold.
        level: `image` or `object`.
        metric: name in snake_case.
        mean: over folds; `None` where no fold gives a value.
        std: standard deviation over folds (n - 1); `None` with fewer than two.
        folds: how many folds gave a value.
        interval: by the method asked for; `None` where it does not apply.
        intervals: by all methods that apply.
    """

    strategy: str
    level: str
    metric: str
    mean: float | None
    std: float | None
    folds: int
    interval: Interval | None
    intervals: tuple[Interval, ...]


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
        warnings: one sentence each.
        metrics: value of every fold, of `METRICS_SCHEMA`.
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
    warnings: tuple[str, ...]
    metrics: pa.Table

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
            "estimates": [asdict(row) | {"intervals": [asdict(i) for i in row.intervals]} for row in self.estimates],
            "shortcuts": [asdict(shortcut) for shortcut in self.shortcuts],
            "warnings": list(self.warnings),
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
    beta: float = 2.0,
    max_fpr: float = 0.1,
    folds: int = 10,
    methods: Sequence[str] | None = None,
    dataset: Mapping[str, Any] | None = None,
    detector: str | None = None,
    preset: str | None = None,
    planned_folds: int | None = None,
    warnings: Sequence[str] = (),
    replicator: Replicator = bootstrap_chunks,
) -> Summary:
    """Choose thresholds, judge, and say how sure the outcome is.

    Arguments:
        table: scores of any detector, see `prepare_scores`.
        strategies: threshold strategies, see `raylab2f.evaluation.thresholds`.
        interval: method of the interval reported first, a key of `INTERVALS`.
        confidence: of all intervals, in (0, 1).
        replicates: of the bootstrap over objects.
        seed: of everything random here.
        object_score: from picture scores to object scores: `max`, `mean`, `topk-mean:k`, `quantile:q`.
        prevalence: the factory's share of defective parts; adds the metrics at that prevalence, and the strategy
            `cost` uses it.
        cost_escape, cost_overkill: costs of a defective part accepted and of a good part rejected.
        beta: of the metric and the strategy `fbeta`.
        max_fpr: limit of the false-alarm rate for `partial_auroc`.
        folds: how often to split a table that has neither `partition` nor `fold`.
        methods: intervals to compute; `None`: all. The one named by `interval` is always computed.
        dataset, detector, preset: descriptions to pass on.
        planned_folds: how many folds there should have been; `None`: those in the table.
        warnings: sentences to pass on, before those found here.
        replicator: computes bootstrap replicates, e.g. spread over a cluster.

    Raises:
        UserError: a table or an option that makes no sense.
    """
    rule = parse_object_score(object_score)
    costs = _check_costs(Costs(cost_escape, cost_overkill, prevalence, beta, max_fpr))
    chosen = _check_methods(interval, methods, confidence, replicates)
    defaults = {"escape": cost_escape, "overkill": cost_overkill, "prevalence": prevalence, "beta": beta}
    parsed = tuple(parse_strategy(text, defaults) for text in dict.fromkeys(text.strip() for text in strategies))
    if not parsed:
        raise UserError("Name at least one threshold strategy.")
    scores = prepare_scores(table, folds=folds, seed=seed)
    problem = build_problem(scores, parsed, rule, costs)
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
    means = fold_mean(outcomes.values)[:, 0]
    planned = planned_folds if planned_folds is not None else len(scores.folds)
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
            "beta": beta,
            "max_fpr": max_fpr,
        },
        estimates=_estimate_rows(problem, outcomes, means, intervals, interval, confidence),
        shortcuts=tuple(same_partition_optimism(scores, problem, means, parsed, rule, costs)),
        warnings=(*warnings, *scores.warnings, *find_cautions(scores, problem, outcomes, intervals, planned, interval)),
        metrics=_metrics_table(scores, problem, outcomes),
    )


def _check_costs(costs: Costs) -> Costs:
    for value, option in (
        (costs.escape, "cost of an escape"),
        (costs.overkill, "cost of an overkill"),
        (costs.beta, "beta"),
    ):
        if not (value > 0 and np.isfinite(value)):
            raise UserError(f"The {option} is a number above 0, not {value}.")
    if costs.prevalence is not None and not 0 < costs.prevalence < 1:
        raise UserError(f"The prevalence is a share between 0 and 1, not {costs.prevalence}.")
    if not 0 < costs.max_fpr <= 1:
        raise UserError(f"The limit of the false-alarm rate is above 0 and at most 1, not {costs.max_fpr}.")
    return costs


def _check_methods(interval: str, methods: Sequence[str] | None, confidence: float, replicates: int) -> tuple[str, ...]:
    chosen = tuple(dict.fromkeys((interval, *(methods if methods is not None else INTERVALS))))
    for method in chosen:
        if method not in INTERVALS:
            raise UserError(f"Unknown interval method '{method}'; choose from {', '.join(INTERVALS)}.")
    if not 0 < confidence < 1:
        raise UserError(f"The confidence is between 0 and 1, not {confidence}.")
    if replicates < 1:
        raise UserError(f"The number of replicates is at least 1, not {replicates}.")
    return chosen


def _estimate_rows(
    problem: Problem,
    outcomes: Outcomes,
    means: np.ndarray,
    intervals: IntervalTable,
    default: str,
    confidence: float,
) -> tuple[EstimateRow, ...]:
    rows = []
    for index, estimate in enumerate(problem.estimates):
        values = outcomes.values[index, :, 0]
        values = values[~np.isnan(values)]
        found = {
            method: Interval(method, confidence, float(low[index]), float(high[index]))
            for method, (low, high) in intervals.ends.items()
            if len(values) and np.isfinite(low[index]) and np.isfinite(high[index])
        }
        rows.append(
            EstimateRow(
                strategy=estimate.strategy,
                level=estimate.level,
                metric=estimate.metric,
                mean=float(means[index]) if len(values) else None,
                std=float(values.std(ddof=1)) if len(values) > 1 else None,
                folds=len(values),
                interval=found.get(default),
                intervals=tuple(found.values()),
            )
        )
    return tuple(rows)


def _metrics_table(scores: Scores, problem: Problem, outcomes: Outcomes) -> pa.Table:
    columns: dict[str, list[Any]] = {name: [] for name in METRICS_SCHEMA.names}
    level_of = {level: index for index, level in enumerate(problem.levels)}
    strategy_of = {strategy.text: index for index, strategy in enumerate(problem.strategies)}
    for fold, name in enumerate(scores.folds):
        for index, estimate in enumerate(problem.estimates):
            value = float(outcomes.values[index, fold, 0])
            threshold = None
            if estimate.strategy != ANY_STRATEGY:
                place = level_of[estimate.level], strategy_of[estimate.strategy]
                threshold = float(outcomes.thresholds[(*place, fold, 0)])
            row = (name, estimate.strategy, estimate.level, estimate.metric, value, threshold)
            for column, entry in zip(columns.values(), row, strict=True):
                column.append(None if isinstance(entry, float) and np.isnan(entry) else entry)
    return pa.table(columns, schema=METRICS_SCHEMA)
