"""One sentence on a signal."""

from __future__ import annotations

import numpy as np

from raylab2f.evaluation.monitoring.outcome import Alarm

__all__ = ["rank_statement", "rate_statement"]

_RATE = {"accept": "accepted", "review": "left to a person", "reject": "rejected"}
_WHAT = {"score": "scores", "familiarity": "distances from the familiar"} | {
    name: f"shares of parts {words}" for name, words in _RATE.items()
}
# Units before an alarm by which it is described.
_LATEST = 200
# The mean of so many uniform values deviates by 0.29 / sqrt(n); a deviation of this many of them is named.
_NOTABLE = 2.0


def rank_statement(
    name: str, condition: str | None, p: np.ndarray, alarm: Alarm | None, warning: Alarm | None, unit: str
) -> str:
    """What is to be said of ranks.

    Arguments:
        name: `score`, `familiarity` or a decision.
        condition: `None` for all parts.
        p: (n,) conformal p-values.
        alarm: if there is one.
        warning: if there is one.
        unit: `part` or `day`.
    """
    what = (f"The days' {_WHAT[name]}" if unit == "day" else _WHAT[name].capitalize()) + _where(condition)
    if not len(p):
        return f"{what}: no {unit} has come yet."
    if alarm is None and warning is None:
        return f"{what} do not differ noticeably from the reference, after {len(p)} {unit}s."
    event = alarm or warning
    assert event is not None
    latest = p[max(0, event.units - _LATEST) : event.units]
    noise = np.sqrt(len(latest))
    level = (0.5 - latest.mean()) * np.sqrt(12) * noise
    spread = (np.abs(2 * latest - 1).mean() - 0.5) * np.sqrt(12) * noise
    kind = "otherwise distributed"
    if max(abs(level), abs(spread)) >= _NOTABLE:
        if abs(level) >= abs(spread):
            kind = "higher" if level > 0 else "lower"
        else:
            kind = "more widely spread" if spread > 0 else "more narrowly spread"
    if alarm is not None:
        return f"{what} are {kind} than in the reference: alarm {_when(alarm, unit)}."
    return f"{what} may be {kind} than in the reference: warning {_when(event, unit)}, no alarm."


def rate_statement(
    name: str, condition: str | None, hits: np.ndarray, reference: tuple[float, float], alarm: Alarm | None
) -> str:
    """What is to be said of a rate.

    Arguments:
        name: a decision.
        condition: `None` for all parts.
        hits: (n,) bool, parts with that decision.
        reference: ends of the interval of the rate in the reference.
        alarm: if there is one.
    """
    what = f"The share of parts {_RATE[name]}{_where(condition)}"
    if not len(hits):
        return f"{what}: no part has come yet."
    within = f"{_percent(reference[0])} to {_percent(reference[1])} %"
    now = f"{_percent(hits.mean())} %"
    if alarm is None:
        return f"{what} is {now} of {len(hits)}, which does not contradict the reference ({within})."
    then = hits[: alarm.units].mean()
    kind = "risen" if then > reference[1] else "fallen"
    return f"{what} has {kind}, to {_percent(then)} % from {within} in the reference: alarm {_when(alarm, 'part')}."


def _where(condition: str | None) -> str:
    return "" if condition is None else f" in the condition '{condition}'"


def _when(event: Alarm, unit: str) -> str:
    day = "" if event.day is None else f"on {event.day}, "
    return f"{day}after {event.units} {unit}s"


def _percent(rate: float) -> str:
    return f"{100 * rate:.3g}"
