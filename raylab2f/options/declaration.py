"""How an option is declared, and how a function is given all options of its groups.

A group is a frozen dataclass whose fields are `Annotated[type, Option(...)] = default`. A function asks for groups by
annotating parameters with them; `compose` makes of it a function that takes every field as a parameter of its own.
Tuples stand for options that may be repeated.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from functools import cache, wraps
from inspect import Parameter, Signature, signature
from numbers import Integral, Real
from types import NoneType
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from raylab2f.errors import UserError

__all__ = ["Declared", "Kind", "Option", "compose", "declared", "one_of"]

#: What a text option names: `place` a local path or a URI, `path` a local path, `store` where MLflow keeps its records.
Kind = Literal["text", "place", "path", "store"]

_WORDS = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}
_EMPTY = Parameter.empty
_R = TypeVar("_R")


@dataclass(frozen=True)
class Option:
    """What is said about an option beside its type and default.

    Arguments:
        help: shown by `--help`.
        name: long name without dashes; `None`: the parameter's with hyphens.
        panel: of the help text.
        minimum, maximum: of numbers.
        usual: in words, what holds without the option; `False`: nothing is said about it.
        kind: what a text names.
        positional: an argument that needs no name.
        passing: of one call only: not written to files of settings.
        lasting: makes of a value one that means the same in another folder; needed where `kind` does not say it.
        eager: what the command line does as soon as it reads the value; see `raylab2f.cli.composition`.
    """

    help: str | None = None
    name: str | None = None
    panel: str | None = None
    minimum: float | None = None
    maximum: float | None = None
    usual: str | bool | None = None
    kind: Kind = "text"
    positional: bool = False
    passing: bool = False
    lasting: Callable[[str], str] | None = None
    eager: Callable[..., Any] | None = None


def one_of(*names: str) -> str:
    """Names that a value may have, once each, as help says them: `a, b or c`."""
    *most, last = dict.fromkeys(names)
    return f"{', '.join(most)} or {last}" if most else last


@dataclass(frozen=True)
class Declared:
    """One option of a function.

    Arguments:
        parameter: its name in Python.
        annotation: its type.
        default: without it; `inspect.Parameter.empty` where it must be given.
        option: what else is said about it.
        is_option: rather than a parameter that nobody gives by name.
    """

    parameter: str
    annotation: Any
    default: Any
    option: Option
    is_option: bool

    @property
    def name(self) -> str:
        """Long name, without dashes."""
        return self.option.name or self.parameter.replace("_", "-")

    @property
    def repeatable(self) -> bool:
        return get_origin(self.annotation) is tuple

    @property
    def choices(self) -> tuple[str, ...]:
        """What a text may be; empty where it may be anything."""
        for part in (self.annotation, *get_args(self.annotation)):
            if get_origin(part) is Literal:
                return get_args(part)
        return ()

    @property
    def scalar(self) -> type:
        """`int`, `float`, `str` or `bool`."""
        if self.choices:
            return str
        parts = [part for part in get_args(self.annotation) if part not in (NoneType, Ellipsis)]
        return parts[0] if parts else self.annotation

    @property
    def may_be_none(self) -> bool:
        return self.default is None

    def parse(self, text: str, where: str) -> Any:
        """One value from text, as on the command line.

        Arguments:
            where: what the value belongs to, for sentences.

        Raises:
            UserError: it does not fit.
        """
        if self.scalar is bool:
            if text.lower() not in ("true", "false"):
                raise UserError(f"{where}: {text!r} does not fit; give true or false.")
            return text.lower() == "true"
        try:
            value = self.scalar(text)
        except ValueError:
            raise UserError(f"{where}: {text!r} does not fit; give {_WORDS[self.scalar]}.") from None
        return self._checked(value, where)

    def refuse_unfit(self, value: Any, where: str) -> None:
        """Refuse what no option may be, whatever its type: no value where one is needed, infinity, text that is none.

        Arguments:
            value: one, or a tuple of them, of the option's type.
            where: what the value belongs to, for sentences.

        Raises:
            UserError: it does not fit.
        """
        if value == () and self.default != ():
            raise UserError(f"{where} has no value; give one, or leave it out.")
        for item in value if isinstance(value, tuple) else (value,):
            if isinstance(item, float) and not math.isfinite(item):
                raise UserError(f"{where}: {item} does not fit; give a finite number.")
            if isinstance(item, (str, os.PathLike)):
                _require_text(os.fspath(item), where)

    def check(self, value: Any, where: str | None = None) -> Any:
        """A value given in Python as one of the option's type; single values of repeatable options become tuples.

        Raises:
            UserError: it does not fit.
        """
        where = where or self.parameter
        if value is None and (self.may_be_none or self.default == ()):
            return self.default
        made: Any
        if self.repeatable:
            several = not isinstance(value, (str, bytes, os.PathLike, Mapping)) and isinstance(value, Iterable)
            made = tuple(self._checked(item, where) for item in (value if several else [value]))
        else:
            made = self._checked(value, where)
        self.refuse_unfit(made, where)
        return made

    def _checked(self, value: Any, where: str) -> Any:
        made = _converted(value, self.scalar)
        if made is None:
            raise UserError(f"{where}: {value!r} does not fit; give {_WORDS[self.scalar]}.")
        if self.choices and made not in self.choices:
            raise UserError(f"{where}: {made!r} does not fit; give one of {', '.join(self.choices)}.")
        low, high = self.option.minimum, self.option.maximum
        if low is not None and not made >= low:
            raise UserError(f"{where}: {made} does not fit; give at least {low:g}.")
        if high is not None and not made <= high:
            raise UserError(f"{where}: {made} does not fit; give at most {high:g}.")
        if self.option.kind in ("place", "path"):
            from raylab2f.files.places import local_path, place_of

            _require_text(made, where)
            return place_of(made) if self.option.kind == "place" else local_path(made)
        return made


def _require_text(text: str, where: str) -> None:
    """`UserError` for text that says nothing, or that no file, and no name of one, can hold."""
    if not text:
        raise UserError(f"{where} has no value; give one, or leave it out.")
    if "\0" in text:
        raise UserError(f"{where}: {text!r} holds a null character; leave it out.")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise UserError(f"{where}: {text!r} is not UTF-8, and could not be recorded; give a name that is.") from None


def _converted(value: Any, kind: type) -> Any:
    """A Python value as one of the kind, numbers of numpy included; `None` if it is none."""
    if kind is bool:
        return value if isinstance(value, bool) else None
    if kind is str:
        if isinstance(value, (str, os.PathLike)):
            return os.fspath(value)
        # A size of 160, an angle of 90: options whose text may be a number.
        return str(value) if isinstance(value, Real) and not isinstance(value, bool) else None
    if isinstance(value, bool):
        return None
    if kind is int:
        return int(value) if isinstance(value, Integral) else None
    try:
        return float(value) if isinstance(value, Real) else None
    except OverflowError:
        return None


def declared(function: Callable[..., Any] | type) -> dict[str, Declared]:
    """The options of a function, or of one group, by parameter, in order."""
    if not isinstance(function, type) and hasattr(function, "__options__"):
        return dict(function.__options__)
    return {part.parameter: part for parts in _parameters(function).values() for part in parts if part.is_option}


def compose(
    function: Callable[..., _R],
    *,
    present: Callable[[Declared], Parameter],
    check: Callable[[Mapping[str, Any]], Mapping[str, Any]],
) -> Callable[..., _R]:
    """A function that takes the fields of its groups as parameters.

    Arguments:
        function: whose parameters are groups, options (`Annotated[..., Option(...)]`), or anything else.
        present: a field, or a parameter that is no option, as a parameter of the new function.
        check: called with the values that were given, by parameter; returns those to use.
    """
    owners = _parameters(function)
    hints = get_type_hints(function, include_extras=True)
    options = declared(function)
    shown = [present(part) for parts in owners.values() for part in parts]
    outer = Signature(shown, return_annotation=hints.get("return", _EMPTY))

    @wraps(function)
    def call(*args: Any, **given: Any) -> _R:
        values = check(outer.bind(*args, **given).arguments)
        made = {}
        for name, parts in owners.items():
            mine = {part.parameter: values[part.parameter] for part in parts if part.parameter in values}
            group = hints[name]
            made[name] = group(**mine) if _is_group(group) else mine[name] if name in mine else parts[0].default
        return function(**made)

    call.__signature__ = outer  # type: ignore[attr-defined]
    call.__annotations__ = {parameter.name: parameter.annotation for parameter in shown}
    call.__options__ = options  # type: ignore[attr-defined]
    return call


def _parameters(function: Callable[..., Any] | type) -> dict[str, list[Declared]]:
    """What each parameter stands for: a group's fields, one option, or something that is no option."""
    hints = get_type_hints(function, include_extras=True)
    if is_dataclass(function):
        return {"": _fields(function)}
    found = {}
    for name, parameter in signature(function).parameters.items():
        hint = hints[name]
        found[name] = _fields(hint) if _is_group(hint) else [_declared(name, hint, parameter.default)]
    return found


def _is_group(hint: Any) -> bool:
    return isinstance(hint, type) and is_dataclass(hint)


@cache
def _hints(group: Any) -> Mapping[str, Any]:
    """Evaluated once: an option of two commands is one and the same object."""
    return get_type_hints(group, include_extras=True)


def _fields(group: Any) -> list[Declared]:
    hints = _hints(group)
    return [_declared(f.name, hints[f.name], _EMPTY if f.default is MISSING else f.default) for f in fields(group)]


def _declared(name: str, hint: Any, default: Any) -> Declared:
    annotation, *extras = get_args(hint) if get_origin(hint) is Annotated else (hint,)
    options = [extra for extra in extras if isinstance(extra, Option)]
    return Declared(name, annotation, default, options[0] if options else Option(), bool(options))
