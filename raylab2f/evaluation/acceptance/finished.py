"""Evidence of the second kind: one finished model with fixed thresholds, on parts that nothing else has seen.

Such parts are independent, and each is judged rightly or wrongly, or left to a person, so the bounds are exact: Clopper
& Pearson (1934). Figures of both classes together have the bounds of their rates, which share the risk.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

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
from raylab2f.evaluation.outcomes.metrics import (
    AUTOMATIC_RATES,
    CLASS_RATES,
    OBJECT_RATES,
    REVIEW_RATES,
    Costs,
    Counts,
    base_rate,
    count_metrics,
)
from raylab2f.evaluation.outcomes.parts import list_parts
from raylab2f.evaluation.scores import Scores, prepare_scores
from raylab2f.seeding import numpy_generator

__all__ = ["judge_finished"]

_REPLICATES = 10_000


@dataclass(frozen=True)
class _Judged:
    """Parts, or pictures, of one level: (n,) each, and by name those of a defect type or a condition."""

    anomalous: np.ndarray
    accepted: np.ndarray
    rejected: np.ndarray
    parts: dict[str, np.ndarray]

    def errors(self, anomalous: bool, rows: np.ndarray | None = None) -> tuple[int, int]:
        """How many of a class, of these rows if any are given, are judged wrongly, and how many there are."""
        chosen = self.anomalous == anomalous
        if rows is not None:
            chosen = chosen & rows
        wrong = self.accepted if anomalous else self.rejected
        return int(wrong[chosen].sum()), int(chosen.sum())

    def reviews(self, anomalous: bool) -> tuple[int, int]:
        """How many of a class are left to a person, and how many there are."""
        chosen = self.anomalous == anomalous
        return int((chosen & ~self.accepted & ~self.rejected).sum()), int(chosen.sum())


def judge_finished(
    table: pa.Table,
    threshold: float,
    limits: Sequence[Limit],
    *,
    low_threshold: float | None = None,
    object_score: str = "max",
    prevalence: float | None = None,
    cost_escape: float = 10.0,
    cost_overkill: float = 1.0,
    cost_review: float = 0.25,
    by: Sequence[str] | None = None,
    seed: int = 0,
) -> Acceptance:
    """Judge a score table of one model by limits.

    Arguments:
        table: `image_id`, `label`, `score`, optionally `object_id` and others; every picture once, none that trained or
            chose the threshold. With `repeat`, parts that were photographed again: see `repeat_agreement`.
        threshold: fixed before these parts were scored; what scores as high or higher is rejected.
        limits: at least one.
        low_threshold: fixed as well; what scores lower is accepted, and a person looks at what lies between: not
            higher than `threshold`; `None`: what is not rejected is accepted.
        object_score: from picture scores to object scores.
        prevalence, cost_escape, cost_overkill, cost_review: for `cost_at_prevalence`.
        by: further parts whose rates may be limited, as for `evaluate`.
        seed: of the bootstrap behind kappa's interval.

    Raises:
        UserError: a limit on a figure that the scores do not give, or a table that makes no sense.
    """
    check_limits(limits)
    low = threshold if low_threshold is None else low_threshold
    for value in (low, threshold):
        if not np.isfinite(value):
            raise UserError(f"--at {value}: give the model's threshold, a number.")
    if low > threshold:
        raise UserError(f"--at {low:g}: the low threshold lies above the high one, {threshold:g}; exchange them.")
    costs = Costs(cost_escape, cost_overkill, prevalence, review=cost_review)
    scores = _one_model(table)
    rule = parse_object_score(object_score)
    repeats = None
    if (first := first_repeats(scores)) is not None:
        repeats = repeat_agreement(scores, (low, threshold), rule)
        # A part that was seen again is no further part; what is judged is how it was decided the first time.
        scores = _one_model(table.filter(pa.array(first)))
    of_objects, of_scores = aggregate_scores(scores.score, scores.object, rule)
    assert np.array_equal(of_objects, np.arange(len(of_objects)))
    levels = {
        level: _Judged(
            anomalous,
            values < low,
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
        limits=tuple(_verdict(limit, levels[limit.level], costs, low_threshold is not None) for limit in limits),
        agreement=_agreement(levels[level], seed, low_threshold is not None),
        level=level,
        settings={
            "threshold": threshold,
            **({} if low_threshold is None else {"low_threshold": low_threshold, "cost_review": cost_review}),
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


def _verdict(limit: Limit, judged: _Judged, costs: Costs, reviews: bool) -> LimitVerdict:
    if limit.metric == COST:
        return _together(limit, _cost_shares(judged, costs, reviews))
    if limit.metric in REVIEWING and not reviews:
        raise needs_review(limit.metric, "one threshold (--at)", "give both thresholds, --at LOW --at HIGH")
    if limit.metric in ("review_rate", "review_rate_at_prevalence"):
        return _together(limit, _review_shares(limit.metric, judged, costs))
    if limit.metric in REVIEW_RATES:
        anomalous = REVIEW_RATES[limit.metric]
        return _of_class(limit, *judged.reviews(anomalous), anomalous)
    if limit.metric in AUTOMATIC_RATES:
        anomalous = CLASS_RATES[AUTOMATIC_RATES[limit.metric][0]]
        (wrong, parts), (left, _) = judged.errors(anomalous), judged.reviews(anomalous)
        if parts and left == parts:
            return LimitVerdict(limit, None, None, None, None, NOT_YET_SHOWN)
        found = _of_class(limit, wrong, parts - left, anomalous)
        # Of further parts, as many as it takes are decided without a person; how many that is, is not known.
        return replace(found, more=None)
    anomalous = OBJECT_RATES[base_rate(limit.metric)]
    rows = None
    if limit.metric != base_rate(limit.metric):
        if limit.metric not in judged.parts:
            raise no_such_figure(limit.metric, limit.level, (*OBJECT_RATES, *judged.parts))
        rows = judged.parts[limit.metric]
    return _of_class(limit, *judged.errors(anomalous, rows), anomalous)


def _of_class(limit: Limit, wrong: int, parts: int, anomalous: bool) -> LimitVerdict:
    """The verdict on a rate of one class, of whose `parts` so many are `wrong`, that is speak against the limit."""
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


@dataclass(frozen=True)
class _Share:
    """A rate of one class in a figure of both: its weight, and how many of the class's parts it counts."""

    weight: float
    counted: int
    parts: int


