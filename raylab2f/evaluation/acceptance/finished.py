"""Evidence of the second kind: one finished model with a fixed threshold, on parts that nothing else has seen.

Such parts are independent, and each is judged rightly or wrongly, so the bounds are exact: Clopper & Pearson (1934).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from raylab2f.errors import UserError
from raylab2f.evaluation.acceptance.agreement import AGREEMENT, AGREEMENT_CONFIDENCE, AgreementRow, agreement_row
from raylab2f.evaluation.acceptance.limits import (
    COST,
    REVIEWING,
    Limit,
    check_limits,
    needs_review,
    no_such_figure,
    prevalence_missing,
)
from raylab2f.evaluation.acceptance.outcome import FINISHED, Acceptance
from raylab2f.evaluation.acceptance.repeats import first_repeats, repeat_agreement
from raylab2f.evaluation.acceptance.verdict import NOT_YET_SHOWN, LimitVerdict, judge_limit, more_by_binomial
from raylab2f.evaluation.decisions.object_scores import aggregate_scores, parse_object_score
from raylab2f.evaluation.intervals.methods import clopper_pearson_interval, percentile_interval
from raylab2f.evaluation.outcomes.metrics import OBJECT_RATES, Costs, Counts, base_rate, count_metrics
from raylab2f.evaluation.outcomes.parts import list_parts
from raylab2f.evaluation.scores import Scores, prepare_scores
from raylab2f.seeding import numpy_generator

__all__ = ["judge_finished"]

_REPLICATES = 10_000


@dataclass(frozen=True)
class _Judged:
    """Parts, or pictures, of one level: (n,) each, and by name those of a defect type or a condition."""

    anomalous: np.ndarray
    flagged: np.ndarray
    parts: dict[str, np.ndarray]

    def errors(self, anomalous: bool, rows: np.ndarray | None = None) -> tuple[int, int]:
        """How many of a class, of these rows if any are given, are judged wrongly, and how many there are."""
        chosen = self.anomalous == anomalous
        if rows is not None:
            chosen = chosen & rows
        return int((self.flagged[chosen] != anomalous).sum()), int(chosen.sum())


def judge_finished(
    table: pa.Table,
    threshold: float,
    limits: Sequence[Limit],
    *,
    object_score: str = "max",
    prevalence: float | None = None,
    cost_escape: float = 10.0,
    cost_overkill: float = 1.0,
    by: Sequence[str] | None = None,
    seed: int = 0,
) -> Acceptance:
    """Judge a score table of one model by limits.

    Arguments:
        table: `image_id`, `label`, `score`, optionally `object_id` and others; every picture once, none that trained or
            chose the threshold. With `repeat`, parts that were photographed again: see `repeat_agreement`.
        threshold: fixed before these parts were scored; what scores as high or higher is rejected.
        limits: at least one.
        object_score: from picture scores to object scores.
        prevalence, cost_escape, cost_overkill: for `cost_at_prevalence`.
        by: further parts whose rates may be limited, as for `evaluate`.
        seed: of the bootstrap behind kappa's interval.

    Raises:
        UserError: a limit on a figure that the scores do not give, or a table that makes no sense.
    """
    check_limits(limits)
    if not np.isfinite(threshold):
        raise UserError(f"--at {threshold}: give the model's threshold, a number.")
    costs = Costs(cost_escape, cost_overkill, prevalence)
    scores = _one_model(table)
    rule = parse_object_score(object_score)
    repeats = None
    if (first := first_repeats(scores)) is not None:
        repeats = repeat_agreement(scores, threshold, rule)
        # A part that was seen again is no further part; what is judged is how it was decided the first time.
        scores = _one_model(table.filter(pa.array(first)))
    of_objects, of_scores = aggregate_scores(scores.score, scores.object, rule)
    assert np.array_equal(of_objects, np.arange(len(of_objects)))
    levels = {
        level: _Judged(
            anomalous,
            values >= threshold,
            {metric: part.rows for part in list_parts(scores, level, by) for metric in part.metrics},
        )
        for level, anomalous, values in (
            ("object", scores.object_anomalous, of_scores),
            ("image", scores.label, scores.score),
        )
    }
    if any(limit.level == "image" for limit in limits) and len(scores.score) > len(of_objects):
        raise UserError(
            "level image: some parts have several pictures, which are not independent, so there are no exact bounds; "
            "set limits at object level."
        )
    level = limits[0].level
    objects = {"defective": int(scores.object_anomalous.sum()), "good": int((~scores.object_anomalous).sum())}
    return Acceptance(
        evidence=FINISHED,
        limits=tuple(_verdict(limit, levels[limit.level], costs) for limit in limits),
        agreement=_agreement(levels[level], seed),
        level=level,
        settings={
            "threshold": threshold,
            "object_score": str(rule),
            "prevalence": prevalence,
            "cost_escape": cost_escape,
            "cost_overkill": cost_overkill,
            "objects": objects,
        },
        warnings=scores.warnings,
        repeats=repeats,
    )


def _one_model(table: pa.Table) -> Scores:
    names = [name.strip().lower() for name in table.column_names]
    for column in ("fold", "partition"):
        values = set(table.column(names.index(column)).to_pylist()) if column in names else set()
        if len(values) > 1 or (column == "partition" and values - {"inference"}):
            raise UserError(
                f"--at: by their {column} the scores are not all of one finished model on parts that nothing else has "
                "seen; leave --at out to judge folds, or give those parts alone."
            )
    kept = [number for number, name in enumerate(names) if name not in ("fold", "partition")]
    # Every picture is judged. What must hold of a table is checked as ever; nothing here depends on the split.
    return prepare_scores(table.select(kept), folds=1)


def _verdict(limit: Limit, judged: _Judged, costs: Costs) -> LimitVerdict:
    if limit.metric == COST:
        return _cost_verdict(limit, judged, costs)
    if limit.metric in REVIEWING:
        raise needs_review(limit.metric, "one threshold (--at)")
    anomalous = OBJECT_RATES[base_rate(limit.metric)]
    rows = None
    if limit.metric != base_rate(limit.metric):
        if limit.metric not in judged.parts:
            raise no_such_figure(limit.metric, limit.level, (*OBJECT_RATES, *judged.parts))
        rows = judged.parts[limit.metric]
    wrong, parts = judged.errors(anomalous, rows)
    kind = "defective" if anomalous else "good"
    if not parts:
        raise UserError(f"limit {limit.metric}: there is no {kind} part to show it with; give scores of some.")
    low, high = _bounds(wrong, parts, limit.confidence)
    if not limit.at_most:
        low, high = 1 - high, 1 - low
    rate = wrong / parts if limit.at_most else 1 - wrong / parts
    verdict = judge_limit(limit, low, high)
    more = more_by_binomial(limit, kind, wrong, parts) if verdict == NOT_YET_SHOWN else None
    return LimitVerdict(limit, None, rate, low, high, verdict, more)


def _cost_verdict(limit: Limit, judged: _Judged, costs: Costs) -> LimitVerdict:
    """The cost's bounds from those of both rates, each with half the risk: they hold together with the confidence."""
    if costs.prevalence is None:
        raise prevalence_missing(COST)
    weights = costs.escape * costs.prevalence, costs.overkill * (1 - costs.prevalence)
    cost = np.zeros(3)
    for anomalous, weight in zip((True, False), weights, strict=True):
        wrong, parts = judged.errors(anomalous)
        cost += 1000 * weight * np.array([wrong / parts, *_bounds(wrong, parts, (1 + limit.confidence) / 2)])
    estimate, low, high = (float(value) for value in cost)
    return LimitVerdict(limit, None, estimate, low, high, judge_limit(limit, low, high))


