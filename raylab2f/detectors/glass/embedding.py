"""Patch features: 3x3 neighbourhoods of several backbone levels, pooled to one length.

The publication unfolds every level into 3x3 neighbourhoods (nine times the memory), resizes these to the finest grid,
average-pools each neighbourhood to the embedding length and the concatenated levels once more. All of it is
linear, so it collapses into one 3x3 convolution per level and one resize of the result.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["PatchEmbedding"]

_NEIGHBOURHOOD = 3


class PatchEmbedding(nn.Module):
    """Backbone levels to patch features on the first level's grid.

    References:
        Chen et al.: A Unified Anomaly Synthesis Strategy with Gradient Ascent for Industrial Anomaly Detection and
        Localization, ECCV 2024, section 3.1.

    Arguments:
        channels: of each level, finest first.
        length: of a patch feature.
    """

    def __init__(self, channels: Sequence[int], length: int) -> None:
        super().__init__()
        self.length = length
        self.rows: list[tuple[int, int]] = []
        pool = _average_pool_matrix(len(channels) * length, length)
        for level, count in enumerate(channels):
            own = pool[:, level * length : (level + 1) * length]
            weight = own @ _average_pool_matrix(count * _NEIGHBOURHOOD**2, length)
            # A level fills only some of the entries of a patch feature; the others are not computed.
            filled = torch.nonzero(weight.abs().sum(dim=1)).flatten()
            low, high = int(filled[0]), int(filled[-1]) + 1
            self.rows.append((low, high))
            kernel = weight[low:high].reshape(high - low, count, _NEIGHBOURHOOD, _NEIGHBOURHOOD)
            self.register_buffer(f"kernel{level}", kernel.float(), persistent=False)
            self.register_buffer(f"exact{level}", kernel, persistent=False)

    @torch.no_grad()
    def forward(self, levels: Sequence[Tensor]) -> Tensor:
        """(B, C_l, H_l, W_l) levels to (B, H_0 * W_0, length) patch features, rows ordered row, column."""
        first = levels[0]
        size = first.shape[-2:]
        out = first.new_zeros((len(first), self.length, *size))
        for level, ((low, high), features) in enumerate(zip(self.rows, levels, strict=True)):
            name = "exact" if features.dtype == torch.float64 else "kernel"
            kernel = self.get_buffer(f"{name}{level}").to(features.dtype)
            patches = functional.conv2d(features, kernel, padding=_NEIGHBOURHOOD // 2)
            if patches.shape[-2:] != size:
                patches = functional.interpolate(patches, size=size, mode="bilinear", align_corners=False)
            out[:, low:high] += patches
        return out.flatten(2).transpose(1, 2)


def _average_pool_matrix(inputs: int, outputs: int) -> Tensor:
    """Adaptive average pooling as a matrix (outputs, inputs), float64."""
    identity = torch.eye(inputs, dtype=torch.float64)[:, None]
    return functional.adaptive_avg_pool1d(identity, outputs)[:, 0].T.contiguous()
