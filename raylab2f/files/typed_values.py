"""Values that stood in a file, held against the types of the class that is made of them."""

from __future__ import annotations

import math
import types
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

__all__ = ["require_types"]

_LONGEST = 60
_WORDS = {int: "a whole number", float: "a finite number", str: "text", bool: "true or false", dict: "a mapping"}


def require_types(cls: type, values: Any, where: str = "") -> None:
    """Check that the values of a JSON object fit the fields of a dataclass, those of its fields that are one included.

    Whole numbers fit where numbers are wanted, and lists where tuples are. A field with a default may be missing.

    Arguments:
        cls: a dataclass.
        values: what is to become one.
        where: to begin the names of fields with, in errors.

    Raises:
        ValueError: a value does not fit, a field is not known, or one is missing; the message names it.
    """
    if not isinstance(values, Mapping):
        raise ValueError(f"{where.rstrip('.') or 'it'} is no mapping")
    try:
        hints = get_type_hints(cls)
    except NameError:
        # Another package's class, whose types are known to type checkers only.
        hints = {field.name: Any for field in fields(cls)}
    known = {field.name: field for field in fields(cls) if field.init}
    for name in values:
        if name not in known:
            raise ValueError(f"there is no {where}{_shown(name)}")
    for name, field in known.items():
        if name in values:
            _require(hints[name], values[name], f"{where}{name}")
        elif field.default is MISSING and field.default_factory is MISSING:
            raise ValueError(f"{where}{name} is missing")


def _require(kind: Any, value: Any, name: str) -> None:
    if is_dataclass(kind) and isinstance(kind, type):
        require_types(kind, value, f"{name}.")
    elif not _fits(kind, value):
        raise ValueError(f"{name} is {_shown(value)}, and not {_words(kind)}")


def _fits(kind: Any, value: Any) -> bool:
    origin, parts = get_origin(kind), get_args(kind)
    if kind is Any:
        return True
    if origin in (Union, types.UnionType):
        return any(_fits(part, value) for part in parts)
    if origin is Literal:
        return any(type(value) is type(part) and value == part for part in parts)
    if tuple in (kind, origin):
        if not isinstance(value, (list, tuple)):
            return False
        if not parts:
            return True
        if parts[-1:] == (Ellipsis,):
            return all(_fits(parts[0], item) for item in value)
        return len(value) == len(parts) and all(map(_fits, parts, value))
    if kind is type(None):
        return value is None
    if kind is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool) and _is_finite(value)
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, origin or kind)


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def _words(kind: Any) -> str:
    origin, parts = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return " or ".join("nothing" if part is type(None) else _words(part) for part in parts)
    if origin is Literal:
        return " or ".join(map(str, parts))
    if origin is tuple:
        count = "a list of" if parts[-1:] == (Ellipsis,) else f"{len(parts)} times"
        return f"{count} {_words(parts[0])}"
    return _WORDS.get(origin or kind, getattr(kind, "__name__", str(kind)))


def _shown(value: Any) -> str:
    try:
        text = repr(value)
    except (ValueError, RecursionError):
        return "something unprintable"
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
