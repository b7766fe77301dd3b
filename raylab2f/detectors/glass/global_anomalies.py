"""Global anomalies: noisy nominal features pushed uphill against the discriminator and kept at a distance."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from raylab2f.detectors.glass.discriminator import LEAKY_SLOPE, Discriminator

__all__ = ["Ascent", "nominal_radius", "push_uphill", "truncated_projection"]

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


def truncated_projection(points: Tensor, origin: Tensor, low: Tensor | float, high: Tensor | float) -> Tensor:
    """Move `points` (N, E) along the line from their `origin` so that the distance lies in [low, high] (equation 6)."""
    offset = points - origin
    distance = offset.norm(dim=1, keepdim=True)
    return origin + (distance.clamp(low, high) / (distance + _TINY)) * offset


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
    true: Tensor,
    start: Tensor,
    origin: Tensor,
    bounds: tuple[Tensor | float, Tensor | float],
    ascent: Ascent,
) -> Tensor:
    """Gradient ascent with truncated projection (section 3.3, equations 4 to 6).

    The ascent follows the normalised gradient of the loss that calls a feature anomalous. It needs that gradient with
    respect to the features only, through a network of one hidden layer, so it is written out: with W the hidden
    layer's weight, u = W x + b its output and d the loss's gradient with respect to u, the feature's gradient is d W. A
    step of length a changes u by a d W Wᵀ / |d W|, and |d W|² = d W Wᵀ dᵀ: with K = W Wᵀ the ascent runs on hidden units
    alone and returns to feature space only to be projected. Batch statistics are those of nominal and
    anomalous features together, as in the discriminator's own pass; its running statistics follow.

    Arguments:
        discriminator: in training mode; its parameters get no gradient from here.
        true: (N, E) nominal features.
        start: (N, E) noisy nominal features, with their graph.
        origin: (N, E) from where distances are measured: the nominal features or the centre.
        bounds: smallest and largest distance from the origin.
        ascent: settings.

    Returns:
        (N, E) features whose graph goes through the projections, not through the ascent's steps.
    """
    features = start
    weight = discriminator.hidden.weight.detach()
    gram = weight @ weight.T
    with torch.no_grad():
        nominal = _Moments.of(discriminator.hidden(true))
    done = 0
    while done < ascent.steps:
        count = min(ascent.project_every, ascent.steps - done)
        with torch.no_grad():
            hidden = discriminator.hidden(features)
            # The published loss is a mean over rows, ours a sum: the guard against division by zero scales with them.
            walked = torch.zeros_like(hidden)
            for _ in range(count):
                slope = _hidden_gradient(discriminator, hidden, nominal)
                image = slope @ gram
                length = (slope * image).sum(dim=1, keepdim=True).clamp(min=0).sqrt() + _TINY * len(slope)
                hidden.addcdiv_(image, length, value=ascent.rate)
                walked.addcdiv_(slope, length, value=ascent.rate)
            step = walked @ weight
        features = features + step
        done += count
        if done % ascent.project_every == 0:
            features = truncated_projection(features, origin, *bounds)
    return features


@dataclass(frozen=True)
class _Moments:
    """Mean and sum of squared deviations of `count` rows, per column."""

    count: int
    mean: Tensor
    squares: Tensor

    @classmethod
    def of(cls, rows: Tensor) -> _Moments:
        mean = rows.mean(dim=0)
        return cls(len(rows), mean, (rows - mean).square().sum(dim=0))

    def joined(self, other: _Moments) -> _Moments:
        """Moments of both sets of rows (Chan, Golub & LeVeque 1979)."""
        count = self.count + other.count
        shift = other.mean - self.mean
        mean = self.mean + shift * (other.count / count)
        squares = self.squares + other.squares + shift.square() * (self.count * other.count / count)
        return _Moments(count, mean, squares)


def _hidden_gradient(discriminator: Discriminator, hidden: Tensor, nominal: _Moments) -> Tensor:
    """Gradient of the sum of -log(score) with respect to the anomalous features' hidden units, up to a factor.

    Arguments:
        hidden: (N, hidden) of the anomalous features.
        nominal: moments of the nominal features' hidden units, which share the batch.
    """
    norm = discriminator.norm
    batch = nominal.joined(_Moments.of(hidden))
    variance = batch.squares / batch.count
    _follow(norm, batch)
    scale = torch.rsqrt(variance + norm.eps)
    normed = (hidden - batch.mean) * scale
    activated = normed * norm.weight + norm.bias
    positive = activated > 0
    tail = discriminator.tail.weight[0]
    logit = torch.where(positive, activated, LEAKY_SLOPE * activated) @ tail
    # d(-log sigmoid(l))/dl = sigmoid(l) - 1
    outer = (torch.sigmoid(logit) - 1)[:, None] * torch.where(positive, tail, LEAKY_SLOPE * tail) * norm.weight
    # Nominal rows have no gradient of their own but share the mean and the variance.
    mean = outer.sum(dim=0) / batch.count
    slope = (outer * normed).sum(dim=0) / batch.count
    return (outer - mean - normed * slope) * scale


def _follow(norm: torch.nn.BatchNorm1d, batch: _Moments) -> None:
    """Move the running statistics as a pass in training mode does."""
    momentum = norm.momentum
    assert norm.running_mean is not None and norm.running_var is not None and momentum is not None
    norm.running_mean.lerp_(batch.mean, momentum)
    norm.running_var.lerp_(batch.squares / (batch.count - 1), momentum)
    if norm.num_batches_tracked is not None:
        norm.num_batches_tracked += 1
