"""What is planned before parts are photographed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from raylab2f.options.declaration import Option

__all__ = ["Clusters", "Curve", "Guarantee", "Widths"]

_WIDTH = "Width of an interval"
_GUARANTEE = "Guarantee"
_PICTURES = "Several pictures of a part"
_CURVE = "Learning curve"


@dataclass(frozen=True)
class Widths:
    """How wide the intervals may be."""

    half_width: Annotated[float, Option("Half the width of the intervals.", panel=_WIDTH)] = 0.05
    recall: Annotated[float, Option("Expected recall; the escape rate is the rest.", panel=_WIDTH)] = 0.95
    specificity: Annotated[float, Option("Expected; the overkill rate is the rest.", panel=_WIDTH)] = 0.95
    method: Annotated[str, Option("clopper-pearson or wilson.", panel=_WIDTH)] = "clopper-pearson"
    confidence: Annotated[float, Option(panel=_WIDTH)] = 0.95


@dataclass(frozen=True)
class Guarantee:
    """What shall be guaranteed."""

    alpha: Annotated[float, Option("Share of defective parts that may escape.", panel=_GUARANTEE)] = 0.1
    delta: Annotated[float, Option("Risk that more do.", panel=_GUARANTEE)] = 0.05
    power: Annotated[float, Option("Chance that the guarantee admits a useful threshold.", panel=_GUARANTEE)] = 0.8


@dataclass(frozen=True)
class Clusters:
    """How much the pictures of one part say the same."""

    pictures: Annotated[float | None, Option("Pictures of a part.", panel=_PICTURES)] = None
    icc: Annotated[float | None, Option("Correlation of the outcomes of one part's pictures.", panel=_PICTURES)] = None
    run: Annotated[
        str | None, Option("Run folder or URI that both are estimated from.", kind="place", panel=_PICTURES)
    ] = None


@dataclass(frozen=True)
class Curve:
    """Runs that trained on different shares of the parts."""

    curve: Annotated[
        tuple[str, ...],
        Option("Run folder or URI with its own --train-fraction; repeatable.", kind="place", panel=_CURVE),
    ] = ()
    metric: Annotated[tuple[str, ...], Option("Repeatable.", usual="balanced_accuracy and auroc", panel=_CURVE)] = ()
    level: Annotated[Literal["object", "image"], Option("object or image.", panel=_CURVE)] = "object"
