"""Anomaly maps from patch scores, as published: bilinear upsampling, then a Gaussian."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["smooth_upsample"]

_TRUNCATE = 4.0


def smooth_upsample(maps: Tensor, size: tuple[int, int], sigma: float) -> Tensor:
    """(B, h, w) maps to (B, *size), blurred like `scipy.ndimage.gaussian_filter` (reflected border, cut at 4 sigma)."""
    upsampled = functional.interpolate(maps[:, None], size=size, mode="bilinear", align_corners=False)
    radius = int(_TRUNCATE * sigma + 0.5)
    offsets = torch.arange(-radius, radius + 1, dtype=maps.dtype, device=maps.device)
    kernel = torch.exp(-0.5 * (offsets / sigma) ** 2)
    kernel = kernel / kernel.sum()
    for axis in (2, 3):
        upsampled = _blur(upsampled, kernel, axis, radius)
    return upsampled[:, 0]


def _blur(maps: Tensor, kernel: Tensor, axis: int, radius: int) -> Tensor:
    # scipy's "reflect" repeats the border pixel, torch's does not; an index also serves maps smaller than the radius.
    length = maps.shape[axis]
    index = torch.arange(-radius, length + radius, device=maps.device) % (2 * length)
    index = torch.where(index < length, index, 2 * length - 1 - index)
    padded = maps.index_select(axis, index)
    return functional.conv2d(padded, kernel.view(1, 1, -1, 1) if axis == 2 else kernel.view(1, 1, 1, -1))
