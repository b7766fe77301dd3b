"""Nearest neighbours in a memory of patches, and PatchCore's image score."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["nearest", "reweighted"]

# Entries of a block of squared distances, at most.
_ENTRIES = 1 << 24
# Rows of the memory that a traced graph compares with at once.
_TRACED = 1 << 12


def nearest(patches: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
    """Distances (N,) of patches (N, D) to the nearest row of `memory` (M, D), M > 0, and that row (N,), int64.

    The row is found by a matrix product around the memory's mean; its distance is then computed from differences, so
    that it keeps all digits and does not depend on how many patches are asked for together.
    """
    center = memory.mean(dim=0)
    centred = memory - center
    squares = centred.square().sum(dim=1)
    if torch.compiler.is_compiling():
        found = _traceable_rows(patches - center, centred, squares)
        return (patches - memory[found]).norm(dim=1), found
    rows = [
        # A patch's own square is the same for all rows.
        torch.addmm(squares, portion - center, centred.T, alpha=-2).argmin(dim=1)
        for portion in patches.split(max(1, _ENTRIES // len(memory)))
    ]
    found = torch.cat(rows) if rows else torch.empty(0, dtype=torch.int64, device=patches.device)
    return (patches - memory[found]).norm(dim=1), found


def reweighted(patches: Tensor, distances: Tensor, rows: Tensor, memory: Tensor, neighbours: int) -> Tensor:
    """Image scores (B,): distances times one minus the softmax of the nearest row's among its neighbours (equation 7).

    Where the nearest row has few others beside it, it is rare among nominal patches itself, and the score is higher.

    Arguments:
        patches: (B, D), the most anomalous patch of each picture.
        distances, rows: (B,), their nearest rows of the memory, and how far these are.
        memory: (M, D).
        neighbours: b, rows of the memory around the nearest one, itself included; 1: the distances as they are.
    """
    count = min(neighbours, len(memory))
    if count < 2:
        return distances
    own = memory[rows]
    if torch.compiler.is_compiling():
        # Other runtimes have no `cdist`.
        distant = torch.cat([(own[:, None] - part).norm(dim=2) for part in memory.split(_TRACED)], dim=1)
    else:
        distant = torch.cdist(own, memory, compute_mode="donot_use_mm_for_euclid_dist")
    around = distant.topk(count, largest=False).indices
    spread = (patches[:, None] - memory[around]).norm(dim=2)
    # exp(d) / sum(exp(d_i)), where distances of some ten would overflow.
    return distances * (1 - torch.exp(distances - spread.logsumexp(dim=1)))


def _traceable_rows(patches: Tensor, memory: Tensor, squares: Tensor) -> Tensor:
    """The nearest rows (N,) where a graph is traced: portions of the memory, for N is not known then.

    Arguments:
        patches: (N, D), around the memory's mean as `memory` (M, D) is.
        squares: (M,) of its lengths.
    """
    best: Tensor | None = None
    found = torch.zeros((), dtype=torch.int64)
    for start in range(0, len(memory), _TRACED):
        own = slice(start, start + _TRACED)
        values, rows = torch.addmm(squares[own], patches, memory[own].T, alpha=-2).min(dim=1)
        if best is None:
            best, found = values, rows
        else:
            # Of equal ones the first, as above.
            found = torch.where(values < best, rows + start, found)
            best = torch.minimum(best, values)
    return found
