"""The settings of a detector, from its preset and what the user changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import NoneType
from typing import Any, get_args, get_origin, get_type_hints

from raylab2f.errors import UserError
from raylab2f.files.places import absolute, is_uri
from raylab2f.options.preparation import parse_size

__all__ = ["configure", "files_of", "lasting_assignment", "lasting_setting"]

# Settings that name files. Folds train in folders of their own, where a relative path would lead nowhere.
# Beside each, the words that it may have instead.
_FILES = {"weights": ("bundled", "hub"), "textures": ("none",)}
_WORDS = {int: "a whole number", float: "a number", str: "a name", bool: "true or false"}


def configure(detector: str, preset: str, changes: Mapping[str, Any], settings: Sequence[str]) -> dict[str, Any]:
    """The preset's configuration with the user's changes, as a dictionary; relative paths made absolute.

    Arguments:
        changes: values of options by the setting's name; `None`: the preset's.
        settings: NAME=VALUE of any setting.

    Raises:
        UserError: no such detector, preset or setting, or a value that it cannot have.
    """
    from raylab2f.detectors.base import Schedule
    from raylab2f.detectors.registry import config_from_dict, config_to_dict, detector_class, preset_config

    cls, config = detector_class(detector), config_to_dict(preset_config(detector, preset))
    kinds = {**get_type_hints(cls.config_class), **get_type_hints(Schedule)}
    known = sorted(set(kinds) - {"schedule", "init_seed", "options"})
    texts = [(f"--{name}", name, str(value)) for name, value in changes.items() if value is not None]
    for setting in settings:
        name, equals, text = setting.partition("=")
        if name == "init_seed":
            raise UserError("--set init_seed: every fold's first parameters are drawn from --seed; give that instead.")
        if equals and name not in known and cls.takes_options:
            # The last one counts, as for other settings: a run that goes on has those that it began with before.
            earlier = [option for option in config["options"] if option.partition("=")[0] != name]
            config["options"] = [*earlier, f"{name}={text}"]
            continue
        if not equals or name not in known:
            raise UserError(f"--set {setting}: give NAME=VALUE with one of {detector}'s settings: {', '.join(known)}.")
        texts.append((f"--set {name}", name, text))
    for option, name, text in texts:
        target = config["schedule"] if name in config["schedule"] else config
        target[name] = list(parse_size(text, option)) if name == "size" else _parse(option, text, kinds[name])
    for name in _FILES:
        if config.get(name) is not None:
            config[name] = lasting_setting(name, config[name])
    config_from_dict(detector, config)
    return config


def files_of(weights: str | None, settings: Sequence[str]) -> dict[str, Path]:
    """The files and folders that `--weights` and `--set` name, as they were given, by option."""
    named = {"--weights": _file("--weights", "weights", weights)}
    for setting in settings:
        name, _, text = setting.partition("=")
        named[f"--set {name}"] = _file(f"--set {name}", name.rpartition("/")[2], text)
    return {option: path for option, path in named.items() if path is not None}


def lasting_setting(name: str, text: str) -> str:
    """A setting's value as it means the same in another folder."""
    path = _file(name, name, text)
    return text if path is None else absolute(path.expanduser())


def lasting_assignment(setting: str) -> str:
    """NAME=VALUE as it means the same in another folder."""
    name, equals, text = setting.partition("=")
    return f"{name}={lasting_setting(name.rpartition('/')[2], text)}" if equals else setting


def _file(option: str, name: str, text: str | None) -> Path | None:
    """What a setting's value names, if it names a file or folder."""
    if text is None or name not in _FILES or text.lower() in _FILES[name]:
        return None
    if is_uri(text):
        raise UserError(f"{option} {text}: give a path that this machine, and every node, has; no URI.")
    return Path(text)


def _parse(option: str, text: str, kind: Any) -> Any:
    """`text` as a value of a field's annotation: `int`, `float`, `str`, `bool`, a `tuple` of one, or perhaps `None`."""
    parts = [part for part in get_args(kind) if part not in (NoneType, Ellipsis)]
    is_tuple, may_be_none = get_origin(kind) is tuple, NoneType in get_args(kind)
    if may_be_none and text.lower() == "none":
        return None
    kind = parts[0] if parts else kind
    if kind not in _WORDS:
        raise UserError(f"{option}: a setting of this kind cannot be given here; leave it out.")
    convert = _truth if kind is bool else kind
    try:
        values = [convert(item.strip()) for item in (text.split(",") if is_tuple else [text])]
        if "" in values:
            raise ValueError
    except ValueError:
        wanted = f"{_WORDS[kind]}{', or several with commas' if is_tuple else ', or none' if may_be_none else ''}"
        raise UserError(f"{option}: {text!r} does not fit; give {wanted}.") from None
    return values if is_tuple else values[0]


def _truth(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError
    return text.lower() == "true"
