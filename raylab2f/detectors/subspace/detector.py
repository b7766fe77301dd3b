"""What a subspace of nominal features leaves unexplained."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from raylab2f.detectors.base import Batch, FeatureRequest, Prediction, Samples
from raylab2f.detectors.fitted import FittedDetector
from raylab2f.detectors.moments import moments
from raylab2f.detectors.subspace.config import DFM_PRESETS, DfmConfig

__all__ = ["Dfm"]

# Of a feature, centred at once.
_COLUMNS = 2048


class Dfm(FittedDetector):
    """The whole picture's features are reconstructed from the principal axes of nominal ones; the error is the score.

    One feature is made of all positions, so that it knows what belongs where, and what goes with what.

    References:
        Ndiour, Ahuja, Tickoo: Subspace Modeling for Fast Out-of-distribution and Anomaly Detection, ICIP 2022,
        section 2.2: feature reconstruction error.
        Ahuja, Ndiour, Kalyanpur, Tickoo: Probabilistic Modeling of Deep Features for Out-of-Distribution and
        Adversarial Detection, 2019.

    Arguments:
        config: see `DfmConfig`.
        feature_shapes: (C, H, W) of the backbone levels, finest first.
        backbone: not used.
    """

    name = "dfm"
    config_class = DfmConfig
    presets: ClassVar = DFM_PRESETS

    mean: Tensor
    axes: Tensor

    def __init__(
        self,
        config: DfmConfig,
        feature_shapes: Sequence[tuple[int, int, int]],
        backbone: nn.Module | None = None,
    ) -> None:
        super().__init__(config, feature_shapes, backbone)
        self.shapes = [_pooled_shape(shape, config.pool) for shape in feature_shapes]
        length = sum(math.prod(shape) for shape in self.shapes)
        self.register_buffer("mean", torch.zeros(length))
        self.register_buffer("axes", torch.zeros(length, 0))

    @classmethod
    def least_room(cls, config: DfmConfig, shapes: Sequence[tuple[int, int, int]], pictures: int) -> int:
        """What is estimated from: products of the numbers of a feature, or all features and their products."""
        length = sum(math.prod(_pooled_shape(shape, config.pool)) for shape in shapes)
        fewer = min(pictures, length)
        held = 0 if length <= pictures else 4 * pictures * length + 2 * 8 * pictures * _COLUMNS
        # Products and what finds their axes; then these beside the vectors; then these and a copy that is written.
        axes = 4 * fewer * length
        return max(held + 4 * 8 * fewer**2, held + 8 * fewer**2 + axes, 2 * axes)

    @classmethod
    def feature_requests(cls, config: DfmConfig) -> tuple[FeatureRequest, ...]:
        """One request for all levels."""
        return (FeatureRequest(config.backbone, config.weights, config.layers, config.size),)

    @torch.no_grad()
    def begin(self, samples: Samples, seed: int) -> dict[str, Any]:
        """Find the axes, in float64: the fewest that hold the wanted share of the variance."""
        size = self.config.schedule.batch_size
        features = (self._features(portion.features) for portion in samples.portions(size))
        if len(self.mean) <= len(samples):
            means, scatter, _ = moments(portion[None] for portion in features)
            mean, axes = means[0], _held(scatter[0], self.config.variance)[1]
        else:
            known = torch.cat(list(features))
            mean = torch.cat([some.mean(dim=0, dtype=torch.float64) for some in known.split(_COLUMNS, dim=1)])
            axes = _axes_of_few(known, mean, self.config.variance)
        self.mean, self.axes = mean.to(self.mean.dtype), axes.to(self.axes.dtype)
        return {"dimensions": len(mean), "axes": axes.shape[1]}

    def _features(self, levels: Sequence[Tensor]) -> Tensor:
        """(n, D): the averaged maps of all levels, one after another."""
        return torch.cat([_pooled(level, self.config.pool).flatten(1) for level in levels], dim=1)

    @torch.no_grad()
    def predict(self, batch: Batch) -> Prediction:
        """Map: squared error at each averaged cell, over its channels; image score: their sum."""
        centred = self._features(batch.features) - self.mean
        errors = (centred - (centred @ self.axes) @ self.axes.T).square()
        maps = []
        for own, (channels, height, width) in zip(
            errors.split([math.prod(shape) for shape in self.shapes], dim=1), self.shapes, strict=True
        ):
            cells = own.reshape(-1, channels, height, width).sum(dim=1, keepdim=True)
            maps.append(functional.interpolate(cells, size=self.shapes[0][1:], mode="nearest"))
        return Prediction(errors.sum(dim=1), torch.cat(maps, dim=1).sum(dim=1))

    def upsample(self, maps: Tensor, size: tuple[int, int]) -> Tensor:
        """Bilinear: (B, *size)."""
        return functional.interpolate(maps[:, None], size, mode="bilinear", align_corners=False)[:, 0]

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *arguments: Any) -> None:
        # How many axes there are depends on the training pictures.
        stored = state_dict.get(f"{prefix}axes")
        if stored is not None and stored.ndim == 2 and len(stored) == len(self.axes):
            self.axes = self.axes.new_empty(stored.shape)
        super()._load_from_state_dict(state_dict, prefix, *arguments)  # type: ignore[no-untyped-call]


def _axes_of_few(features: Tensor, mean: Tensor, share: float) -> Tensor:
    """(D, k): principal axes of fewer features (n, D) than they have numbers, by their products with one another."""

    def blocks() -> Iterator[Tensor]:
        for some, centre in zip(features.split(_COLUMNS, dim=1), mean.split(_COLUMNS), strict=True):
            yield some.double() - centre

    products = torch.zeros(len(features), len(features), dtype=torch.float64, device=features.device)
    for block in blocks():
        products += block @ block.T
    variances, vectors = _held(products, share)
    axes = features.new_empty(features.shape[1], len(variances))
    for own, block in zip(axes.split(_COLUMNS), blocks(), strict=True):
        own.copy_(block.T @ (vectors / variances.sqrt()))
    return axes


def _held(products: Tensor, share: float) -> tuple[Tensor, Tensor]:
    """The largest eigenvalues (k,) that make up this share of all, the fewest, and their vectors (m, k)."""
    variances, vectors = torch.linalg.eigh(products)
    # Ascending, and below 0 by rounding.
    variances, vectors = variances.flip(0).clamp(min=0), vectors.flip(1)
    total = variances.sum()
    held = int((variances.cumsum(0) < share * total).sum()) + 1 if total > 0 else 0
    return variances[:held], vectors[:, :held]


def _pooled(maps: Tensor, pool: int) -> Tensor:
    """Maps (n, C, H, W), averaged; cells that are left at the right and below make one more, so that none is unseen."""
    window = min(pool, maps.shape[2]), min(pool, maps.shape[3])
    return functional.avg_pool2d(maps, window, ceil_mode=True)


def _pooled_shape(shape: tuple[int, int, int], pool: int) -> tuple[int, int, int]:
    channels, height, width = shape
    return channels, -(-height // min(pool, height)), -(-width // min(pool, width))
