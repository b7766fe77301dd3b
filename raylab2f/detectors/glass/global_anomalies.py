"""Global anomalies: noisy nominal features pushed uphill against the discriminator and kept at a distance."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn

from raylab2f.detectors.glass.discriminator import LEAKY_SLOPE, Discriminator

__all__ = ["Ascent", "nominal_radius", "push_uphill", "truncate"]

_TINY = 1e-10


@dataclass(frozen=True)
class Ascent:
    """Settings of the gradient ascent.

    Arguments:
        steps: gradient steps.
        rate: length of a step.
        project_every: steps between truncated projections.
    """

    steps: int = 20
    rate: float = 0.001
    project_every: int = 5


def truncate(offsets: Tensor, low: Tensor | float, high: Tensor | float) -> Tensor:
    """Factors (N, 1) that bring the lengths of `offsets` (N, E) into [low, high] (truncated projection, equation 6)."""
    length = offsets.norm(dim=1, keepdim=True)
    return length.clamp(low, high) / (length + _TINY)


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
        climb = _Climb(discriminator, nominal, weight @ weight.T, ascent.rate)
        hidden = origin + offset @ weight.T
    for done in range(0, ascent.steps, ascent.project_every):
        count = min(ascent.project_every, ascent.steps - done)
        with torch.no_grad():
            hidden, walked = climb.walk(hidden, count)
            step = walked @ weight
        offset = offset + step
        if count == ascent.project_every:
            factor = truncate(offset, *bounds)
            offset = factor * offset
            with torch.no_grad():
                hidden = torch.lerp(origin, hidden, factor)
    return offset


class _Climb:
    """The ascent on hidden units. Nominal features take part through the batch's statistics only.

    All is kept relative to the nominal mean, around which sums of squares lose no digits.

    Arguments:
        discriminator: see `push_uphill`.
        nominal: (N, hidden).
        gram: (hidden, hidden), K.
        rate: length of a step.
    """

    def __init__(self, discriminator: Discriminator, nominal: Tensor, gram: Tensor, rate: float) -> None:
        self.norm = discriminator.norm
        self.tail = discriminator.tail.weight[0]
        self.gram = gram
        self.rate = rate
        rows, total = self._over_workers(nominal.new_full((), len(nominal)), nominal.sum(dim=0))
        self.mean = total / rows
        (self.squares,) = self._over_workers((nominal - self.mean).square().sum(dim=0))
        # As many anomalous features as nominal ones.
        self.rows = 2 * rows

    def walk(self, hidden: Tensor, steps: int) -> tuple[Tensor, Tensor]:
        """Hidden units after some steps, and the sum of the steps taken, as combinations (N, hidden) of W's rows."""
        relative = hidden - self.mean
        walked = torch.zeros_like(hidden)
        for _ in range(steps):
            gradient = self._gradient(relative)
            image = gradient @ self.gram
            length = torch.linalg.vecdot(gradient, image).clamp_(min=0).sqrt_()[:, None]
            # The published loss is a mean over rows, ours a sum: the guard against division by zero scales with them.
            length += _TINY / 2 * self.rows
            relative.addcdiv_(image, length, value=self.rate)
            walked.addcdiv_(gradient, length, value=self.rate)
        return relative + self.mean, walked

    def _gradient(self, relative: Tensor) -> Tensor:
        """Gradient (N, hidden) of the sum of -log(score) with respect to the anomalous features' hidden units."""
        norm, tail = self.norm, self.tail
        total, squares = self._over_workers(relative.sum(dim=0), relative.square().sum(dim=0))
        mean = total / self.rows
        variance = (self.squares + squares) / self.rows - mean.square()
        self._follow(mean, variance)
        scale = torch.rsqrt(variance + norm.eps)
        gain = scale * norm.weight
        activated = nn.functional.leaky_relu_(torch.addcmul(norm.bias - mean * gain, relative, gain), LEAKY_SLOPE)
        # d(-log sigmoid(l))/dl = -sigmoid(-l)
        outer = -torch.sigmoid(-(activated @ tail))
        # Back through the leaky ReLU: `outer` where it was open, a fifth of it elsewhere.
        through = torch.ops.aten.leaky_relu_backward(outer[:, None], activated, LEAKY_SLOPE, True)
        # Nominal rows have no gradient of their own but share the mean and the variance. With v the gradient of
        # a row's output of the batch norm, n its normalised input: (v - mean(v) - n mean(v n)) * gain.
        pull, turn = self._over_workers(through.sum(dim=0), outer @ activated)
        turn = tail * (turn - norm.bias * pull) / self.rows * scale.square()
        pull = tail * pull / self.rows * gain
        return torch.addcmul(mean * turn - pull, relative, -turn).addcmul_(through, tail * gain)

    def _follow(self, mean: Tensor, variance: Tensor) -> None:
        """Move the running statistics as a pass in training mode does."""
        norm = self.norm
        assert norm.running_mean is not None
        assert norm.running_var is not None
        assert norm.momentum is not None
        norm.running_mean.lerp_(self.mean + mean, norm.momentum)
        norm.running_var.lerp_(variance * (self.rows / (self.rows - 1)), norm.momentum)
        if norm.num_batches_tracked is not None:
            norm.num_batches_tracked += 1

    def _over_workers(self, *sums: Tensor) -> tuple[Tensor, ...]:
        """Sums over all workers where batch norm is synchronised, the worker's own elsewhere."""
        if not isinstance(self.norm, nn.SyncBatchNorm) or not dist.is_initialized():
            return sums
        joined = torch.cat([own.flatten() for own in sums])
        dist.all_reduce(joined, group=self.norm.process_group)
        return tuple(
            part.view_as(own) for part, own in zip(joined.split([own.numel() for own in sums]), sums, strict=True)
        )
