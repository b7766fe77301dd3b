"""Amounts with units, as people write them: `32MB`, `8GiB`, `5ms`."""

from __future__ import annotations

import re
from fractions import Fraction

from raylab2f.errors import UserError

__all__ = ["bytes_of", "seconds_of"]

_AMOUNT = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)\s*")
_BYTES = {"": 1, "b": 1} | {
    f"{letter}{rest}": 1 << 10 * power for power, letter in enumerate("kmgt", 1) for rest in ("b", "ib")
}
_MOST_DIGITS = 300
_SECONDS = {"": 1.0, "s": 1.0, "ms": 0.001, "min": 60.0}


def bytes_of(text: str, where: str) -> int:
    """A number of bytes, at least one; units are powers of 1024, with or without an i.

    Arguments:
        where: the option, for sentences.

    Raises:
        UserError: it is none.
    """
    value = _amount(text, _BYTES)
    if value is None or value < 1:
        raise UserError(f"{where}: {text!r} is no size; give one such as 32MB.")
    return int(value)


def seconds_of(text: str, where: str) -> float:
    """A time in seconds, 0 or more; arguments and errors as for `bytes_of`."""
    value = _amount(text, _SECONDS)
    if value is None:
        raise UserError(f"{where}: {text!r} is no time; give one such as 5ms or 30s.")
    return float(value)


def _amount(text: str, units: dict[str, int] | dict[str, float]) -> Fraction | None:
    found = _AMOUNT.fullmatch(text)
    unit = None if found is None else units.get(found[2].lower())
    if found is None or unit is None or len(found[1]) > _MOST_DIGITS:
        return None
    # Exact, for a number of bytes may have more digits than a float.
    return Fraction(found[1]) * Fraction(unit)
