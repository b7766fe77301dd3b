"""The frozen features that a feature request asks for, of prepared pictures."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn import functional

from raylab2f.detectors.base import FeatureRequest
from raylab2f.detectors.precision import products_in
from raylab2f.features import Backbone, BackboneSpec

__all__ = ["backbone_features", "backbone_spec", "stored_features"]


@torch.inference_mode()
def backbone_features(backbone: Backbone, pictures: torch.Tensor, size: tuple[int, int]) -> list[torch.Tensor]:
    """Features of prepared pictures (n, H, W, 3), uint8, at the `size` of a feature request: (n, C, h, w) float32."""
    prepared = backbone.preprocess(pictures)
    if prepared.shape[-2:] != size:
        prepared = functional.interpolate(prepared, size, mode="bilinear", antialias=True)
    with products_in("float32"):
        return [feature.float() for feature in backbone(prepared)]


def stored_features(
    backbones: Sequence[Backbone], requests: Sequence[FeatureRequest], pictures: torch.Tensor, dtype: torch.dtype
) -> list[torch.Tensor]:
    """What a detector reads of prepared pictures (n, H, W, 3), uint8: float32 maps (n, C, h, w) of all requests.

    Arguments:
        backbones: of each request.
        dtype: in which features are stored; they pass through it, as in training and in a run's own scores.
    """
    return [
        maps.to(dtype).float()
        for backbone, request in zip(backbones, requests, strict=True)
        for maps in backbone_features(backbone, pictures, request.size)
    ]


def backbone_spec(request: FeatureRequest) -> BackboneSpec:
    """The backbone that computes a request's features."""
    return BackboneSpec(request.backbone, request.weights, request.layers)
