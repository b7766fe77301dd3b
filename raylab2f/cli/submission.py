"""A command that is sent to a cluster, checked before it goes."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import PurePosixPath
from typing import Any

from raylab2f.cli.place_options import require_absolute, require_shared
from raylab2f.errors import UserError
from raylab2f.files.places import is_uri, name_of
from raylab2f.options.detector import DetectorChoice
from raylab2f.options.detector_settings import files_of

__all__ = ["check_submission"]

# Options whose defaults differ from node to node: what is under the home folder or where the job begins.
_NEEDED = {"run-cv": ("out", "cache"), "diagnose": ("cache",), "segment": ("cache",)}


def check_submission(words: Sequence[str], program: Any) -> tuple[str, list[str]]:
    """Find mistakes here rather than minutes later in a log.

    Arguments:
        words: of the command.
        program: whose command it is, as click has it.

    Returns:
        A title for the job, and the words to send: what a file of settings says is spelled out, for the file is here.
    """
    # `Any`, for click's classes are now click's own, now a copy of them within typer.
    command: Any = program
    called, rest = "submit --", list(words)
    hidden = {"submit", "jobs", "cluster"}
    while hasattr(command, "commands"):
        allowed = sorted(set(command.commands) - hidden)
        name = rest.pop(0) if rest else ""
        if name not in allowed:
            raise UserError(f"{called} {name}: give one of raylab2f's commands: {', '.join(allowed)}.")
        command, called, hidden = command.commands[name], f"{called} {name}", set()
    context = command.make_context(words[0], rest)
    values, sent = context.params, list(words)
    if values.get("config") is not None:
        sent = [words[0], *_spelled_out(context)]
        values = values | {"config": None}
    # A run that goes on has its cache's place in its folder.
    known = ("cache",) if values.get("resume") else ()
    for option in ("out", "cache"):
        if option in _NEEDED.get(words[0], ()) and option not in known and values[option] is None:
            raise UserError(f"{called}: give --{option}, a place on the nodes' shared storage or on an object store.")
    require_shared(command.params, values)
    if words[0] != "run-cv":
        return words[0], sent
    for name, path in files_of(values["weights"], values["settings"]).items():
        require_absolute(name, path)
    if not values.get("resume"):
        _check_detectors(values)
        _check_new(values["out"])
    data = "demo" if values["data"] is None else PurePosixPath(name_of(values["data"])).stem
    return "-".join([words[0], data, *values["detector"]]), sent


def _check_detectors(values: Mapping[str, Any]) -> None:
    """`UserError` for settings that a detector cannot have; one that only the nodes may know is for them to judge."""
    from raylab2f.detectors.registry import config_from_dict, detector_names
    from raylab2f.runs.possible_size import require_possible_size

    choice = DetectorChoice(**{field.name: values[field.name] for field in fields(DetectorChoice)})
    known = detector_names()
    for detector in choice.detector:
        if detector in known:
            config = choice.config(detector, choice.preset_for(values["data"]))
            # The weights may lie where only the nodes see them.
            require_possible_size(detector, config_from_dict(detector, config), weights=False)
        elif near := difflib.get_close_matches(detector, known, n=1):
            raise UserError(f"--detector {detector}: no such detector is installed here; do you mean {near[0]}?")


def _check_new(out: str) -> None:
    """`UserError` where a new run's folder is not free; where it cannot be seen from here, the job finds out."""
    from raylab2f.runs.folder import RunFolder

    if not is_uri(out):
        RunFolder(out).require_new()


def _spelled_out(context: Any) -> list[str]:
    """The options that were given, on the command line or in its file of settings, as words."""
    words = []
    for parameter in context.command.params:
        value = context.params.get(parameter.name)
        said = context.get_parameter_source(parameter.name).name in ("COMMANDLINE", "DEFAULT_MAP")
        if parameter.name == "config" or not said or value is None:
            continue
        for item in value if isinstance(value, (list, tuple)) else [value]:
            # Joined, so that a value which begins with a dash is no option.
            words += [parameter.opts[0]] if item is True else [] if item is False else [f"{parameter.opts[0]}={item}"]
    return words
