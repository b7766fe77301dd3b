"""Global anomalies: noisy nominal features pushed uphill against the discriminator and kept at a distance."""

from __future__ import annotations

import torch
from torch import Tensor

from raylab2f.detectors.glass.climb import TINY, Ascent, Climb
from raylab2f.detectors.glass.discriminator import Discriminator
from raylab2f.detectors.glass.recorded_walk import walk_recorded

__all__ = ["nominal_radius", "push_uphill", "truncate"]


def truncate(offsets: Tensor, low: Tensor | float, high: Tensor | float) -> Tensor:
    """Factors (N, 1) that bring the lengths of `offsets` (N, E) into [low, high] (truncated projection, equation 6)."""
    length = offsets.norm(dim=1, keepdim=True)
    return length.clamp(low, high) / (length + TINY)


def nominal_radius(true: Tensor, local: Tensor, is_local: Tensor, center: Tensor, quantile: float) -> Tensor:
    """Radius of the hypersphere of nominal features: a quantile of their distances to the centre, no gradient.

    Arguments:
        true, local: (N, E) nominal features and features of locally augmented pictures.
        is_local: (N,) bool, where the augmentation changed the picture; the other rows of `local` are nominal.
        center: (N, E).
    """
    with torch.no_grad():
        untouched = (local - center).norm(dim=1).masked_fill(is_local, torch.nan)
        return torch.nanquantile(torch.cat([untouched, (true - center).norm(dim=1)]), quantile)


def push_uphill(
    discriminator: Discriminator,
    nominal: Tensor,
    origin: Tensor,
    offset: Tensor,
    bounds: tuple[Tensor | float, Tensor | float],
    ascent: Ascent,
) -> Tensor:
    """Gradient ascent with truncated projection (section 3.3, equations 4 to 6).

    The ascent follows the normalised gradient of the loss that calls a feature anomalous. It needs that gradient with
    respect to the features only, through a network of one hidden layer, so it is written out: with W the hidden
    layer's weight, u = W x + b its output and d the loss's gradient with respect to u, the feature's gradient is d W. A
    step of length a changes u by a d W Wᵀ / |d W|, and |d W|² = d W Wᵀ dᵀ: with K = W Wᵀ the ascent runs on hidden
    units alone and returns to feature space only to be projected, a shift along a line in hidden units as well. Batch
    statistics are those of nominal and anomalous features together, as in the discriminator's own pass; its
    running statistics follow.

    Arguments:
        discriminator: in training mode; its parameters get no gradient from here.
        nominal: (N, hidden) hidden units of nominal features, no graph.
        origin: (N, hidden) those of the points from which distances are measured, no graph.
        offset: (N, E) where the features start, seen from their origins; may have a graph.
        bounds: smallest and largest distance from the origin.
        ascent: settings.

    Returns:
        (N, E) where the features end, seen from their origins. The graph goes through the projections, not
        through the ascent's steps, as published.
    """
    weight = discriminator.hidden.weight.detach()
    with torch.no_grad():
        climb = Climb(discriminator, nominal, weight @ weight.T, ascent)
        hidden = origin + offset @ weight.T
    for done in range(0, ascent.steps, ascent.project_every):
        count = min(ascent.project_every, ascent.steps - done)
        with torch.no_grad():
            hidden, walked = walk_recorded(climb, hidden, count)
            step = walked @ weight
        offset = offset + step
        if count == ascent.project_every:
            factor = truncate(offset, *bounds)
            offset = factor * offset
            with torch.no_grad():
                hidden = torch.lerp(origin, hidden, factor)
    return offset
