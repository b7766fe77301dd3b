"""Which views are kept: `0:30`, or a list such as `front,back,60:90`."""

from __future__ import annotations

from collections.abc import Iterable

from raylab2f.datasets.entries import first_few
from raylab2f.errors import UserError

__all__ = ["kept_views"]


def kept_views(rule: str, views: Iterable[str | None]) -> frozenset[str]:
    """The views of a data set that a rule keeps.

    Arguments:
        rule: names of views, or ranges `low:high` of numeric views (ends included; an end left out is open), joined
            by commas. Numeric names are equal when their numbers are: 5 keeps view 005.
        views: of all pictures.

    Raises:
        UserError: pictures without a view, an item that is no range, keeps nothing, or compares names with numbers.
    """
    given = list(views)
    if any(view is None for view in given):
        raise UserError(
            f"--keep-views {rule}: some pictures have no view; say how it is found in their names with --views, or "
            "give it in the manifest."
        )
    known = sorted({view for view in given if view is not None}, key=lambda view: (_number(view) or 0.0, view))
    kept: set[str] = set()
    for item in (part.strip() for part in rule.split(",")):
        chosen = [item] if item in known else [view for view in known if _keeps(item, view, rule)]
        if not chosen:
            raise UserError(f"--keep-views {rule}: no picture has a view {item}; there are {first_few(known, 10)}.")
        kept.update(chosen)
    return frozenset(kept)


def _keeps(item: str, view: str, rule: str) -> bool:
    number = _number(view)
    if ":" not in item:
        wanted = _number(item)
        return number is not None and wanted == number
    low, high = (part.strip() for part in item.split(":", 1))
    ends = _number(low) if low else float("-inf"), _number(high) if high else float("inf")
    if None in ends or not ends[0] <= ends[1]:  # type: ignore[operator]  # `None` is ruled out first
        raise UserError(f"--keep-views {rule}: {item} is no range; write low:high with two numbers.")
    if number is None:
        raise UserError(f"--keep-views {rule}: the view {view} is no number; list views by their names instead.")
    return ends[0] <= number <= ends[1]  # type: ignore[operator]


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if abs(value) < float("inf") else None
