"""Settings of detectors that see pictures."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from raylab2f.detectors.base import Schedule
from raylab2f.detectors.fitted import NO_STEPS
from raylab2f.detectors.ranges import require_range
from raylab2f.errors import UserError

__all__ = ["PictureConfig", "option_values"]


@dataclass(frozen=True)
class PictureConfig:
    """Settings of a detector that sees pictures.

    Arguments:
        backbone, weights, layers: levels of a timm model. Features of it are what the run's nearest neighbour sees, the
            line that every detector is held against, and what is familiar to a model.
        size: height and width in pixels of the pictures.
        schedule: epochs and pictures per step, for a detector whose own training has them.
        options: what the detector is made with, as NAME=VALUE each; see `option_values`.
        init_seed: what it draws descends from it.
    """

    backbone: str = "tf_efficientnet_lite0"
    weights: str = "bundled"
    layers: tuple[str, ...] = ("blocks.2", "blocks.4")
    size: tuple[int, int] = (256, 256)
    schedule: Schedule = NO_STEPS
    options: tuple[str, ...] = ()
    init_seed: int = 0

    def __post_init__(self) -> None:
        require_range(self, "size", least=1)
        option_values(self.options)


def option_values(options: Sequence[str]) -> dict[str, Any]:
    """Options NAME=VALUE by name; a value is read as JSON where it is JSON (numbers, true, null, lists), else as text.

    Raises:
        UserError: no NAME=VALUE, no name of an argument, or a name twice.
    """
    values: dict[str, Any] = {}
    for option in options:
        name, equals, text = option.partition("=")
        if not equals or not name.isidentifier():
            raise UserError(f"--set {option}: give NAME=VALUE, the name being one of the detector's arguments.")
        if name in values:
            raise UserError(f"--set {name} is given twice; give it once.")
        try:
            values[name] = json.loads(text)
        except (ValueError, RecursionError):
            values[name] = text
    return values
