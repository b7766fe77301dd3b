"""Greedy coresets: the farthest point first, exactly, many points to a matrix product."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["candidate_bytes", "greedy_coreset", "random_projection"]

# So many of the farthest points are looked at together.
_BLOCK = 256


def greedy_coreset(points: Tensor, count: int, first: int = 0) -> Tensor:
    """Rows of `points` such that each is the farthest from those before it (algorithm 1 of the PatchCore paper).

    One distance from a new row to all points after another would be bound by memory. A point's distance to the rows
    chosen can only shrink, so as long as the farthest of a block of the farthest points is farther than all outside
    were before, it is the farthest of all: the block is chosen from by its own distances, and all points are compared
    with the rows chosen in one matrix product. The order is that of one row at a time.

    References:
        Roth, Pemula, Zepeda, Schölkopf, Brox, Gehler: Towards Total Recall in Industrial Anomaly Detection, CVPR 2022.

    Arguments:
        points: (N, D), floating.
        count: rows to choose, at most N.
        first: the row that is chosen first.

    Returns:
        (count,) int64, in the order chosen; in that of the points, if all are.
    """
    if count == len(points):
        return torch.arange(count, device=points.device)
    # Around their mean, squared distances from products lose few digits.
    points = points - points.mean(dim=0)
    squares = points.square().sum(dim=1)
    chosen = [first]
    nearest = _squared_distances(points, squares, points[[first]], squares[[first]])[:, 0]
    nearest[first] = -1
    while len(chosen) < count:
        size = min(_BLOCK, len(points))
        bound, block = nearest.topk(min(size + 1, len(points)))
        outside = float(bound[size]) if len(bound) > size else -1.0
        block = block[:size]
        within = _squared_distances(points[block], squares[block], points[block], squares[block])
        own = nearest[block].clone()
        taken: list[int] = []
        while len(chosen) + len(taken) < count:
            farthest = int(own.argmax())
            if taken and float(own[farthest]) < outside:
                break
            taken.append(farthest)
            own = torch.minimum(own, within[:, farthest])
            own[farthest] = -1
        new = block[taken]
        chosen += new.tolist()
        nearest = torch.minimum(nearest, _squared_distances(points, squares, points[new], squares[new]).amin(dim=1))
        nearest[new] = -1
    return torch.tensor(chosen, device=points.device)


def candidate_bytes(length: int) -> int:
    """Bytes that a point (length,) takes in `greedy_coreset`: itself, centred, and two distances to each of a block."""
    return 2 * 4 * length + 2 * 4 * _BLOCK


def random_projection(length: int, projected: int, generator: torch.Generator) -> Tensor:
    """(length, projected): Gaussian, so that squared distances are kept in the mean (Johnson and Lindenstrauss)."""
    return torch.randn(length, projected, generator=generator) / projected**0.5


def _squared_distances(points: Tensor, squares: Tensor, others: Tensor, other_squares: Tensor) -> Tensor:
    """(N, M), not below 0."""
    return torch.addmm(squares[:, None] + other_squares, points, others.T, alpha=-2).clamp_(min=0)
