"""A command's signature, as typer reads it, out of the groups of options that it asks for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from inspect import Parameter
from pathlib import Path
from typing import Annotated, Any

import typer

from raylab2f.cli.place_options import MLFLOW_STORE, PATH, PLACE
from raylab2f.options.declaration import Declared, compose, declared

__all__ = ["command"]

_KINDS: dict[str, Mapping[str, Any]] = {"text": {}, "place": PLACE, "path": PATH, "store": MLFLOW_STORE}


def command(function: Callable[..., None]) -> Callable[..., None]:
    """A command whose parameters are the fields of its groups, and whatever of its parameters is no group."""
    options = declared(function)

    def check(given: Mapping[str, Any]) -> Mapping[str, Any]:
        values = {name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}
        for name in values.keys() & options.keys():
            part = options[name]
            part.refuse_unfit(values[name], name.upper() if part.option.positional else f"--{part.name}")
        return values

    return compose(function, present=_parameter, check=check)


def _parameter(part: Declared) -> Parameter:
    """An option as typer wants it: lists where values repeat, flags without an opposite."""
    annotation: Any = part.annotation
    if not part.is_option:
        return Parameter(part.parameter, Parameter.POSITIONAL_OR_KEYWORD, annotation=annotation)
    if part.option.kind == "path":
        annotation = list[Path] if part.repeatable else Path
    elif part.repeatable:
        annotation = list[part.scalar]  # type: ignore[name-defined]
    default = list(part.default) if part.repeatable and part.default is not Parameter.empty else part.default
    named: dict[str, Any] = {
        "help": part.option.help,
        "rich_help_panel": part.option.panel,
        "show_default": True if part.option.usual is None else part.option.usual,
        **_KINDS[part.option.kind],
    }
    if part.scalar in (int, float):
        named |= {"min": part.option.minimum, "max": part.option.maximum}
    if part.option.eager is not None:
        named |= {"callback": part.option.eager, "is_eager": True}
    info = typer.Argument(**named) if part.option.positional else typer.Option(f"--{part.name}", **named)
    return Parameter(
        part.parameter, Parameter.POSITIONAL_OR_KEYWORD, default=default, annotation=Annotated[annotation, info]
    )
