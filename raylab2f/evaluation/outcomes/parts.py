"""Some of the rows of a level, whose rates are estimated by themselves: a defect type, a condition, a view."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from raylab2f.errors import UserError
from raylab2f.evaluation.scores import Scores

__all__ = ["BREAKDOWNS", "Part", "check_breakdowns", "list_parts"]

#: Columns of a score table by whose values figures can be broken down.
BREAKDOWNS = ("condition", "view")


@dataclass(frozen=True)
class Part:
    """Some rows.

    Arguments:
        name: what stands in the brackets of its metrics: `dent`, `condition=dark`.
        rates: of `OBJECT_RATES`; a defect type has no good rows and therefore no overkill.
        rows: (n,) bool, which rows of the score table; at object level (objects,), which objects.
    """

    name: str
    rates: tuple[str, ...]
    rows: np.ndarray

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of its metrics, such as `recall[condition=dark]`."""
        return tuple(f"{rate}[{self.name}]" for rate in self.rates)


def check_breakdowns(by: Sequence[str] | None) -> None:
    """`UserError` if figures cannot be broken down by what `by` names."""
    for name in by or ():
        if name not in BREAKDOWNS:
            raise UserError(f"--by {name}: figures are broken down by {' or '.join(BREAKDOWNS)}.")


def list_parts(scores: Scores, level: str, by: Sequence[str] | None) -> tuple[Part, ...]:
    """Defect types, and the values of the columns that figures are broken down by.

    An object belongs to a defect type by all of its defects (`dent+scratch`), and to a condition or a view if all of
    its pictures do; objects with pictures of several are in none of them, for a threshold of whole objects says nothing
    of some of their pictures.

    Arguments:
        level: `image` or `object`.
        by: of `BREAKDOWNS`; `None`: by `condition`, where the table has any.

    Raises:
        UserError: the table has no such column, or no value in it.
    """
    check_breakdowns(by)
    names, kind = _defect_types(scores) if level == "object" else (scores.defect_types, scores.defect)
    parts = [Part(name, ("recall",), kind == number) for number, name in enumerate(names)]
    for column in BREAKDOWNS[:1] if by is None else dict.fromkeys(by):
        values = scores.groups.get(column)
        known = [] if values is None else sorted(set(values.tolist()) - {""})
        if by is not None and not known:
            raise UserError(f"--by {column}: the scores say nothing of it; give them a column {column}.")
        for value in known:
            assert values is not None
            rows = values == value
            if level == "object":
                pictures = np.bincount(scores.object, minlength=len(scores.object_anomalous))
                rows = np.bincount(scores.object, weights=rows, minlength=len(pictures)) == pictures
            if rows.any():
                parts.append(Part(f"{column}={value}", ("recall", "overkill_rate"), rows))
    return tuple(parts)


def _defect_types(scores: Scores) -> tuple[tuple[str, ...], np.ndarray]:
    """Names of the objects' defect types (joined where an object has several) and (objects,) index of each."""
    found: list[set[int]] = [set() for _ in scores.object_anomalous]
    for owner, kind in set(zip(scores.object.tolist(), scores.defect.tolist(), strict=True)):
        if kind >= 0:
            found[owner].add(kind)
    joined = ["+".join(scores.defect_types[kind] for kind in sorted(kinds)) for kinds in found]
    names = sorted(set(joined) - {""})
    return tuple(names), np.array([names.index(name) if name else -1 for name in joined])
