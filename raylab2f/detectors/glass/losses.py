"""The two losses of GLASS."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["bce_loss", "focal_loss"]

_GAMMA = 2
_SMOOTH = 1e-5


def bce_loss(true_scores: Tensor, global_scores: Tensor) -> Tensor:
    """Cross-entropy of nominal features against 0 plus that of global anomalies against 1 (equation 9)."""
    nominal = functional.binary_cross_entropy(true_scores, torch.zeros_like(true_scores))
    return nominal + functional.binary_cross_entropy(global_scores, torch.ones_like(global_scores))


def focal_loss(scores: Tensor, is_local: Tensor, hard_quantile: float) -> Tensor:
    """Focal loss of the patches of locally augmented pictures, mean over the hard ones (equations 8 and 10).

    Arguments:
        scores: (N,) probabilities of being anomalous.
        is_local: (N,) bool, which patches are.
        hard_quantile: share of the patches, those judged best, that do not count; 0: all count.
    """
    target = is_local.to(scores.dtype)
    right = torch.where(is_local, scores, 1 - scores)
    smoothed = right * (1 - _SMOOTH) + (1 - right) * _SMOOTH + _SMOOTH
    losses = -((1 - smoothed) ** _GAMMA) * smoothed.log()
    if hard_quantile <= 0:
        return losses.mean()
    error = (scores.detach() - target).square()
    hard = (error >= torch.quantile(error, hard_quantile)).to(scores.dtype)
    # A masked mean, not a selection: the number of hard patches stays on the device.
    return (losses * hard).sum() / hard.sum()
