"""In which options two runs' settings differ, as a user would type them."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["differing_options"]

# Settings of a detector that have an option of their own; the others are given with --set.
_OF_DETECTOR = ("epochs", "size", "backbone", "layers", "weights")
#: Every fold's first parameters are drawn from the run's seed, whatever stands here.
_DRAWN = "init_seed"
_NESTED = ("data", "preparation", "evaluation")
_RENAMED = {"strategies": "threshold"}


def differing_options(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What two settings differ in, such as `--epochs 1 then, 2 now`.

    Arguments:
        before, now: as `RunSettings.to_dict` makes them.
    """
    then, later = dict(_options(before)), dict(_options(now))
    return [
        f"{name} {_text(name, then.get(name))} then, {_text(name, later.get(name))} now"
        for name in dict.fromkeys((*then, *later))
        if then.get(name) != later.get(name)
    ]


def _options(settings: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Every option and its value."""
    for name, value in settings.items():
        if name == "config":
            yield from _detector_options(value)
        elif name == "limits":
            yield "--limits", [f"{limit['metric']} {limit['value']:g}" for limit in value.get("limits", ())]
        elif name in _NESTED:
            for inner, item in value.items():
                yield f"--{_RENAMED.get(inner, inner).replace('_', '-')}", item
        else:
            yield f"--{name.replace('_', '-')}", value


def _detector_options(config: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    schedule = config.get("schedule", {})
    if isinstance(schedule, Mapping):
        config = {**{name: value for name, value in config.items() if name != "schedule"}, **schedule}
    for name, value in config.items():
        if name != _DRAWN:
            yield f"--{name}" if name in _OF_DETECTOR else f"--set {name}", value


def _text(name: str, value: Any) -> str:
    if value is None or value == []:
        return "not given"
    if isinstance(value, bool):
        return "given" if value else "not given"
    if isinstance(value, list):
        return ("x" if name in ("--size", "--centre-embed") else ",").join(map(str, value))
    return shlex.quote(value) if isinstance(value, str) else str(value)
