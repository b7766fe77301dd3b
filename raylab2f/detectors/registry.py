"""Detectors by name, and their configurations as plain dictionaries."""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import Any

from raylab2f.detectors.base import Detector, Schedule
from raylab2f.detectors.csflow import CSFlow
from raylab2f.detectors.glass import Glass
from raylab2f.errors import UserError
from raylab2f.plugins import load_plugin, plugin_names

__all__ = ["DETECTORS", "config_from_dict", "config_to_dict", "detector_class", "detector_names", "preset_config"]

_PLUGINS = "raylab2f.detectors"

#: raylab2f's own.
DETECTORS: dict[str, type[Detector]] = {cls.name: cls for cls in (CSFlow, Glass)}


def detector_names() -> tuple[str, ...]:
    """Of raylab2f's own detectors and those that other packages add."""
    own = tuple(sorted(DETECTORS))
    return own + plugin_names(_PLUGINS, own)


def detector_class(name: str) -> type[Detector]:
    """The detector called `name`, perhaps of another package; `UserError` lists the names there are."""
    if name in DETECTORS:
        return DETECTORS[name]
    if name not in detector_names():
        raise UserError(f"--detector {name}: no such detector; choose one of {', '.join(detector_names())}.")
    added = load_plugin(_PLUGINS, name)
    if not (isinstance(added, type) and issubclass(added, Detector)):
        raise UserError(f"--detector {name}: the package that adds it gives no class of raylab2f's Detector.")
    return added


def preset_config(detector: str, preset: str) -> Any:
    """The configuration called `preset` of a detector."""
    presets = detector_class(detector).presets
    if preset not in presets:
        raise UserError(f"--preset {preset}: {detector} has no such preset; choose one of {', '.join(presets)}.")
    return presets[preset]


def config_to_dict(config: Any) -> dict[str, Any]:
    """A configuration as JSON-able values (tuples become lists)."""
    return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(config).items()}


def config_from_dict(detector: str, values: dict[str, Any]) -> Any:
    """The inverse of `config_to_dict`; `UserError` names a field that the detector does not have."""
    config_class = detector_class(detector).config_class
    unknown = set(values) - {field.name for field in fields(config_class)}
    if unknown:
        raise UserError(f"{detector} has no setting called {', '.join(sorted(unknown))}; remove it.")
    converted = {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}
    schedule = values.get("schedule")
    if isinstance(schedule, dict):
        converted["schedule"] = Schedule(**schedule)
    return config_class(**converted)
