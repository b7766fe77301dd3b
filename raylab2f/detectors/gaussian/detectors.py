"""Distances from a Gaussian of nominal features."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from raylab2f.detectors.base import Batch, FeatureRequest, Prediction, Samples
from raylab2f.detectors.fitted import FittedDetector
from raylab2f.detectors.gaussian.config import MAHALANOBIS_PRESETS, PADIM_PRESETS, GaussianConfig
from raylab2f.detectors.moments import moments
from raylab2f.detectors.smoothing import smooth_upsample
from raylab2f.seeding import torch_seed

__all__ = ["Mahalanobis", "Padim"]

# Entries of the covariances that are estimated at once, at most.
_ENTRIES = 1 << 27
# Bytes that such an entry takes where room is short: sum of squares, what is added, one of so many pieces whitened.
_ENTRY_BYTES = 3 * 8
_PIECES = 8


class _GaussianDetector(FittedDetector):
    """Mean and covariance of nominal features in one or several groups of positions; scores are Mahalanobis distances.

    With S = L Lᵀ the covariance, the distance of x is |L⁻¹ (x - mean)|: `whiten` holds L⁻¹.

    Arguments:
        config: see `GaussianConfig`.
        feature_shapes: (C, H, W) of the backbone levels, finest first.
        backbone: not used.
    """

    config_class = GaussianConfig

    mean: Tensor
    whiten: Tensor
    channels: Tensor

    def __init__(
        self,
        config: GaussianConfig,
        feature_shapes: Sequence[tuple[int, int, int]],
        backbone: nn.Module | None = None,
    ) -> None:
        super().__init__(config, feature_shapes, backbone)
        self.grid = (feature_shapes[0][1], feature_shapes[0][2])
        total = sum(shape[0] for shape in feature_shapes)
        generator = torch.Generator().manual_seed(torch_seed(config.init_seed, self.name))
        chosen = torch.randperm(total, generator=generator)[: config.dimensions].sort().values
        self.groups, length = self._positions(feature_shapes), len(chosen)
        self.register_buffer("channels", chosen)
        self.register_buffer("mean", torch.zeros(self.groups, length))
        self.register_buffer("whiten", torch.eye(length).repeat(self.groups, 1, 1))

    @classmethod
    @abstractmethod
    def _positions(cls, shapes: Sequence[tuple[int, int, int]]) -> int:
        """How many Gaussians there are, for maps (C, H, W) of these shapes."""

    @classmethod
    def least_room(cls, config: GaussianConfig, shapes: Sequence[tuple[int, int, int]], pictures: int) -> int:
        """The Gaussians, and one of them being estimated."""
        length = min(config.dimensions, sum(shape[0] for shape in shapes))
        # A Gaussian that is whitened by itself is no eighth of others.
        return _model_bytes(cls._positions(shapes), length) + 8 * 8 * length**2

    @classmethod
    def feature_requests(cls, config: GaussianConfig) -> tuple[FeatureRequest, ...]:
        """One request for all levels."""
        return (FeatureRequest(config.backbone, config.weights, config.layers, config.size),)

    @torch.no_grad()
    def begin(self, samples: Samples, seed: int) -> dict[str, Any]:
        """Fit the Gaussians in float64, portion by portion of the pictures, and so many at once as fit into memory."""
        groups, length = self.mean.shape
        entries, pieces = _ENTRIES, 1
        if samples.room is not None:
            entries, pieces = min(_ENTRIES, (samples.room - _model_bytes(groups, length)) // _ENTRY_BYTES), _PIECES
        for some in torch.arange(groups, device=self.mean.device).split(max(1, entries // length**2)):
            portions = samples.portions(self.config.schedule.batch_size)
            features = (self._features(portion.features)[some] for portion in portions)
            mean, scatter, count = moments(features)
            self.mean[some] = mean.to(self.mean.dtype)
            for own in torch.arange(len(some), device=some.device).split(-(-len(some) // pieces)):
                covariance = (scatter if pieces == 1 else scatter[own]) / max(1, count - 1)
                self.whiten[some[own]] = self._whitened(covariance).to(self.whiten.dtype)
        return {"gaussians": groups, "dimensions": length}

    def _whitened(self, covariance: Tensor) -> Tensor:
        """L⁻¹ of every regularised covariance (G, D, D)."""
        config = self.config
        variances = covariance.diagonal(dim1=1, dim2=2)
        added = config.shrinkage * variances.mean(dim=1, keepdim=True) + config.regularisation
        shrunk = (1 - config.shrinkage) * covariance
        shrunk.diagonal(dim1=1, dim2=2).add_(added)
        lower = torch.linalg.cholesky(shrunk)
        one = torch.eye(shrunk.shape[1], dtype=shrunk.dtype, device=shrunk.device).expand_as(shrunk)
        return torch.linalg.solve_triangular(lower, one, upper=False)

    def _features(self, levels: Sequence[Tensor]) -> Tensor:
        """(G, n, D): the chosen channels of all levels on the finest grid; coarser ones repeat, as published."""
        finest = [functional.interpolate(level, size=self.grid, mode="nearest") for level in levels]
        chosen = torch.cat(finest, dim=1)[:, self.channels].flatten(2)
        return chosen.permute(2, 0, 1).reshape(self.groups, -1, len(self.channels))

    @torch.no_grad()
    def predict(self, batch: Batch) -> Prediction:
        """Map: the distance at each position; image score: the maximum of the smoothed map, as displayed."""
        features = self._features(batch.features)
        distances = ((features - self.mean[:, None]) @ self.whiten.transpose(1, 2)).norm(dim=2)
        maps = distances.view(-1, batch.count).T.reshape(batch.count, *self.grid)
        return Prediction(self.upsample(maps, self.config.size).flatten(1).amax(dim=1), maps)

    def upsample(self, maps: Tensor, size: tuple[int, int]) -> Tensor:
        """Bilinear, then a Gaussian."""
        return smooth_upsample(maps, size, self.config.smoothing_sigma)


class Padim(_GaussianDetector):
    """A Gaussian for each position: for pictures in which every part lies alike.

    References:
        Defard, Setkov, Loesch, Audigier: PaDiM: a Patch Distribution Modeling Framework for Anomaly Detection and
        Localization, ICPR 2021 workshops.
    """

    name = "padim"
    presets: ClassVar = PADIM_PRESETS

    @classmethod
    def _positions(cls, shapes: Sequence[tuple[int, int, int]]) -> int:
        return shapes[0][1] * shapes[0][2]


class Mahalanobis(_GaussianDetector):
    """One Gaussian for all positions: wherever a part lies in its picture.

    References:
        Rippel, Mertens, Merhof: Modeling the Distribution of Normal Data in Pre-Trained Deep Features for Anomaly
        Detection, ICPR 2020; here for the features of positions instead of those of whole pictures.
    """

    name = "mahalanobis"
    presets: ClassVar = MAHALANOBIS_PRESETS

    @classmethod
    def _positions(cls, shapes: Sequence[tuple[int, int, int]]) -> int:
        return 1


def _model_bytes(groups: int, length: int) -> int:
    """Of the matrices (G, D, D), float32, and of their copy when they are written to a file."""
    return 2 * 4 * groups * length**2
