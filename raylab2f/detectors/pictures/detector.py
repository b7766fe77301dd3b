"""What every detector that sees pictures has in common, and what is held against what it answers."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from raylab2f.detectors.base import Batch, FeatureRequest, Prediction, Samples, Schedule
from raylab2f.detectors.fitted import FittedDetector
from raylab2f.detectors.pictures.config import PictureConfig
from raylab2f.errors import UserError

__all__ = ["Heard", "PictureDetector"]

#: Called after an epoch of a detector's own training: the number finished, of how many, its mean loss, and pictures per
#: second.
Heard = Callable[[int, int, float, float], None]


class PictureDetector(FittedDetector):
    """A detector that is fitted to the pictures of the train partition and asked about others.

    It sees no partition but the one it is fitted to, and neither labels nor masks of defects.

    Attributes:
        heard: told of every epoch, where the detector's own training has such; `None`: nobody listens.
    """

    reads_pictures = True
    takes_options = True
    config_class: ClassVar[type] = PictureConfig
    heard: Heard | None = None

    def __init__(
        self, config: Any, feature_shapes: Sequence[tuple[int, int, int]], backbone: nn.Module | None = None
    ) -> None:
        super().__init__(config, feature_shapes, backbone)
        self._grid: tuple[int, int] | None = None
        self._answered = False

    @classmethod
    def feature_requests(cls, config: Any) -> tuple[FeatureRequest, ...]:
        """What the run's nearest neighbour reads."""
        return (FeatureRequest(config.backbone, config.weights, config.layers, config.size),)

    @property
    def steps(self) -> Schedule:
        """No epochs: whatever training there is takes place in `begin`."""
        return replace(self.config.schedule, epochs=0)

    @abstractmethod
    def fit_pictures(self, pictures: Tensor, foregrounds: Tensor | None, seed: int) -> None:
        """Fit to good pictures.

        Arguments:
            pictures: (N, H, W, 3) uint8 RGB, on the detector's device.
            foregrounds: (N, H, W) bool, true on the object, or `None` when unknown.
            seed: everything random descends from it.
        """

    @abstractmethod
    def judge_pictures(self, pictures: Tensor) -> tuple[Any, Any]:
        """Scores (n,) and anomaly maps (n, h, w) of pictures (n, H, W, 3), uint8; maps are `None` if there are none."""

    def begin(self, samples: Samples, seed: int) -> dict[str, Any]:
        """Fit the detector.

        Raises:
            UserError: it fails.
        """
        assert samples.pictures is not None
        self.fit_pictures(samples.pictures, samples.foregrounds, seed)
        return {}

    def predict(self, batch: Batch) -> Prediction:
        """Scores (B,) and maps (B, h, w); of a detector without maps (B, 1, 1), the score everywhere.

        Raises:
            UserError: what the detector answers are no such scores or maps.
        """
        assert batch.pictures is not None
        scores, maps = self.judge_pictures(batch.pictures)
        count = len(batch.pictures)
        told = _numbers(scores, self.name, "scores")
        if told.shape != (count,):
            raise UserError(
                f"--detector {self.name}: its predict gives scores of shape {told.shape} for {count} pictures; it must "
                f"be ({count},), one number for each."
            )
        if self._answered and self.gives_maps != (maps is not None):
            raise UserError(
                f"--detector {self.name}: its predict gives maps at some calls and None at others; give either always."
            )
        self._answered, self.gives_maps = True, maps is not None
        if maps is None:
            return Prediction(torch.from_numpy(told), torch.from_numpy(told)[:, None, None])
        drawn = _numbers(maps, self.name, "maps")
        if drawn.ndim != 3 or len(drawn) != count or 0 in drawn.shape:
            raise UserError(
                f"--detector {self.name}: its predict gives maps of shape {drawn.shape} for {count} pictures; it must "
                f"be ({count}, h, w), or None in place of maps."
            )
        self._grid = self._grid or (drawn.shape[1], drawn.shape[2])
        if drawn.shape[1:] != self._grid:
            raise UserError(
                f"--detector {self.name}: its predict gives maps of {drawn.shape[1]} x {drawn.shape[2]} after some of "
                f"{self._grid[0]} x {self._grid[1]}; all must be of one size."
            )
        return Prediction(torch.from_numpy(told), torch.from_numpy(drawn))

    def upsample(self, maps: Tensor, size: tuple[int, int]) -> Tensor:
        """Bilinear: (B, *size)."""
        return functional.interpolate(maps[:, None], size, mode="bilinear", align_corners=False)[:, 0]


def _numbers(values: Any, name: str, what: str) -> NDArray[np.float32]:
    """What a detector answered as float32; `UserError` where that cannot be or a number is none."""
    if isinstance(values, Tensor):
        values = values.detach().cpu()
        values = values.numpy() if values.is_complex() else values.float().numpy()
    try:
        if np.iscomplexobj(values):
            raise TypeError("they are complex")
        numbers: NDArray[np.float32] = np.array(values, np.float32, order="C")
    except (ValueError, TypeError) as error:
        raise UserError(
            f"--detector {name}: its predict gives {what} that are no numbers ({error}); give an array."
        ) from error
    if not np.isfinite(numbers).all():
        wrong = int((~np.isfinite(numbers)).sum())
        raise UserError(
            f"--detector {name}: {wrong} of {numbers.size} numbers in its {what} are NaN or infinite; mend its predict."
        )
    return numbers
