"""Detectors by name, and their configurations as plain dictionaries."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, fields, is_dataclass
from importlib import import_module
from inspect import isabstract
from typing import Any

from raylab2f import plugins
from raylab2f.detectors.base import Detector, Schedule
from raylab2f.detectors.named_classes import as_detector, named_class
from raylab2f.errors import UserError
from raylab2f.files.typed_values import require_types

__all__ = ["DETECTORS", "config_from_dict", "config_to_dict", "detector_class", "detector_names", "preset_config"]

#: raylab2f's own, by the module and the class. Only what a run needs is imported: FrEIA alone takes a second.
DETECTORS: Mapping[str, tuple[str, str]] = {
    "csflow": ("raylab2f.detectors.csflow", "CSFlow"),
    "dfm": ("raylab2f.detectors.subspace", "Dfm"),
    "glass": ("raylab2f.detectors.glass", "Glass"),
    "mahalanobis": ("raylab2f.detectors.gaussian", "Mahalanobis"),
    "padim": ("raylab2f.detectors.gaussian", "Padim"),
    "patchcore": ("raylab2f.detectors.patchcore", "PatchCore"),
}

# Fields that whatever drives a detector reads or sets.
_REQUIRED = ("backbone", "weights", "layers", "size", "schedule", "init_seed")
# Height or width of a picture as a detector sees it, at most.
_MOST_PIXELS = 1 << 14
# Any whole number of a configuration, at most: what is built from larger ones would take all memory first.
_MOST = 1 << 20


def detector_names() -> tuple[str, ...]:
    """Of raylab2f's own detectors and those that other packages add."""
    return tuple(dict.fromkeys((*sorted(DETECTORS), *plugins.added_names(plugins.DETECTORS))))


def detector_class(name: str) -> type[Detector]:
    """The detector called `name`: one of raylab2f's, `anomalib:Model`, one that a package adds, or `module:Class`.

    Raises:
        UserError: there is none, and which there are; or a package adds one that cannot be used, and why.
    """
    family, colon, model = name.partition(":")
    if colon:
        return _anomalib(model) if family == plugins.ANOMALIB else as_detector(name, named_class(name))
    plugin = plugins.added(plugins.DETECTORS, name, DETECTORS)
    if name in DETECTORS:
        module, attribute = DETECTORS[name]
        own: type[Detector] = getattr(import_module(module), attribute)
        return own
    if plugin is None:
        raise UserError(
            f"--detector {name}: no such detector is installed here; choose one of {', '.join(detector_names())}, or "
            f"install the package that adds it, on every node; {plugins.ANOMALIB}:Model is one of anomalib's, and "
            "package.module:Class your own."
        )
    added = plugin.load()
    if hasattr(added, "fit") and not (isinstance(added, type) and issubclass(added, Detector)):
        added = as_detector(name, added)
    if wrong := _fault_of(added, name):
        raise UserError(f"--detector {name}: the package {plugin.package} adds {wrong}; ask its authors.")
    return added


def _anomalib(model: str) -> type[Detector]:
    # It is installed on request, and takes seconds to import.
    from raylab2f.detectors.anomalib import anomalib_detector

    return anomalib_detector(model)


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
    try:
        if unknown := set(values) - {field.name for field in fields(config_class)}:
            raise UserError(f"{detector} has no setting called {', '.join(sorted(map(str, unknown)))}; remove it.")
        require_types(config_class, values)
    except (ValueError, TypeError) as error:
        raise UserError(f"{detector}: the setting {error}; mend it.") from error
    for name, number in _whole_numbers(values):
        if number > _MOST:
            raise UserError(f"{detector}: the setting {name} is {number}; give at most {_MOST}.")
    config = _from_dict(config_class, values)
    if max(config.size) > _MOST_PIXELS:
        raise UserError(
            f"{detector}: the setting size (--size) is {config.size[0]}x{config.size[1]}; give at most {_MOST_PIXELS}."
        )
    return config


def _whole_numbers(values: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    """Those of a configuration, its schedule's too, by the name of their setting; a seed may be any."""
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _whole_numbers(value)
        elif name != "init_seed":
            items = value if isinstance(value, (list, tuple)) else [value]
            yield from ((name, item) for item in items if isinstance(item, int))


def _from_dict(config_class: type, values: dict[str, Any]) -> Any:
    converted = {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}
    schedule = values.get("schedule")
    if isinstance(schedule, dict):
        converted["schedule"] = Schedule(**schedule)
    return config_class(**converted)


def _fault_of(added: Any, name: str) -> str | None:
    """In what an object is not the detector `name` that others can drive, in words; `None`: it is."""
    if not (isinstance(added, type) and issubclass(added, Detector)):
        return f"no class of raylab2f's Detector, but {type(added).__name__}"
    if isabstract(added):
        return f"a class without {', '.join(sorted(added.__abstractmethods__))}"
    if getattr(added, "name", None) != name:
        return f"a class whose name is {getattr(added, 'name', None)!r}, by which checkpoints would not find it again"
    if not getattr(added, "presets", None):
        return "a class without presets"
    config_class = getattr(added, "config_class", None)
    if not (isinstance(config_class, type) and is_dataclass(config_class)):
        return "a class whose config_class is no dataclass"
    missing = set(_REQUIRED) - {field.name for field in fields(config_class)}
    if missing:
        return f"a class whose configuration has no {', '.join(sorted(missing))}"
    for preset, config in added.presets.items():
        if not (isinstance(config, config_class) and _survives_json(config)):
            return f"the preset {preset}, which is not the same once written to a file and read again"
    return None


def _survives_json(config: Any) -> bool:
    try:
        return bool(_from_dict(type(config), json.loads(json.dumps(config_to_dict(config)))) == config)
    except (TypeError, ValueError):
        return False
