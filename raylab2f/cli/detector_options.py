"""The settings of a detector, from its preset and what the user changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from raylab2f.cli.options import parse_size, parse_value
from raylab2f.errors import UserError
from raylab2f.places import absolute, is_uri

__all__ = ["configure"]

# Settings that name files. Folds train in folders of their own, where a relative path would lead nowhere.
_FILES = ("weights", "textures")
_WEIGHTS_BY_NAME = ("bundled", "hub")


def configure(detector: str, preset: str, changes: Mapping[str, Any], settings: Sequence[str]) -> dict[str, Any]:
    """The preset's configuration with the user's changes, as a dictionary; relative paths made absolute.

    Arguments:
        changes: values of options by the setting's name; `None`: the preset's.
        settings: NAME=VALUE of any setting.

    Raises:
        UserError: no such detector, preset or setting, or a value that it cannot have.
    """
    from raylab2f.detectors.registry import config_from_dict, config_to_dict, preset_config

    config = config_to_dict(preset_config(detector, preset))
    if changes["epochs"] is not None:
        config["schedule"]["epochs"] = changes["epochs"]
    if changes["size"] is not None:
        config["size"] = list(parse_size(changes["size"]))
    if changes["layers"] is not None:
        config["layers"] = changes["layers"].split(",")
    for name in ("backbone", "weights"):
        if changes[name] is not None:
            config[name] = changes[name]
    for setting in settings:
        name, equals, text = setting.partition("=")
        target = config["schedule"] if name in config["schedule"] else config
        if not equals or name not in target or name == "schedule":
            known = sorted((set(config) | set(config["schedule"])) - {"schedule"})
            raise UserError(f"--set {setting}: give NAME=VALUE with one of {detector}'s settings: {', '.join(known)}.")
        target[name] = parse_value(text, target[name])
    for name in _FILES:
        value = config.get(name)
        if value is not None and value not in _WEIGHTS_BY_NAME:
            if is_uri(value):
                raise UserError(f"{name} {value}: give a path that this machine, and every node, has; no URI.")
            config[name] = absolute(Path(value).expanduser())
    config_from_dict(detector, config)
    return config
