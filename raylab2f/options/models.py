"""How a model is made from a run, and how it judges pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from raylab2f.errors import UserError
from raylab2f.options.declaration import Option

__all__ = ["Finalising", "ModelOption"]

_PANEL = "Model"

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
        Literal["nominal-rank", "cross-conformal", "anchored", "mean"],
        Option("From the folds' thresholds to that of a refit, see docs/models.md.", panel=_PANEL),
    ] = "nominal-rank"
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
        return ways[0] if ways else "refit"
