"""Gradient ascent of global anomalies on the discriminator's hidden units."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn

from raylab2f.detectors.glass.discriminator import LEAKY_SLOPE, Discriminator

__all__ = ["TINY", "Ascent", "Climb"]

#: Guard against division by zero.
TINY = 1e-10


@dataclass(frozen=True)
class Ascent:
    """Settings of the gradient ascent.

    Arguments:
        steps: gradient steps.
        rate: length of a step.
        project_every: steps between truncated projections.
        product_dtype: shorter type of the operands of the ascent's matrix product; `None`: that of the features.
    """

    steps: int = 20
    rate: float = 0.001
    project_every: int = 5
    product_dtype: torch.dtype | None = None


class Climb:
    """The ascent on hidden units. Nominal features take part through the batch's statistics only.

    All is kept relative to the nominal mean, around which sums of squares lose no digits.

    Arguments:
        discriminator: see `push_uphill`.
        nominal: (N, hidden).
        gram: (hidden, hidden), K.
        ascent: settings.
    """

    def __init__(self, discriminator: Discriminator, nominal: Tensor, gram: Tensor, ascent: Ascent) -> None:
        self.norm = discriminator.norm
        self.tail = discriminator.tail.weight.detach()[0]
        self.dtype = ascent.product_dtype or gram.dtype
        self.gram = gram.to(self.dtype)
        self.rate = ascent.rate
        rows, total = self._over_workers(nominal.new_full((), len(nominal)), nominal.sum(dim=0))
        self.mean = total / rows
        (self.squares,) = self._over_workers((nominal - self.mean).square().sum(dim=0))
        # As many anomalous features as nominal ones.
        self.rows = 2 * rows

    @property
    def synchronised(self) -> bool:
        """Whether batch statistics are those of several workers."""
        return isinstance(self.norm, nn.SyncBatchNorm) and dist.is_initialized()

    def walk(self, hidden: Tensor, steps: int) -> tuple[Tensor, Tensor]:
        """Hidden units after some steps, and the sum of the steps taken, as combinations (N, hidden) of W's rows."""
        relative = hidden - self.mean
        walked = torch.zeros_like(hidden)
        for _ in range(steps):
            gradient = self._gradient(relative)
            image = (gradient.to(self.dtype) @ self.gram).to(gradient.dtype)
            length = torch.linalg.vecdot(gradient, image).clamp_(min=0).sqrt_()[:, None]
            # The published loss is a mean over rows, ours a sum: the guard against division by zero scales with them.
            length += TINY / 2 * self.rows
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
        if not self.synchronised:
            return sums
        assert isinstance(self.norm, nn.SyncBatchNorm)
        joined = torch.cat([own.flatten() for own in sums])
        dist.all_reduce(joined, group=self.norm.process_group)
        return tuple(
            part.view_as(own) for part, own in zip(joined.split([own.numel() for own in sums]), sums, strict=True)
        )
