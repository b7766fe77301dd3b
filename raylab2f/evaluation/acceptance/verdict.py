"""What a bound says of a limit, and how many more parts would say it.

A limit is *shown* to be kept if the one-sided bound keeps it, *refuted* if the bound of the other side breaks it, and
*not yet shown* in between. All limits together are shown if each is. Nothing is corrected for their number: where one
is not kept, its own test must err for all to be shown, so the error probability is at most that of a single one
(intersection-union test: Berger, "Multiparameter Hypothesis Testing and Acceptance Sampling", Technometrics 24, 1982).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from scipy.special import betaincinv

from raylab2f.evaluation.acceptance.limits import Limit

__all__ = [
    "NOT_YET_SHOWN",
    "REFUTED",
    "SHOWN",
    "LimitVerdict",
    "MoreParts",
    "judge_limit",
    "more_by_binomial",
    "more_by_interval",
    "together",
]

SHOWN, REFUTED, NOT_YET_SHOWN = "shown", "refuted", "not yet shown"
_MOST_PARTS = 10_000_000


@dataclass(frozen=True)
class MoreParts:
    """How many parts of a class would show a limit that is not yet shown.

    Arguments:
        kind: `defective` or `good`.
        judged: so many were.
        as_seen: so many more, if the rate is what it looks like; `None`: it looks no better than the limit.
        without_errors: so many more, if no further error is made among them.
    """

    kind: str
    judged: int
    as_seen: int | None
    without_errors: int | None


@dataclass(frozen=True)
class LimitVerdict:
    """What the data say of one limit.

    Arguments:
        limit: as it was set.
        strategy: of the threshold; `None`: a fixed one.
        estimate: the figure; `None` where no fold gives it.
        low, high: its one-sided bounds, each with the limit's confidence; `None` where there are none.
        verdict: `shown`, `refuted` or `not yet shown`.
        more: for rates that are not yet shown.
    """

    limit: Limit
    strategy: str | None
    estimate: float | None
    low: float | None
    high: float | None
    verdict: str
    more: MoreParts | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        values = asdict(self)
        return {**values.pop("limit"), "at_most": self.limit.at_most, **values}


def judge_limit(limit: Limit, low: float | None, high: float | None) -> str:
    """The verdict on a figure with these one-sided bounds."""
    if low is None or high is None:
        return NOT_YET_SHOWN
    if high <= limit.value if limit.at_most else low >= limit.value:
        return SHOWN
    broken = low > limit.value if limit.at_most else high < limit.value
    return REFUTED if broken else NOT_YET_SHOWN


def together(verdicts: Sequence[str]) -> str:
    """The verdict on all limits."""
    if REFUTED in verdicts:
        return REFUTED
    return SHOWN if all(verdict == SHOWN for verdict in verdicts) else NOT_YET_SHOWN


def more_by_binomial(limit: Limit, kind: str, errors: int, judged: int) -> MoreParts:
    """For exact binomial bounds of independent parts.

    Arguments:
        limit: of a rate.
        kind: of the parts.
        errors: parts among the judged ones that speak against the limit: escapes for a recall.
        judged: parts.
    """
    most = limit.value if limit.at_most else 1 - limit.value
    rate = errors / judged

    def keeps(parts: int, wrong: float) -> bool:
        return wrong < parts and float(betaincinv(wrong + 1, parts - wrong, limit.confidence)) <= most

    return MoreParts(
        kind,
        judged,
        None if rate >= most else _first(judged, lambda parts: keeps(parts, rate * parts)),
        _first(judged, lambda parts: keeps(parts, errors)),
    )


def more_by_interval(limit: Limit, kind: str, estimate: float, bound: float, judged: int) -> MoreParts:
    """For score intervals, whose bound u of a rate p is that of m trials with (u - p)^2 m proportional to u (1 - u).

    What m is, correlated pictures and a threshold that was estimated have decided; it grows with the parts.

    Arguments:
        limit: of a rate.
        kind: of the parts.
        estimate, bound: the rate and the bound that should keep the limit.
        judged: parts.
    """
    most, rate, worst = limit.value, estimate, bound
    if not limit.at_most:
        most, rate, worst = 1 - most, 1 - rate, 1 - worst
    if not rate < worst < 1:
        return MoreParts(kind, judged, None, None)
    trials = worst * (1 - worst) / (worst - rate) ** 2

    def keeps(parts: int, seen: float) -> bool:
        return seen < most and most * (1 - most) / (most - seen) ** 2 <= trials * parts / judged

    return MoreParts(
        kind,
        judged,
        None if rate >= most else _first(judged, lambda parts: keeps(parts, rate)),
        _first(judged, lambda parts: keeps(parts, rate * judged / parts)),
    )


def _first(judged: int, keeps: Callable[[int], bool]) -> int | None:
    """How many parts beyond the judged ones `keeps` first holds for; it holds for all numbers above."""
    high = max(judged, 1)
    while not keeps(high):
        if high >= _MOST_PARTS:
            return None
        high = min(2 * high, _MOST_PARTS)
    low = judged
    while low < high:
        middle = math.floor((low + high) / 2)
        low, high = (low, middle) if keeps(middle) else (middle + 1, high)
    return high - judged