def _cost_shares(judged: _Judged, costs: Costs, reviews: bool) -> list[_Share]:
    if costs.prevalence is None:
        raise prevalence_missing(COST)
    weights = {True: 1000 * costs.prevalence, False: 1000 * (1 - costs.prevalence)}
    shares = [
        _Share(weights[anomalous] * cost, *judged.errors(anomalous))
        for anomalous, cost in ((True, costs.escape), (False, costs.overkill))
    ]
    if not reviews:
        return shares
    return shares + [_Share(weights[anomalous] * costs.review, *judged.reviews(anomalous)) for anomalous in weights]


def _review_shares(metric: str, judged: _Judged, costs: Costs) -> list[_Share]:
    defective = float(judged.anomalous.mean())
    if metric == "review_rate_at_prevalence":
        if costs.prevalence is None:
            raise prevalence_missing(metric)
        defective = costs.prevalence
    return [_Share(weight, *judged.reviews(kind)) for kind, weight in ((True, defective), (False, 1 - defective))]


def _together(limit: Limit, shares: Sequence[_Share]) -> LimitVerdict:
    """Bounds of a figure of both classes from those of its rates, each with its part of the risk: they hold together
    with the confidence.
    """
    confidence = 1 - (1 - limit.confidence) / len(shares)
    total = np.zeros(3)
    for share in shares:
        bounds = _bounds(share.counted, share.parts, confidence)
        total += share.weight * np.array([share.counted / share.parts, *bounds])
    estimate, low, high = (float(value) for value in total)
    return LimitVerdict(limit, None, estimate, low, high, judge_limit(limit, low, high))


def _bounds(wrong: int, parts: int, confidence: float) -> tuple[float, float]:
    """One-sided bounds, each with the confidence."""
    low, high = clopper_pearson_interval(np.array([wrong / parts]), parts, 2 * confidence - 1)
    return float(low[0]), float(high[0])


def _agreement(judged: _Judged, seed: int, reviews: bool) -> tuple[AgreementRow, ...]:
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
    # Decisions of three kinds have no effectiveness and no kappa.
    for metric in ("escape_rate", "overkill_rate") if reviews else AGREEMENT:
        estimate = float(values[metric])
        if metric in trials:
            low, high = clopper_pearson_interval(np.array([estimate]), trials[metric], AGREEMENT_CONFIDENCE)
        else:
            low, high = percentile_interval(replicates[metric][None], AGREEMENT_CONFIDENCE)
        rows.append(agreement_row(metric, estimate, float(low[0]), float(high[0])))
    return tuple(rows)
