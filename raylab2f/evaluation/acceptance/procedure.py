"""Evidence of the first kind: folds, which say how the way of making models and thresholds does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from raylab2f.errors import UserError
from raylab2f.evaluation.acceptance.agreement import AGREEMENT, AGREEMENT_CONFIDENCE, agreement_row
from raylab2f.evaluation.acceptance.limits import (
    COST,
    REVIEWING,
    Limit,
    check_limits,
    needs_review,
    no_such_figure,
    prevalence_missing,
)
from raylab2f.evaluation.acceptance.outcome import PROCEDURE, Acceptance
from raylab2f.evaluation.acceptance.repeats import refuse_repeats
from raylab2f.evaluation.acceptance.verdict import NOT_YET_SHOWN, LimitVerdict, MoreParts, judge_limit, more_by_interval
from raylab2f.evaluation.estimates import EstimateRow
from raylab2f.evaluation.intervals.methods import BOUNDS
from raylab2f.evaluation.outcomes.metrics import CLASS_RATES, OBJECT_RATES, base_rate
from raylab2f.evaluation.score_table import check_columns
from raylab2f.evaluation.summary import Summary, evaluate

__all__ = ["judge_procedure"]


def judge_procedure(table: pa.Table, limits: Sequence[Limit], *, strategy: str = "youden", **rules: Any) -> Acceptance:
    """Judge the folds of a score table by limits, with one-sided bounds (`raylab2f.evaluation.intervals.bounds`).

    Arguments:
        table: scores of all folds, see `raylab2f.evaluation.evaluate`.
        limits: at least one.
        strategy: by which thresholds are chosen.
        rules: further arguments of `evaluate`: `seed`, `replicates`, `object_score`, `prevalence`, costs, `by`.

    Raises:
        UserError: a limit on a figure that the scores do not give, or a table that makes no sense.
    """
    check_limits(limits)
    if any(limit.level == "object" for limit in limits):
        given = check_columns(table)
        if given.object is not None and "repeat" in given.groups:
            judges = np.ones(len(given.score), bool) if given.partition is None else given.partition != "train"
            refuse_repeats(given.object[judges].tolist(), given.groups["repeat"][judges].tolist())

    def found(confidence: float, interval: str = "object-bootstrap") -> Summary:
        return evaluate(table, strategies=(strategy,), methods=(), interval=interval, confidence=confidence, **rules)

    # One-sided bounds are the ends of the two-sided interval that leaves as much out on either side.
    asked = {limit.confidence for limit in limits}
    by_confidence = {confidence: found(_two_sided(confidence), BOUNDS) for confidence in asked}
    whole = found(AGREEMENT_CONFIDENCE)
    level = limits[0].level
    return Acceptance(
        evidence=PROCEDURE,
        limits=tuple(_judged(limit, by_confidence[limit.confidence]) for limit in limits),
        agreement=tuple(
            agreement_row(metric, row.mean, *_ends(row))
            for metric in AGREEMENT
            for row in whole.estimates
            if (row.metric, row.level) == (metric, level)
        ),
        level=level,
        settings={**whole.settings, "folds": whole.finished, "objects": dict(whole.objects)},
        warnings=whole.warnings,
    )


def _two_sided(confidence: float) -> float:
    # An interval of no width is none.
    return max(2 * confidence - 1, 1e-9)


def _judged(limit: Limit, summary: Summary) -> LimitVerdict:
    row = _find(summary, limit.metric, limit.level)
    low, high = _ends(row)
    verdict = judge_limit(limit, low, high)
    return LimitVerdict(limit, row.strategy, row.mean, low, high, verdict, _more(limit, row, verdict, summary))


def _more(limit: Limit, row: EstimateRow, verdict: str, summary: Summary) -> MoreParts | None:
    low, high = _ends(row)
    rate = base_rate(limit.metric)
    # What is no rate of one class takes both kinds of parts, in no proportion that is known here.
    if verdict != NOT_YET_SHOWN or rate not in CLASS_RATES or row.mean is None or low is None or high is None:
        return None
    kind = "defective" if CLASS_RATES[rate] else "good"
    judged = summary.objects.get(limit.metric, summary.objects[kind])
    return more_by_interval(limit, kind, row.mean, high if limit.at_most else low, judged)


def _find(summary: Summary, metric: str, level: str) -> EstimateRow:
    rows = [row for row in summary.estimates if row.level == level]
    if not rows:
        raise UserError(f"limit {metric}: these scores have no {level} level; set the limit with level: image.")
    for row in rows:
        if row.metric == metric:
            return row
    known = {row.metric for row in rows}
    if metric in REVIEWING and "review_rate" not in known:
        raise needs_review(
            metric,
            f"the strategy '{summary.settings['strategies'][0]}'",
            "judge folds with --strategy two-sided or review-cost",
        )
    if metric in (COST, "review_rate_at_prevalence"):
        raise prevalence_missing(metric)
    limitable = sorted(name for name in known if name in REVIEWING or base_rate(name) in OBJECT_RATES)
    raise no_such_figure(metric, level, limitable)


def _ends(row: EstimateRow) -> tuple[float | None, float | None]:
    return (None, None) if row.interval is None else (row.interval.low, row.interval.high)
