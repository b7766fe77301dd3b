"""Limits that a factory sets, from the command line and from a file.

```yaml
level: object               # or image; of all limits below
confidence: 0.95            # one-sided, of each limit
strategy: youden            # by which folds choose thresholds
escape_rate: 0.02           # at most
overkill_rate: [0.05, 0.9]  # at most, with a confidence of its own
recall[scratch]: 0.9        # at least
```
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any

from raylab2f.errors import UserError
from raylab2f.options.declaration import Option
from raylab2f.options.settings_file import run_record_at

if TYPE_CHECKING:
    from raylab2f.evaluation.acceptance.limits import LimitSet

__all__ = ["Limits", "LimitsFileOption", "limits_from_file"]

_PANEL = "Limits"
_NO_LIMITS = ("level", "confidence", "strategy")


_FILE = "File of limits (YAML): escape_rate: 0.02, recall[TYPE]: 0.9. Or a run, for those that it was begun with."

LimitsFileOption = Annotated[
    str | None, Option(f"{_FILE} They are recorded before anything is trained.", kind="place", panel=_PANEL)
]


@dataclass(frozen=True)
class Limits:
    """Limits on the rates of wrong decisions."""

    limits: Annotated[str | None, Option(_FILE, kind="place", panel=_PANEL)] = None
    max_escape: Annotated[float | None, Option("Share of defective parts that may be accepted.", panel=_PANEL)] = None
    max_overkill: Annotated[float | None, Option("Share of good parts that may be rejected.", panel=_PANEL)] = None
    max_cost: Annotated[float | None, Option("Cost of 1,000 parts at the factory's prevalence.", panel=_PANEL)] = None
    max_review: Annotated[
        float | None, Option("Share of parts that a person looks at, at the factory's prevalence.", panel=_PANEL)
    ] = None
    level: Annotated[str | None, Option("object or image.", usual="object", panel=_PANEL)] = None
    confidence: Annotated[float | None, Option("One-sided, of each limit.", usual="0.95", panel=_PANEL)] = None

    def settings(self, recorded: LimitSet | None = None) -> LimitSet:
        """Those of the file, and those of the options, which win; none where none is given.

        Arguments:
            recorded: those that a run was begun with, which are judged where neither file nor option sets one.

        Raises:
            UserError: a limit that cannot be, or a file that cannot be read.
        """
        from raylab2f.evaluation.acceptance.limits import COST, Limit, LimitSet

        found = LimitSet() if self.limits is None else limits_from_file(self.limits)
        changes: dict[str, Any] = {
            name: value for name, value in (("level", self.level), ("confidence", self.confidence)) if value is not None
        }
        options = {
            "escape_rate": self.max_escape,
            "overkill_rate": self.max_overkill,
            COST: self.max_cost,
            "review_rate_at_prevalence": self.max_review,
        }
        given = {metric: value for metric, value in options.items() if value is not None}
        if recorded is not None and not (found.limits or given):
            found = recorded
        # Level and confidence are of each limit, wherever it was set.
        by_metric = {(limit.metric, limit.level): limit for limit in (replace(old, **changes) for old in found.limits)}
        for metric, value in given.items():
            limit = Limit(metric, value, **changes)
            by_metric[metric, limit.level] = limit
        return LimitSet(tuple(by_metric.values()), found.strategy)


def limits_from_file(place: str) -> LimitSet:
    """The limits that a file sets, or those that a run was begun with.

    Arguments:
        place: a file, or a run's folder or its `run.json`; URIs too.

    Raises:
        UserError: no such file, or one sentence about the first thing in it that is wrong; a run without limits.
    """
    from raylab2f.evaluation.acceptance.limits import Limit, LimitSet
    from raylab2f.options.flat_yaml import entries_of, small_text

    if (record := run_record_at(place)) is not None:
        return _recorded_limits(*record)
    found: dict[str, tuple[int, list[str]]] = {}
    for name, line, value in entries_of(place, small_text(place)):
        if name in found:
            raise UserError(f"{place}, line {line}: {name} stands in line {found[name][0]} already; leave one of them.")
        found[name] = line, [str(item) for item in (value if isinstance(value, list) else [value])]
    usual: dict[str, Any] = {}
    for name in _NO_LIMITS:
        line, values = found.pop(name, (0, []))
        if len(values) > 1:
            raise UserError(f"{place}, line {line}: {name} takes one value, and no list.")
        if values:
            usual[name] = _number(place, line, name, values[0]) if name == "confidence" else values[0]
    strategy = usual.pop("strategy", None)
    limits = []
    for name, (line, values) in found.items():
        if len(values) not in (1, 2):
            raise UserError(f"{place}, line {line}: {name} takes a value, or a list of it and its confidence.")
        numbers = [_number(place, line, name, value) for value in values]
        own = {**usual, **({"confidence": numbers[1]} if len(numbers) == 2 else {})}
        try:
            limits.append(Limit(name, numbers[0], **own))
        except UserError as error:
            raise UserError(f"{place}, line {line}: {error}") from error
    return LimitSet(tuple(limits), strategy)


def _recorded_limits(place: str, record: Mapping[str, Any]) -> LimitSet:
    from raylab2f.evaluation.acceptance.limits import LimitSet

    try:
        found = LimitSet.from_dict(record["settings"].get("limits", {}))
    except (KeyError, TypeError, AttributeError, UserError) as error:
        raise UserError(f"{place}: its limits cannot be read ({error}); give a file of limits.") from error
    if not found.limits:
        raise UserError(f"{place}: this run was begun without limits; give a file of limits.")
    return found


def _number(place: str, line: int, name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise UserError(f"{place}, line {line}: {name}: '{text[:40]}' is no number; give one such as 0.02.") from error
