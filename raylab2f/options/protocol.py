"""How pictures are dealt to folds, and what is kept of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from raylab2f.options.declaration import Option

__all__ = ["MOST_FOLDS", "Protocol"]

#: More say no more, and a slip of the finger would plan folds until memory ends.
MOST_FOLDS = 10_000

_PANEL = "Protocol"


@dataclass(frozen=True)
class Protocol:
    """How pictures are dealt to folds."""

    folds: Annotated[int, Option(minimum=1, maximum=MOST_FOLDS, panel=_PANEL)] = 10
    seed: Annotated[tuple[int, ...], Option("Repeatable.", minimum=0, panel=_PANEL)] = (0,)
    scheme: Annotated[
        Literal["balanced", "kfold", "leave-condition-out"],
        Option(
            "balanced; kfold: every object judged once; leave-condition-out: each fold judges a condition that neither "
            "trained nor chose the threshold.",
            panel=_PANEL,
        ),
    ] = "balanced"
    stratify: Annotated[bool, Option("Halve every defect type by itself.", panel=_PANEL)] = False
    train_fraction: Annotated[
        float, Option("Share of the training objects to use.", minimum=0, maximum=1, panel=_PANEL)
    ] = 1.0
    train_on: Annotated[
        Literal["auto", "good-objects", "good-pictures"],
        Option(
            "good-objects, or good-pictures: those of objects with defects train as well, in folds that judge none of "
            "the object; auto: where good objects are too few.",
            panel=_PANEL,
        ),
    ] = "auto"
    split_by: Annotated[
        Literal["object", "picture"], Option("object; picture leaks, for comparison only.", panel=_PANEL)
    ] = "object"
    merge_nominal_test: Annotated[
        Literal["auto", "yes", "no"], Option("Whether given nominal test pictures may train.", panel=_PANEL)
    ] = "auto"
    epoch_scores: Annotated[
        int,
        Option(
            "Keep scores every N epochs, to show what choosing the best epoch would claim; 0: do not.",
            minimum=0,
            panel=_PANEL,
        ),
    ] = 0
