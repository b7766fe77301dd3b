"""How a model is made from a run, and how it judges pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from raylab2f.errors import UserError
from raylab2f.options.declaration import Option

__all__ = ["Finalising", "Keeping", "ModelOption", "Predicting"]

_PANEL = "Model"
_JUDGING = "Judging"
_ROWS = "Rows"

ModelOption = Annotated[str, Option("Folder of a finalised model, or its URI.", kind="place", positional=True)]


@dataclass(frozen=True)
class Finalising:
    """Which detector a run's model has, and how its threshold is found."""

    from_fold: Annotated[
        int | None, Option("The detector and threshold of this fold, judged by that fold.", minimum=0, panel=_PANEL)
    ] = None
    refit: Annotated[
        bool, Option("One detector trained on all good parts; so it is without another way.", panel=_PANEL)
    ] = False
    ensemble: Annotated[bool, Option("All folds' detectors together.", panel=_PANEL)] = False
    threshold: Annotated[str | None, Option("Strategy of the run.", usual="the run's first", panel=_PANEL)] = None
    carry: Annotated[
        Literal["anchored", "nominal-rank", "cross-conformal", "mean"] | None,
        Option("From the folds' thresholds to that of a refit, see docs/models.md.", usual="anchored", panel=_PANEL),
    ] = None
    with_backbone: Annotated[bool, Option("Put the backbone's weights into the folder.", panel=_PANEL)] = False

    def way(self) -> Literal["refit", "from-fold", "ensemble"]:
        """The one way that was asked for.

        Raises:
            UserError: several were.
        """
        ways: list[Literal["refit", "from-fold", "ensemble"]] = []
        if self.from_fold is not None:
            ways.append("from-fold")
        if self.refit:
            ways.append("refit")
        if self.ensemble:
            ways.append("ensemble")
        if len(ways) > 1:
            raise UserError(f"{' and '.join(f'--{way}' for way in ways)}: a model is made in one way; choose one.")
        if self.carry is not None and ways not in ([], ["refit"]):
            raise UserError(f"--carry {self.carry}: only a refit's threshold is carried over; leave it out.")
        return ways[0] if ways else "refit"


@dataclass(frozen=True)
class Predicting:
    """How a model judges pictures."""

    object_id: Annotated[
        str | None,
        Option("Regex on image ids with a group (?P<object>...): which part a picture shows.", panel=_JUDGING),
    ] = None
    conditions: Annotated[
        str | None,
        Option("Regex on image ids with a group (?P<condition>...): light, batch, camera.", panel=_JUDGING),
    ] = None
    unfamiliar: Annotated[
        Literal["review", "ignore"],
        Option("Whether a part unlike anything that was evaluated goes to a person.", panel=_JUDGING),
    ] = "review"
    pixel_limit: Annotated[int, Option("Refuse pictures of more pixels.", minimum=1, panel=_JUDGING)] = 100_000_000
    threads: Annotated[
        int,
        Option("Of a process; more are faster, and the fifth digit of scores may differ.", minimum=1, panel=_JUDGING),
    ] = 1


@dataclass(frozen=True)
class Keeping:
    """What is kept of verdicts, and who judges."""

    out: Annotated[
        str | None,
        Option("Folder for pictures.* and parts.*.", kind="path", usual="rows go to the standard output", panel=_ROWS),
    ] = None
    format: Annotated[Literal["csv", "jsonl", "parquet"], Option("Of the rows.", panel=_ROWS)] = "csv"
    overlays: Annotated[bool, Option("Keep pictures with their maps, and regions, in --out.", panel=_ROWS)] = False
    address: Annotated[str | None, Option("Of a Ray cluster that judges, HEAD:6379.", usual="this process judges")] = (
        None
    )
