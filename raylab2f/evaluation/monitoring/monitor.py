"""Has the world changed since the evaluation? Sequential tests that may be looked at after every part.

The promise: if the parts that arrive are exchangeable with those of the reference, the probability that any signal ever
raises an alarm is at most alpha, over an infinite horizon. Each signal has a fixed share of alpha, chosen by what the
reference has, and the shares add up (Bonferroni), so that signals may depend on each other in any way. The share of a
rate is halved between the interval of the reference and the confidence sequence of the stream.

A warning is milder: a Shiryaev-Roberts statistic, which does not tire of a long time without a change. Within n parts a
false one comes with a probability of at most n / (2 ARL), so on average no sooner than after ARL parts.

By day, days are to be exchangeable instead of parts, and everything is said of days.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from raylab2f.errors import UserError
from raylab2f.evaluation.intervals.methods import clopper_pearson_interval
from raylab2f.evaluation.monitoring.betting import log10_capital, log10_shiryaev_roberts
from raylab2f.evaluation.monitoring.outcome import MONITORING_SCHEMA, Alarm, Monitoring, Signal
from raylab2f.evaluation.monitoring.parts import DECISIONS, Parts, read_parts
from raylab2f.evaluation.monitoring.prevalence import draw_at_prevalence
from raylab2f.evaluation.monitoring.ranks import conformal_p_values
from raylab2f.evaluation.monitoring.rates import confidence_sequence, log10_rate_evidence
from raylab2f.evaluation.monitoring.series import UNITS, Series, day_ends, series
from raylab2f.evaluation.monitoring.statements import rank_statement, rate_statement
from raylab2f.seeding import numpy_generator

__all__ = ["monitor"]

# Of alpha, where a reference is drawn: that it cannot be drawn as the prevalence asks.
_DRAWING = 0.01


def monitor(
    reference: pa.Table,
    judged: pa.Table,
    *,
    alpha: float = 0.01,
    arl: float | None = None,
    unit: str = "part",
    prevalence: float | None = None,
    seed: int = 0,
) -> Monitoring:
    """Hold the parts of a line against those of the evaluation, in order of arrival.

    All is computed anew from the first part on; rows of later days change nothing of what was said of earlier ones.

    Arguments:
        reference: one row a picture, `image_id` and `score`, optionally `object_id`, `familiarity` (higher: less
            familiar), `decision` (accept, review, reject), `condition` and `label`. Several pictures of a part are one
            value, their maximum.
        judged: the same of the stream, optionally with `day` (date, ISO text or timestamp), by which it is sorted.
        alpha: probability of any false alarm, ever, in (0, 1).
        arl: number of units until a false warning, on average, that is promised at least; `None` for 10,000 parts or
            1,000 days.
        unit: `part`, or `day` where parts of a day are more alike than those of different days. Each day then counts
            once, by the median of scores and of familiarity and the rates of decisions; both tables need `day`, and
            should have whole days.
        prevalence: share of defective parts at the line. The reference is then drawn from that of the evaluation, by
            its labels, so that it has as many; otherwise it is taken as it is.
        seed: of what breaks ties and of what is drawn.

    Raises:
        UserError: an option out of range, or a table that cannot be used.
    """
    if not 0 < alpha < 1:
        raise UserError(f"alpha is {alpha}; it is a probability above 0 and below 1.")
    if unit not in UNITS:
        raise UserError(f"Unknown unit '{unit}'; choose one of {', '.join(UNITS)}.")
    arl = {"part": 10_000.0, "day": 1_000.0}[unit] if arl is None else arl
    if not 1 <= arl < np.inf:
        raise UserError(f"The ARL is {arl}; it is a number of {unit}s of at least 1.")
    known, stream = read_parts(reference, "The reference"), read_parts(judged, "The table of judged pictures")
    for parts, where in ((known, "The reference"), (stream, "The table of judged pictures")):
        if unit == "day" and parts.day is None:
            raise UserError(f"{where} lacks the column day, without which days cannot be compared; add it.")
    tests = alpha
    if prevalence is not None:
        if unit == "day":
            raise UserError("Days are compared as they are, so no prevalence can be drawn; leave it out.")
        if known.label is None:
            raise UserError("The reference lacks the column label, without which no prevalence can be drawn; add it.")
        rng = numpy_generator(seed, "monitoring", "prevalence")
        known = known.take(draw_at_prevalence(known.label, prevalence, _DRAWING * alpha, rng))
        tests = (1 - _DRAWING) * alpha
    plan, notes = _planned(known, stream, tests)
    # Rates of single parts have a confidence sequence; everything else is ranked.
    ranked = {name for name, _, _ in plan if unit == "day" or name not in DECISIONS}
    ranks = sum(share for name, _, share in plan if name in ranked)
    found = []
    for name, condition, share in plan:
        past, now = (series(_of_condition(parts, condition), name, unit) for parts in (known, stream))
        if name in ranked:
            warning = np.log10(2 * arl * ranks / share)
            result = _watch_ranks(name, condition, past, now, share, warning, seed, unit)
        else:
            result = _watch_rate(name, condition, past, now, share)
        found.append(result)
    return Monitoring(
        signals=tuple(signal for signal, _ in found),
        table=pa.concat_tables([table for _, table in found]),
        alpha=alpha,
        arl=arl,
        unit=unit,
        parts=len(stream.name),
        reference_parts=len(known.name),
        left_out={"reference": known.left_out, "judged": stream.left_out},
        notes=tuple(notes),
    )


def _planned(known: Parts, stream: Parts, alpha: float) -> tuple[list[tuple[str, str | None, float]], list[str]]:
    """Signals with their shares of alpha, and what is not watched. Never chosen by values of the stream."""
    notes, kinds = [], ["score"]
    for name, past, now in (
        ("familiarity", known.familiarity, stream.familiarity),
        ("decision", known.decision, stream.decision),
    ):
        if past is not None and now is not None:
            kinds.append(name)
        else:
            lacking = "the reference" if past is None else "the table of judged pictures"
            lacking = "both tables" if past is None and now is None else lacking
            verb = "lack" if past is None and now is None else "lacks"
            notes.append(f"{name.capitalize()} is not watched, for {lacking} {verb} that column.")
    conditions: list[str | None] = []
    if known.condition is not None and stream.condition is not None:
        conditions = [text for text in np.unique(known.condition).tolist() if text]
        strange = sorted(set(np.unique(stream.condition).tolist()) - set(conditions) - {""})
        if strange:
            count = int(np.isin(stream.condition, strange).sum())
            notes.append(
                f"{count} parts are of a condition that the reference lacks ({', '.join(strange[:5])}); they are "
                "watched among all parts only."
            )
    # With a single condition its parts are all parts.
    groups = [(None, 1.0)] if len(conditions) < 2 else [(None, 0.5), *((c, 0.5 / len(conditions)) for c in conditions)]
    plan: list[tuple[str, str | None, float]] = []
    for condition, portion in groups:
        share = alpha * portion / len(kinds)
        for kind in kinds:
            if kind == "decision":
                plan.extend((name, condition, share / len(DECISIONS)) for name in DECISIONS)
            else:
                plan.append((kind, condition, share))
    return plan, notes


def _of_condition(parts: Parts, condition: str | None) -> Parts:
    return parts if condition is None else parts.take(np.equal(np.asarray(parts.condition), condition))


def _watch_ranks(
    name: str, condition: str | None, past: Series, now: Series, share: float, warn: float, seed: int, unit: str
) -> tuple[Signal, pa.Table]:
    draws = numpy_generator(seed, "monitoring", name, condition or "", int(condition is None)).random(len(now.value))
    p = conformal_p_values(past.value, now.value, draws)
    capital = log10_capital(p)
    restarted = log10_shiryaev_roberts(capital)
    bound = -np.log10(share)
    alarm, warning = _first(capital >= bound, now), _first(restarted >= warn, now)
    signal = Signal(
        signal=name,
        condition=condition,
        alpha=share,
        reference_units=len(past.value),
        units=len(p),
        log10_evidence=float(capital[-1]) if len(capital) else 0.0,
        log10_peak=float(capital.max(initial=0.0)),
        log10_alarm=float(bound),
        log10_warning=float(warn),
        alarm=alarm,
        warning=warning,
        statement=rank_statement(name, condition, p, alarm, warning, unit),
    )
    columns = {"level": 1 - p, "log10_evidence": capital, "log10_restarted": restarted}
    return signal, _by_day(signal, now, columns, {})


def _watch_rate(name: str, condition: str | None, past: Series, now: Series, share: float) -> tuple[Signal, pa.Table]:
    hits = now.value > 0
    # Half of the share for the interval of the reference, half for the confidence sequence.
    low, high = 0.0, 1.0
    if len(past.value):
        low, high = map(float, clopper_pearson_interval(past.value.mean(), len(past.value), 1 - share / 2))
    evidence = log10_rate_evidence(hits, low, high)
    bound = np.log10(2 / share)
    alarm = _first(evidence >= bound, now)
    ends = np.array([last for _, last in day_ends(now)], dtype=np.int64)
    lower, upper = confidence_sequence(np.cumsum(hits)[ends], ends + 1, share / 2)
    signal = Signal(
        signal=name,
        condition=condition,
        alpha=share,
        reference_units=len(past.value),
        units=len(hits),
        log10_evidence=float(evidence[-1]) if len(evidence) else 0.0,
        log10_peak=float(evidence.max(initial=0.0)),
        log10_alarm=float(bound),
        log10_warning=None,
        alarm=alarm,
        warning=None,
        statement=rate_statement(name, condition, hits, (low, high), alarm),
    )
    columns = {"level": now.value, "log10_evidence": evidence}
    return signal, _by_day(signal, now, columns, {"low": lower, "high": upper, "reference": (low, high)})


def _first(reached: np.ndarray, found: Series) -> Alarm | None:
    if not reached.any():
        return None
    place = int(reached.argmax())
    return Alarm(place + 1, str(found.name[place]), None if found.day is None else str(found.day[place]))


def _by_day(signal: Signal, now: Series, columns: dict[str, np.ndarray], rate: dict) -> pa.Table:
    peak = np.maximum.accumulate(np.maximum(columns["log10_evidence"], 0.0))
    restarted = columns.get("log10_restarted")
    low, high = rate.get("reference", (None, None))
    rows = [
        {
            "signal": signal.signal,
            "condition": signal.condition,
            "day": None if now.day is None else str(now.day[last]),
            "units": last + 1,
            "units_of_day": last + 1 - first,
            "level": float(columns["level"][first : last + 1].mean()),
            "low": float(rate["low"][number]) if rate else None,
            "high": float(rate["high"][number]) if rate else None,
            "reference_low": low,
            "reference_high": high,
            "log10_evidence": float(columns["log10_evidence"][last]),
            "log10_peak": float(peak[last]),
            "log10_restarted": None if restarted is None else float(restarted[last]),
            "alarm": signal.alarm is not None and signal.alarm.units <= last + 1,
            "warning": signal.warning is not None and signal.warning.units <= last + 1,
        }
        for number, (first, last) in enumerate(day_ends(now))
    ]
    return pa.Table.from_pylist(rows, MONITORING_SCHEMA)
