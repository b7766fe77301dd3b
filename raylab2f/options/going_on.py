"""The options of a run that is to go on: those that its folder recorded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from raylab2f.errors import UserError
from raylab2f.files.mirror import fetch_file
from raylab2f.files.places import join, name_of, subfolders
from raylab2f.options.declaration import Declared
from raylab2f.options.runs import run_name
from raylab2f.options.settings_file import read_settings
from raylab2f.plugins import trust

__all__ = ["options_to_go_on"]

_RECORD = "run.json"
#: Options that several runs under one --out differ in; one of each belongs to every detector and seed.
_SEVERAL = ("detector", "seed")
#: The record of any of them will do; whether they are those of each run is for its folder to say.
_OF_FIRST = ("limits",)
#: What is added to what was recorded, rather than put in its place.
_ADDED = ("settings",)
# What alone says nothing of a run.
_PASSING = {"out", "resume", "cache", "console"}


def options_to_go_on(out: str, options: Mapping[str, Declared], given: Mapping[str, Any]) -> dict[str, Any]:
    """What was recorded in a run's folder, or in those of the runs below it, by parameter, and what is given before it.

    Settings of the detector that are given join those recorded. Whether a run may go on so is for its folder to say.

    Arguments:
        out: folder of a run, or of runs of several detectors or seeds.
        options: those there are; `given` those of the user.

    Raises:
        UserError: there is no run, and nothing is given that would begin one; a run cannot be read, or those below do
            not belong together.
    """
    # A run of a class that is named again may go on; see `plugins.require_trusted`.
    trust(*given.get("detector", ()))
    recorded = _recorded(out, options, given)
    if recorded is None and not set(given) - _PASSING:
        raise UserError(f"--resume --out {out}: there is no run; check --out, or give --data to begin one.")
    recorded = recorded or {}
    added = {name: (*recorded.get(name, ()), *given[name]) for name in _ADDED if name in given}
    return {**recorded, **given, **added}


def _recorded(out: str, options: Mapping[str, Declared], given: Mapping[str, Any]) -> dict[str, Any] | None:
    if fetch_file(join(out, _RECORD)).exists():
        return read_settings(out, options)
    runs = [place for place in subfolders(out) if fetch_file(join(place, _RECORD)).exists()]
    if not runs:
        return None
    recorded = [_of_its_detector(read_settings(place, options)) for place in runs]
    refusal = f"the runs below are not those of one command; go on with one of them, such as {runs[0]}."
    together: dict[str, Any] = {}
    for name in dict.fromkeys(name for values in recorded for name in values):
        values = [one.get(name) for one in recorded]
        if name in (*_SEVERAL, *_ADDED):
            together[name] = tuple(dict.fromkeys(item for value in values for item in value or ()))
        elif name not in _OF_FIRST and any(value != values[0] for value in values):
            raise UserError(f"--resume --out {out}: they differ in --{options[name].name}, so {refusal}")
        else:
            together[name] = values[0]
    expected, asked = (
        {run_name(detector, seed) for detector in names["detector"] for seed in names["seed"]}
        for names in (together, {**together, **given})
    )
    # A detector that could not be made when the command was first given may have no run yet.
    belong = {name_of(place) for place in runs} == expected and expected <= asked
    if not belong or len(asked) == 1:
        raise UserError(f"--resume --out {out}: {refusal}")
    return together


def _of_its_detector(options: dict[str, Any]) -> dict[str, Any]:
    """Options of one of several runs: its settings are those of its detector alone."""
    (detector,) = options["detector"]
    return options | {name: tuple(f"{detector}/{item}" for item in options.get(name, ())) for name in _ADDED}
