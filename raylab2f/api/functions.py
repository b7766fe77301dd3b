"""A function for Python out of the groups of options that it asks for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from inspect import Parameter
from typing import Any, TypeVar

from raylab2f.errors import refused_by_system
from raylab2f.options.declaration import Declared, compose, declared

__all__ = ["offered"]

_R = TypeVar("_R")


def offered(function: Callable[..., _R]) -> Callable[..., _R]:
    """A function that takes its groups' options by keyword, checked as those of the command line are.

    Values that a file of settings given as `config` holds, or else a run that goes on, stand behind those of the call.
    """
    options = declared(function)

    def check(values: Mapping[str, Any]) -> Mapping[str, Any]:
        if values.get("config") is not None:
            from raylab2f.options.settings_file import read_settings

            values = {**read_settings(options["config"].check(values["config"]), options), **values}
        elif values.get("resume") and values.get("out") is not None:
            from raylab2f.options.going_on import options_to_go_on

            given = {name: options[name].check(value) if name in options else value for name, value in values.items()}
            values = options_to_go_on(given["out"], options, given)
        return {name: options[name].check(value) if name in options else value for name, value in values.items()}

    return compose(_for_users(function), present=_parameter, check=check)


def _for_users(function: Callable[..., _R]) -> Callable[..., _R]:
    @wraps(function)
    def call(*args: Any, **given: Any) -> _R:
        try:
            return function(*args, **given)
        except OSError as error:
            refused = refused_by_system(error)
            if refused is None:
                raise
            raise refused from error

    return call


def _parameter(part: Declared) -> Parameter:
    needed = part.default is Parameter.empty
    kind = Parameter.POSITIONAL_OR_KEYWORD if needed or part.option.positional else Parameter.KEYWORD_ONLY
    return Parameter(part.parameter, kind, default=part.default, annotation=part.annotation)
