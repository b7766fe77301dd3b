"""How closely a finished run is looked at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from raylab2f.errors import UserError
from raylab2f.options.declaration import Option, one_of
from raylab2f.plugins import DIAGNOSES, added_names

__all__ = ["Diagnosing", "OnlyOption", "parse_doses"]

_OWN = ("background", "silhouette", "variance", "invariance", "leakage", "shift", "threshold", "likelihood")

OnlyOption = Annotated[tuple[str, ...], Option(f"{one_of(*_OWN, *added_names(DIAGNOSES))}; repeatable.")]


@dataclass(frozen=True)
class Diagnosing:
    """How closely a finished run is looked at."""

    stored_only: Annotated[bool, Option("Use what the run stored; score no altered pictures.")] = False
    expect: Annotated[
        tuple[str, ...],
        Option("ALTERATION=DOSE that occurs where the detector will be used, such as rotation=180; repeatable."),
    ] = ()
    pictures: Annotated[int, Option("Good, and defective, pictures a fold to alter and score, at most.", minimum=2)] = (
        48
    )

    by: Annotated[tuple[str, ...], Option("Make every diagnosis for each condition or view as well; repeatable.")] = ()


def parse_doses(expect: Sequence[str]) -> dict[str, float]:
    """Dose by alteration; `UserError` names what cannot be read."""
    return dict(map(_parse_dose, expect))


def _parse_dose(text: str) -> tuple[str, float]:
    name, equals, dose = text.partition("=")
    try:
        if not equals:
            raise ValueError
        return name, float(dose)
    except ValueError:
        raise UserError(f"--expect {text}: give ALTERATION=DOSE, such as rotation=180.") from None
