"""A finished run's settings as the options that give the same run again."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from raylab2f.errors import UserError, first_line

__all__ = ["is_run_record", "options_of_run"]

# Options that are recorded under another name.
_EVALUATION = {"strategies": "threshold"}
# Settings of a detector that have an option of their own.
_OWN = ("epochs", "size", "backbone", "layers", "weights")
# Of the preparation.
_AS_THEY_ARE = ("mask_background", "fit", "keep_views", "keep_views_for", "tiles", "tile_score", "per_position")
#: A fold's first parameters are drawn from the run's seed, whatever stands here.
_DRAWN = "init_seed"


def is_run_record(content: bytes) -> Mapping[str, Any] | None:
    """What a `run.json` says; `None` if this is none."""
    try:
        record = json.loads(content)
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) and isinstance(record.get("settings"), dict) else None


def options_of_run(record: Mapping[str, Any], place: str) -> dict[str, Any]:
    """Options by parameter; where the run lies and how it was computed is not among them.

    Arguments:
        record: the content of a `run.json`; `place` is where it lies.

    Raises:
        UserError: it is no record of a run, or one of a detector or preset that this version does not know.
    """
    try:
        options = _options(record["settings"])
        # They are read again from where they were recorded, before anything was trained.
        return options | ({"limits": place} if record["settings"].get("limits") else {})
    except KeyError as error:
        raise UserError(f"{place} cannot be read as a run's settings (no {error} in it); give another.") from error
    except (ValueError, TypeError, AttributeError, OverflowError) as error:
        raise UserError(f"{place} cannot be read as a run's settings ({first_line(error)}); give another.") from error


def _options(recorded: Mapping[str, Any]) -> dict[str, Any]:
    from raylab2f.detectors.registry import config_from_dict
    from raylab2f.runs.folder import RunSettings
    from raylab2f.runs.memory_budget import size_text

    if "data" not in recorded["data"]:
        raise KeyError("data")
    settings = RunSettings.from_dict(dict(recorded))
    config_from_dict(settings.detector, settings.config)
    values = settings.to_dict()
    data, preparation = dict(values["data"]), values["preparation"]
    evaluation = {_EVALUATION.get(name, name): value for name, value in values["evaluation"].items()}
    canvas = preparation["centre_embed"]
    options = {
        **data,
        **{name: preparation[name] for name in _AS_THEY_ARE},
        "centre_embed": "x".join(map(str, canvas)) if isinstance(canvas, list) else canvas,
        **{name: ",".join(map(repr, preparation[name])) for name in ("train_angles", "eval_angles")},
        "detector": [settings.detector],
        "preset": settings.preset,
        **_changes(settings.detector, settings.preset, settings.config),
        "seed": [settings.seed],
        **{
            name: values[name]
            for name in values
            if name not in ("data", "preparation", "detector", "preset", "config", "seed", "evaluation", "limits")
        },
        **evaluation,
        "memory_budget": None if settings.memory_budget is None else size_text(settings.memory_budget),
    }
    return {
        name: tuple(value) if isinstance(value, list) else value for name, value in options.items() if value is not None
    }


def _changes(detector: str, preset: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """The options for every setting in which a configuration differs from its preset."""
    from raylab2f.detectors.registry import config_to_dict, preset_config

    usual = dict(_flat(config_to_dict(preset_config(detector, preset))))
    changed = {name: value for name, value in _flat(config) if name != _DRAWN and value != usual.get(name)}
    own: dict[str, Any] = {name: _text(name, changed.pop(name)) for name in _OWN if changed.get(name) is not None}
    if "epochs" in own:
        own["epochs"] = int(own["epochs"])
    options = changed.pop("options", [])
    return {**own, "settings": [*(f"{name}={_text(name, value)}" for name, value in changed.items()), *options]}


def _flat(config: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    yield from ((name, value) for name, value in config.items() if name != "schedule")
    yield from config.get("schedule", {}).items()


def _text(name: str, value: Any) -> str:
    if name == "size":
        return "x".join(map(str, value))
    if isinstance(value, (list, tuple)):
        return ",".join(map(str, value))
    return "none" if value is None else str(value)
