"""What of several runs is compared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from raylab2f.options.declaration import Option

__all__ = ["Compared"]


@dataclass(frozen=True)
class Compared:
    """What of several runs is compared."""

    metric: Annotated[
        tuple[str, ...],
        Option("Metric to compare; repeatable.", usual="balanced_accuracy, recall, specificity, auroc"),
    ] = ()
    level: Annotated[str, Option("object, image or both.")] = "object"
    rope: Annotated[float, Option("Differences up to this much count as none, in the metric's unit.")] = 0.01
