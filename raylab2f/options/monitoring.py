"""How a line is watched and audited."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from raylab2f.errors import UserError
from raylab2f.options.declaration import Option

__all__ = ["Auditing", "Watching"]

_PANEL = "Audit"


@dataclass(frozen=True)
class Watching:
    """What is promised, and what the line is compared with."""

    alpha: Annotated[float, Option("Probability of a false alarm, ever.", minimum=0, maximum=1)] = 0.01
    unit: Annotated[
        Literal["part", "day"], Option("day: where days differ from each other even if nothing is wrong.")
    ] = "part"
    prevalence: Annotated[
        float | None,
        Option("Share of defective parts at the line.", minimum=0, maximum=1, usual="that of the evaluation's run"),
    ] = None
    reference: Annotated[
        str | None,
        Option("Judged pictures to compare with.", kind="path", usual="those of the model's evaluation"),
    ] = None
    seed: Annotated[int, Option("Of ties and draws.", minimum=0)] = 0


@dataclass(frozen=True)
class Auditing:
    """Which accepted parts are looked at again, and what that says."""

    audit: Annotated[
        str | None,
        Option("File of the plan (CSV): written, or read with --answers.", kind="path", panel=_PANEL),
    ] = None
    answers: Annotated[
        str | None, Option("Table with object_id (or image_id) and label of those parts.", kind="path", panel=_PANEL)
    ] = None
    limit: Annotated[
        float | None,
        Option("Share of defective parts among the accepted that is to be shown not to be exceeded.", panel=_PANEL),
    ] = None
    expected: Annotated[float, Option("The share that is expected; below --limit.", minimum=0, panel=_PANEL)] = 0.0
    confidence: Annotated[float, Option("Of the bound.", panel=_PANEL)] = 0.95

    def check(self) -> None:
        """`UserError` where the options do not go together."""
        if self.audit is None:
            if self.answers is not None or self.limit is not None:
                raise UserError("--answers and --limit belong to an audit; name its plan with --audit FILE.")
        elif self.answers is None and self.limit is None:
            raise UserError("--audit: give --limit to plan an audit, or --answers to read one.")
        elif self.answers is not None and self.limit is not None:
            raise UserError("--answers: the plan has its limit already; leave --limit out.")
