"""Patch features brought to a known scale, in which a detector's lengths mean the same for any backbone."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from raylab2f.detectors.moments import moments
from raylab2f.errors import UserError

__all__ = ["SCALINGS", "FeatureScaling", "check_feature_scaling"]

SCALINGS = ("none", "uniform", "whitened")

# Of the mean variance; directions in which nominal features hardly vary are not blown up beyond it.
_LEAST_VARIANCE = 1e-2


def check_feature_scaling(kind: str) -> None:
    """`UserError` unless `kind` is one of `SCALINGS`."""
    if kind not in SCALINGS:
        raise UserError(f"--set feature_scaling={kind}: choose one of {', '.join(SCALINGS)}.")


class FeatureScaling(nn.Module):
    """Features (N, E) minus the nominal mean, times a matrix; their nominal distance from 0 is `norm` afterwards.

    Arguments:
        kind: `none`: as they are; `uniform`: all directions alike; `whitened`: each direction by its own deviation.
        length: E.
        norm: root of the mean square of nominal features' distances from their mean, afterwards.
    """

    mean: Tensor
    matrix: Tensor

    def __init__(self, kind: str, length: int, norm: float) -> None:
        super().__init__()
        check_feature_scaling(kind)
        self.kind, self.norm = kind, norm
        if kind != "none":
            self.register_buffer("mean", torch.zeros(length))
            # A number where all directions are alike, which spares a product.
            self.register_buffer("matrix", torch.ones(()) if kind == "uniform" else torch.eye(length))

    @torch.no_grad()
    def fit(self, portions: Iterable[Tensor]) -> None:
        """Measure nominal features, (n, E) at a time, in float64."""
        if self.kind == "none":
            return
        mean, scatter, count = moments(portion[None] for portion in portions)
        self.mean.copy_(mean[0])
        self.matrix.copy_(self._matrix(scatter[0] / count))

    def forward(self, features: Tensor) -> Tensor:
        """(..., E) scaled."""
        if self.kind == "none":
            return features
        centred = features - self.mean
        return centred * self.matrix if self.matrix.ndim == 0 else centred @ self.matrix

    def _matrix(self, covariance: Tensor) -> Tensor:
        variance = covariance.trace()
        if variance <= 0:
            return torch.ones_like(variance) if self.kind == "uniform" else torch.eye(len(covariance)).to(covariance)
        if self.kind == "uniform":
            return self.norm / variance.sqrt()
        values, vectors = torch.linalg.eigh(covariance)
        values = values.clamp(min=0) + _LEAST_VARIANCE * variance / len(covariance)
        whitening = (vectors / values.sqrt()) @ vectors.T
        after = (whitening @ covariance @ whitening).trace()
        return whitening * (self.norm / after.sqrt())