def _bounds(wrong: int, parts: int, confidence: float) -> tuple[float, float]:
    """One-sided bounds, each with the confidence."""
    low, high = clopper_pearson_interval(np.array([wrong / parts]), parts, 2 * confidence - 1)
    return float(low[0]), float(high[0])


def _agreement(judged: _Judged, seed: int) -> tuple[AgreementRow, ...]:
    (missed, defective), (rejected, good) = judged.errors(True), judged.errors(False)
    counts, flagged = (defective, good), (defective - missed, rejected)
    rng = numpy_generator(seed, "agreement")
    # Of the parts of a class, drawn with replacement, so many are flagged.
    drawn = [rng.binomial(count, hit / count, _REPLICATES) for count, hit in zip(counts, flagged, strict=True)]
    values, replicates = (
        count_metrics(Counts(*(np.asarray(part, float) for part in hits), *map(float, counts)), Costs())  # type: ignore[arg-type]
        for hits in (flagged, drawn)
    )
    trials = {"accuracy": sum(counts), "escape_rate": counts[0], "overkill_rate": counts[1]}
    rows = []
    for metric in AGREEMENT:
        estimate = float(values[metric])
        if metric in trials:
            low, high = clopper_pearson_interval(np.array([estimate]), trials[metric], AGREEMENT_CONFIDENCE)
        else:
            low, high = percentile_interval(replicates[metric][None], AGREEMENT_CONFIDENCE)
        rows.append(agreement_row(metric, estimate, float(low[0]), float(high[0])))
    return tuple(rows)
