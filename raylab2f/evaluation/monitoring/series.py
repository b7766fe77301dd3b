"""One signal as a series of values in order: by part, or one value a day.

Parts of a day are often more alike than parts of different days, and then no test of parts keeps its promise, for the
parts are not exchangeable even where nothing has changed. The days may be: each counts once, by its median or its rate.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from raylab2f.evaluation.monitoring.parts import DECISIONS, Parts

__all__ = ["UNITS", "Series", "day_ends", "series"]

#: What is one draw.
UNITS = ("part", "day")


@dataclass(frozen=True)
class Series:
    """Values in order; arrays are (n,).

    Arguments:
        value: finite; of decisions 1 or 0 by part, their rate by day.
        name: of the parts, or the days.
        day: ISO dates; `None` where there are none.
    """

    value: np.ndarray
    name: np.ndarray
    day: np.ndarray | None


def series(parts: Parts, signal: str, unit: str) -> Series:
    """A signal of parts.

    Arguments:
        parts: in order of arrival; with days where the unit is one.
        signal: `score`, `familiarity` or one of `DECISIONS`.
        unit: one of `UNITS`.

    Returns:
        Of parts, or days, of which the signal is known.
    """
    if signal in DECISIONS:
        code = np.asarray(parts.decision)
        known, value = code >= 0, (code == DECISIONS.index(signal)).astype(np.float64)
    else:
        value = np.asarray(getattr(parts, signal), dtype=np.float64)
        known = np.isfinite(value)
    found = Series(value[known], parts.name[known], None if parts.day is None else parts.day[known])
    if unit == "part":
        return found
    assert found.day is not None
    middle = np.mean if signal in DECISIONS else np.median
    ends = list(day_ends(found))
    values = np.array([float(middle(found.value[first : last + 1])) for first, last in ends])
    days = found.day[[last for _, last in ends]] if ends else found.day
    return Series(values, days, days)


def day_ends(found: Series) -> Iterator[tuple[int, int]]:
    """Places of the first and of the last value of each day."""
    if not len(found.name):
        return
    changes = [] if found.day is None else np.flatnonzero(found.day[1:] != found.day[:-1]).tolist()
    yield from zip([0, *(place + 1 for place in changes)], [*changes, len(found.name) - 1], strict=True)
