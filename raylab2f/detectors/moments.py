"""Mean and scatter of features that come in portions."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

__all__ = ["moments"]


@torch.no_grad()
def moments(portions: Iterable[Tensor]) -> tuple[Tensor, Tensor, int]:
    """Of each group of features, in float64.

    Arguments:
        portions: (G, n, D) features; n may differ from portion to portion.

    Returns:
        (G, D) mean; (G, D, D) sum of the products of deviations from it; number of features of a group.

    Raises:
        ValueError: there are no portions.
    """
    origin: Tensor | None = None
    count = 0
    for portion in portions:
        features = portion.double()
        if origin is None:
            # Around a first portion's mean, sums of squares lose no digits.
            origin = features.mean(dim=1, keepdim=True)
            total = torch.zeros_like(origin)
            squares = origin.new_zeros(len(origin), origin.shape[2], origin.shape[2])
        centred = features - origin
        total += centred.sum(dim=1, keepdim=True)
        squares += centred.transpose(1, 2) @ centred
        count += features.shape[1]
    if origin is None:
        raise ValueError("there are no features")
    shift = total / count
    # In place, for there may be many groups.
    return (origin + shift)[:, 0], squares.sub_(count * shift.transpose(1, 2) * shift), count
