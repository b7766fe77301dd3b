"""Patch features: neighbourhoods of several backbone levels, 3x3 as published, pooled to one length.

The publication unfolds every level into 3x3 neighbourhoods (nine times the memory), resizes these to the finest grid,
average-pools each neighbourhood to the embedding length and the concatenated levels once more. All of it is
linear, so it collapses into one convolution per level and one resize of the result. Pooling runs along
the channels, so an output reads few neighbouring channels, and the convolution splits into many small groups.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["PatchEmbedding"]


class PatchEmbedding(nn.Module):
    """Backbone levels to patch features on the first level's grid. It has no parameters and no state.

    References:
        Chen et al.: A Unified Anomaly Synthesis Strategy with Gradient Ascent for Industrial Anomaly Detection and
        Localization, ECCV 2024, section 3.1.

    Arguments:
        channels: of each level, finest first.
        length: of a patch feature.
        neighbourhood: odd height and width of what is pooled around a patch; 1: the patch alone.
    """

    def __init__(self, channels: Sequence[int], length: int, neighbourhood: int = 3) -> None:
        super().__init__()
        self.length, self.neighbourhood = length, neighbourhood
        #: Of each level, the entries of a patch feature that it contributes to; the others are not computed.
        self.filled: list[tuple[int, int]] = []
        self.groups: list[int] = []
        self._kernels: list[Tensor] = []
        # By device and type. Not buffers: the kernels stay exact however the detector is cast.
        self._cast: dict[tuple[torch.device, torch.dtype], list[Tensor]] = {}
        for level, count in enumerate(channels):
            low, weight = _pooled_twice(level, len(channels), count * neighbourhood**2, length)
            kernel, groups = _grouped(weight.view(-1, count, neighbourhood, neighbourhood))
            self.filled.append((low, low + len(weight)))
            self.groups.append(groups)
            self._kernels.append(kernel)

    @torch.no_grad()
    def forward(self, levels: Sequence[Tensor]) -> Tensor:
        """(B, C_l, H_l, W_l) levels to (B, H_0 * W_0, length) patch features, rows ordered row, column."""
        first = levels[0]
        size = first.shape[-2:]
        out = first.new_zeros((first.shape[0], *size, self.length))
        kernels = self._kernels_for(first)
        for (low, high), groups, kernel, features in zip(self.filled, self.groups, kernels, levels, strict=True):
            # Channels last: the order in which patch features are read afterwards, and faster on the CPU.
            features = features.contiguous(memory_format=torch.channels_last)
            patches = functional.conv2d(features, kernel, padding=self.neighbourhood // 2, groups=groups)
            if patches.shape[-2:] != size:
                patches = functional.interpolate(patches, size=size, mode="bilinear", align_corners=False)
            out[..., low:high] += patches.permute(0, 2, 3, 1)
        return out.flatten(1, 2)

    def _kernels_for(self, features: Tensor) -> list[Tensor]:
        key = (features.device, features.dtype)
        if key not in self._cast:
            self._cast[key] = [
                kernel.to(features.device, features.dtype).contiguous(memory_format=torch.channels_last)
                for kernel in self._kernels
            ]
        return self._cast[key]


def _pooled_twice(level: int, levels: int, inputs: int, length: int) -> tuple[int, Tensor]:
    """What a level's flattened neighbourhoods (inputs) contribute to a patch feature.

    They are pooled to `length`, concatenated with those of the other levels, and pooled to `length` again.

    Returns:
        The first entry of a patch feature that the level contributes to, and the weights of its inputs in this and the
        following entries, (R, inputs) in float64.
    """
    within = _pooling(inputs, length)
    over = _pooling(levels * length, length)
    first, last = level * length, (level + 1) * length
    filled = [row for row, (start, end) in enumerate(over) if start < last and end > first]
    weight = torch.zeros((len(filled), inputs), dtype=torch.float64)
    for row, entry in zip(weight, filled, strict=True):
        start, end = over[entry]
        for pooled in range(max(start, first), min(end, last)):
            low, high = within[pooled - first]
            row[low:high] += 1 / ((end - start) * (high - low))
    return filled[0], weight


def _pooling(inputs: int, outputs: int) -> list[tuple[int, int]]:
    """From where to where each output of an adaptive average pooling averages."""
    return [(i * inputs // outputs, -(-(i + 1) * inputs // outputs)) for i in range(outputs)]


def _grouped(kernel: Tensor) -> tuple[Tensor, int]:
    """A kernel (R, C, k, k) as that of a convolution of as many groups as its zeros allow: (R, C / groups, k, k)."""
    rows, channels = kernel.shape[:2]
    most = math.gcd(rows, channels)
    for groups in range(most, 0, -1):
        if most % groups:
            continue
        blocks = kernel.view(groups, rows // groups, groups, channels // groups, *kernel.shape[2:])
        own = torch.stack([blocks[group, :, group] for group in range(groups)])
        if own.count_nonzero() == kernel.count_nonzero():
            return own.flatten(0, 1).contiguous(), groups
    raise AssertionError("one group always holds the whole kernel")
