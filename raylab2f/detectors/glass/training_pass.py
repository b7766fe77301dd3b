"""The pass through GLASS's networks that gives the training loss of a batch."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from raylab2f.detectors.glass.climb import Ascent
from raylab2f.detectors.glass.config import GlassConfig
from raylab2f.detectors.glass.discriminator import Discriminator
from raylab2f.detectors.glass.global_anomalies import nominal_radius, push_uphill, truncate
from raylab2f.detectors.glass.losses import bce_loss, focal_loss

__all__ = ["Patches", "TrainingPass", "hypersphere_pass", "manifold_pass"]


@dataclass(frozen=True)
class Patches:
    """The patches of a batch.

    Arguments:
        true: (N, E) embedded patch features of nominal pictures, before the adaptor.
        local: (N, E) of the same pictures with local anomalies.
        is_local: (N,) bool, the patches that were changed.
        noise: (N, E), added to adapted nominal features.
    """

    true: Tensor
    local: Tensor
    is_local: Tensor
    noise: Tensor


@dataclass(frozen=True)
class TrainingPass:
    """What the discriminator makes of nominal features, global and local anomalies, each (N,), and the two losses.

    Arguments:
        offset: (N, E) adapted features of the global anomalies, seen from the adapted nominal feature (manifold) or
            from the centre (hypersphere).
    """

    offset: Tensor
    scores_true: Tensor
    scores_global: Tensor
    scores_local: Tensor
    bce_loss: Tensor
    focal_loss: Tensor

    @property
    def loss(self) -> Tensor:
        """The training loss, a scalar (equation 11)."""
        return self.bce_loss + self.focal_loss


def manifold_pass(
    adaptor: nn.Linear, discriminator: Discriminator, patches: Patches, config: GlassConfig
) -> TrainingPass:
    """Nominal features lie on a manifold; anomalies keep a distance from the nominal feature they come from.

    Adapted features are needed as differences only, so the adaptor and the discriminator's first layer act as one.
    """
    true = discriminator.adapt_and_hide(adaptor, patches.true)
    nominal = true.detach()
    offset = push_uphill(discriminator, nominal, nominal, patches.noise, config.bounds, _ascent(config))
    anomalies = true + offset @ discriminator.hidden.weight.T
    local = discriminator.adapt_and_hide(adaptor, patches.local)
    return _judged(discriminator, offset, true, anomalies, local, patches.is_local, config)


def hypersphere_pass(
    adaptor: nn.Linear, discriminator: Discriminator, patches: Patches, center: Tensor, config: GlassConfig
) -> TrainingPass:
    """Nominal features lie in a hypersphere; anomalies keep a distance from its centre.

    Arguments:
        center: (N, E) the centre of each patch's position.
    """
    true, local = adaptor(patches.true), adaptor(patches.local)
    radius = nominal_radius(true, local, patches.is_local, center, config.radius_quantile)
    with torch.no_grad():
        nominal, origin = discriminator.hidden(true), discriminator.hidden(center)
    start = true + patches.noise - center
    offset = push_uphill(discriminator, nominal, origin, start, (radius, 2 * radius), _ascent(config))
    local_offset = local - center
    far = center + truncate(local_offset, 2 * radius, 4 * radius) * local_offset
    local = torch.where(patches.is_local[:, None], far, local)
    hide = discriminator.hidden
    return _judged(discriminator, offset, hide(true), hide(center + offset), hide(local), patches.is_local, config)


def _judged(
    discriminator: Discriminator,
    offset: Tensor,
    true: Tensor,
    anomalies: Tensor,
    local: Tensor,
    is_local: Tensor,
    config: GlassConfig,
) -> TrainingPass:
    """The pass from hidden units on. Nominal features and global anomalies share a batch of the batch norm."""
    scores_true, scores_global = discriminator.judge(torch.cat([true, anomalies])).chunk(2)
    scores_local = discriminator.judge(local)
    return TrainingPass(
        offset=offset,
        scores_true=scores_true,
        scores_global=scores_global,
        scores_local=scores_local,
        bce_loss=bce_loss(scores_true, scores_global),
        focal_loss=focal_loss(scores_local, is_local, config.hard_quantile),
    )


def _ascent(config: GlassConfig) -> Ascent:
    short = config.precision == "bfloat16"
    return Ascent(config.ascent_steps, config.ascent_rate, config.project_every, torch.bfloat16 if short else None)
