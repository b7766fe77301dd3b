"""Limits that a factory sets to figures, each to be shown with a confidence of its own."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from raylab2f.errors import UserError
from raylab2f.evaluation.outcomes.metrics import (
    AUTOMATIC_RATES,
    OBJECT_RATES,
    REVIEWED_SHARES,
    base_rate,
    lower_is_better,
)

__all__ = [
    "COST",
    "REVIEWING",
    "Limit",
    "LimitSet",
    "check_limits",
    "needs_review",
    "no_such_figure",
    "prevalence_missing",
]

#: The only limited figure that is no rate: cost of 1,000 parts at the factory's prevalence.
COST = "cost_at_prevalence"
#: Rates that only strategies of two thresholds have.
REVIEWING = (*REVIEWED_SHARES, *AUTOMATIC_RATES)
_LEVELS = ("object", "image")


@dataclass(frozen=True)
class Limit:
    """What a figure shall not exceed or, where more is better, not fall below.

    Arguments:
        metric: `escape_rate`, `overkill_rate`, `recall`, `specificity`, the rate of some parts such as `recall[dent]`
            or `overkill_rate[condition=dark]`, `cost_at_prevalence`, or of `REVIEWING`.
        value: a rate in (0, 1), exclusive, for none is ever shown to be 0 or 1; a cost above 0.
        level: `object` or `image`.
        confidence: one-sided, in [0.5, 1).

    Raises:
        UserError: one of them is none of these.
    """

    metric: str
    value: float
    level: str = "object"
    confidence: float = 0.95

    def __post_init__(self) -> None:
        if self.metric not in (COST, *REVIEWING) and base_rate(self.metric) not in OBJECT_RATES:
            known = ", ".join((*OBJECT_RATES, COST, *REVIEWING))
            raise UserError(f"limit {self.metric}: no such figure can be limited; there are {known}, and recall[TYPE].")
        if self.metric == COST:
            if not (math.isfinite(self.value) and self.value > 0):
                raise UserError(f"limit {self.metric}: {self.value:g} is no cost of 1,000 parts; give one above 0.")
        elif not 0 < self.value < 1:
            raise UserError(f"limit {self.metric}: {self.value:g} can never be shown; give a rate between 0 and 1.")
        if self.level not in _LEVELS:
            raise UserError(f"limit {self.metric}: the level is {' or '.join(_LEVELS)}, not {self.level}.")
        if not 0.5 <= self.confidence < 1:
            raise UserError(
                f"limit {self.metric}: a confidence of {self.confidence:g} cannot be; give one from 0.5 up, below 1."
            )

    @property
    def at_most(self) -> bool:
        """Whether the figure shall not exceed the value; else it shall not fall below it."""
        return lower_is_better(self.metric)

    @property
    def text(self) -> str:
        """`escape_rate at most 0.02`."""
        return f"{self.metric} at {'most' if self.at_most else 'least'} {self.value:g}"


@dataclass(frozen=True)
class LimitSet:
    """Limits as they are judged together.

    Arguments:
        limits: in the order in which they were set.
        strategy: by which folds choose thresholds; `None`: nothing is said.
    """

    limits: tuple[Limit, ...] = ()
    strategy: str | None = None

    def includes(self, limits: Iterable[Limit], strategy: str, usual: str) -> bool:
        """Whether these limits and this strategy are among what was set here; `usual`: where no strategy was."""
        return set(limits) <= set(self.limits) and strategy == (self.strategy or usual)

    def to_dict(self) -> dict[str, Any]:
        """JSON-able; empty where no limit is set."""
        if not self.limits:
            return {}
        return {"strategy": self.strategy, "limits": [asdict(limit) for limit in self.limits]}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> LimitSet:
        """The inverse of `to_dict`.

        Raises:
            UserError, KeyError, TypeError: the values are not what `to_dict` gives.
        """
        if not values:
            return cls()
        strategy = values["strategy"]
        if not (strategy is None or isinstance(strategy, str)):
            raise TypeError("the strategy of the limits is no text")
        return cls(tuple(Limit(**limit) for limit in values["limits"]), strategy)


def no_such_figure(metric: str, level: str, known: Iterable[str]) -> UserError:
    """What is said of a limit on a figure that the scores do not give; `known` are those that can be limited."""
    return UserError(
        f"limit {metric}: these scores give no such figure at {level} level; there are {', '.join(known)}."
    )


def prevalence_missing(metric: str) -> UserError:
    """What is said of a limit on a figure at the factory's prevalence where that is not given."""
    return UserError(f"limit {metric}: the factory's share of defective parts is not known; give --prevalence.")


def needs_review(metric: str, strategy: str, mend: str) -> UserError:
    """What is said of a limit on reviews where there are none; `strategy`: what decides instead."""
    return UserError(f"limit {metric}: with {strategy} nothing is reviewed; {mend}.")


def check_limits(limits: Sequence[Limit]) -> None:
    """`UserError` if there is none, or a figure has two limits at one level."""
    if not limits:
        raise UserError("no limit is set; give --limits FILE, --max-escape or --max-overkill.")
    seen = set()
    for limit in limits:
        if (limit.metric, limit.level) in seen:
            raise UserError(f"limit {limit.metric}: it is set twice at {limit.level} level; set it once.")
        seen.add((limit.metric, limit.level))
