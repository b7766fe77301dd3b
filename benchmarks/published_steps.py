"""The training steps of CS-Flow and GLASS as published, in plain torch, to compare speed with.

Written from the publications' equations and structured as the authors' public code is: a step begins with a batch in
the host's memory, works in the parameters' type, evaluates every term where it is used, and reads its figures at once.
In float64 it reproduces the reference values (`parity_values.py`), so what is timed is the right thing.

References:
    Rudolph, Wehrbein, Rosenhahn, Wandt: Fully Convolutional Cross-Scale-Flows for Image-based Defect Detection, WACV
    2022. Chen, Luo, Lv, Zhang: A Unified Anomaly Synthesis Strategy with Gradient Ascent for Industrial Anomaly
    Detection and Localization, ECCV 2024.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from torch import Tensor, nn
from torch.nn import functional

from raylab2f.detectors.csflow import CSFlowConfig
from raylab2f.detectors.glass import GlassConfig

__all__ = ["GlassRecord", "PublishedCSFlow", "PublishedGlass"]

Array = NDArray[np.floating]
_SCALES = 3
_TINY = 1e-10


class _Conditioner(nn.Module):
    """CS-Flow's network between the scales (section 3.2, Figure 3)."""

    def __init__(self, inputs: int, outputs: int, hidden: int, kernel: int) -> None:
        super().__init__()

        def convolution(first: int, last: int, stride: int = 1) -> nn.Conv2d:
            return nn.Conv2d(first, last, kernel, stride=stride, padding=kernel // 2)

        self.conv_scale0_0 = convolution(inputs, hidden)
        self.conv_scale1_0 = convolution(inputs, hidden)
        self.conv_scale2_0 = convolution(inputs, hidden)
        self.conv_scale0_1 = convolution(hidden, outputs)
        self.conv_scale1_1 = convolution(hidden, outputs)
        self.conv_scale2_1 = convolution(hidden, outputs)
        self.up_conv10 = convolution(hidden, outputs)
        self.up_conv21 = convolution(hidden, outputs)
        self.down_conv01 = convolution(hidden, outputs, stride=2)
        self.down_conv12 = convolution(hidden, outputs, stride=2)
        self.gamma0 = nn.Parameter(torch.zeros(1))
        self.gamma1 = nn.Parameter(torch.zeros(1))
        self.gamma2 = nn.Parameter(torch.zeros(1))
        self.activation = nn.LeakyReLU(0.1)
        self.upsample = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False)

    def forward(self, fine: Tensor, middle: Tensor, coarse: Tensor) -> list[Tensor]:
        fine = self.activation(self.conv_scale0_0(fine))
        middle = self.activation(self.conv_scale1_0(middle))
        coarse = self.activation(self.conv_scale2_0(coarse))
        out0 = self.conv_scale0_1(fine) + self.up_conv10(self.upsample(middle))
        out1 = self.conv_scale1_1(middle) + self.down_conv01(fine) + self.up_conv21(self.upsample(coarse))
        out2 = self.conv_scale2_1(coarse) + self.down_conv12(middle)
        return [out0 * self.gamma0, out1 * self.gamma1, out2 * self.gamma2]


class _Block(nn.Module):
    """Permute the channels of each scale, then couple their halves (section 3.1; clamp: clamp * 0.636 * atan)."""

    def __init__(self, channels: int, hidden: int, kernel: int, clamp: float) -> None:
        super().__init__()
        self.clamp, self.split = clamp, channels // 2
        self.s1 = _Conditioner(self.split, 2 * (channels - self.split), hidden, kernel)
        self.s2 = _Conditioner(channels - self.split, 2 * self.split, hidden, kernel)
        for scale in range(_SCALES):
            self.register_buffer(f"permutation{scale}", torch.arange(channels))

    def forward(self, maps: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        maps = [x[:, self.get_buffer(f"permutation{scale}")] for scale, x in enumerate(maps)]
        first, second = [x[:, : self.split] for x in maps], [x[:, self.split :] for x in maps]
        said2 = self.s2(*second)
        first = [self._scale(r, x) * x + self._shift(r, x) for r, x in zip(said2, first, strict=True)]
        said1 = self.s1(*first)
        second = [self._scale(r, x) * x + self._shift(r, x) for r, x in zip(said1, second, strict=True)]
        out = [torch.clamp(torch.cat(pair, dim=1), -1e6, 1e6) for pair in zip(first, second, strict=True)]
        determinants = [
            self._log_scale(r1, b).sum(dim=(1, 2, 3)) + self._log_scale(r2, a).sum(dim=(1, 2, 3))
            for r1, r2, a, b in zip(said1, said2, first, second, strict=True)
        ]
        return out, determinants

    def _log_scale(self, said: Tensor, half: Tensor) -> Tensor:
        return self.clamp * 0.636 * torch.atan(said[:, : half.shape[1]] / self.clamp)

    def _scale(self, said: Tensor, half: Tensor) -> Tensor:
        return torch.exp(self._log_scale(said, half))

    def _shift(self, said: Tensor, half: Tensor) -> Tensor:
        return said[:, half.shape[1] :]


class PublishedCSFlow(nn.Module):
    """The flow, its training step and its scores.

    Arguments:
        config: sizes and rates.
        channels: of the three maps.
        state: `CSFlow.state_dict()`, whose values it takes over.
    """

    def __init__(self, config: CSFlowConfig, channels: int, state: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.max_norm = config.schedule.max_grad_norm
        self.blocks = nn.ModuleList(
            _Block(channels, config.hidden_channels, kernel, config.clamp) for kernel in config.kernel_sizes
        )
        own = {}
        for key, value in state.items():
            index, rest = key.removeprefix("flow.module_list.").split(".", 1)
            own[f"blocks.{int(index) // 2}.{rest}"] = value
        first = next(iter(state.values()))
        kind = next(value.dtype for value in state.values() if value.is_floating_point())
        self.to(first.device, kind).load_state_dict(own)
        self.optimizer = torch.optim.Adam(
            self.parameters(), lr=config.learning_rate, eps=config.adam_eps, weight_decay=config.weight_decay
        )

    def forward(self, maps: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """Latent maps, and the log-determinants (B,) of each scale."""
        z, totals = list(maps), [maps[0].new_zeros(len(maps[0])) for _ in range(_SCALES)]
        for block in self.blocks:
            z, determinants = block(z)
            totals = [total + new for total, new in zip(totals, determinants, strict=True)]
        return z, totals

    @staticmethod
    def loss(z: Sequence[Tensor], determinants: Sequence[Tensor]) -> Tensor:
        """Mean over the batch of 0.5 * |z|² - log|det J|, per dimension (equation 6)."""
        flat = torch.cat([scale.reshape(len(scale), -1) for scale in z], dim=1)
        total = torch.stack(list(determinants)).sum(dim=0)
        return torch.mean(0.5 * torch.sum(flat**2, dim=1) - total) / flat.shape[1]

    def step(self, maps: Sequence[Tensor], device: torch.device) -> tuple[float, float]:
        """One step on maps in the host's memory; the loss and the gradient's norm before it is clipped."""
        self.optimizer.zero_grad()
        z, determinants = self([x.to(device) for x in maps])
        loss = self.loss(z, determinants)
        value = float(loss.cpu().detach().numpy())
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self.parameters(), math.inf if self.max_norm is None else self.max_norm)
        self.optimizer.step()
        return value, norm.item()

    @torch.no_grad()
    def scores(self, maps: Sequence[Tensor]) -> tuple[Array, list[Array]]:
        """Image scores (section 3.3): mean of z²/2 over all dimensions; and each scale's map, mean of z²."""
        z, determinants = self(maps)
        self.loss(z, determinants)
        flat = torch.cat([scale.flatten(2) for scale in z], dim=2).cpu().numpy()
        return np.mean(flat**2 / 2, axis=(1, 2)), [torch.mean(scale**2, dim=1).cpu().numpy() for scale in z]


@dataclass(frozen=True)
class GlassRecord:
    """What a step saw: discriminator inputs and outputs of its last pass, the two losses, figures for a log."""

    true_features: Tensor
    global_anomalies: Tensor
    fake_features: Tensor
    scores_true: Tensor
    scores_global: Tensor
    scores_local: Tensor
    bce_loss: Tensor
    focal_loss: Tensor
    figures: dict[str, float]


class PublishedGlass(nn.Module):
    """Adaptor and discriminator, the training step and the scores.

    Arguments:
        config: sizes, rates and the hypothesis.
        backbone: normalised pictures (B, 3, H, W) to maps, finest first.
        state: `Glass.state_dict()`, whose values it takes over.
        center: (P, E) mean adapted feature of each patch position.
        generator: draws the noise on its own device; in the authors' code that is the host.
    """

    def __init__(
        self,
        config: GlassConfig,
        backbone: Callable[[Tensor], Sequence[Tensor]],
        state: Mapping[str, Tensor],
        center: Tensor,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.config, self.center, self.generator = config, center, generator
        self._backbone = (backbone,)
        self.adaptor = nn.Linear(config.embedding, config.embedding)
        self.body = nn.Sequential(
            nn.Linear(config.embedding, config.hidden), nn.BatchNorm1d(config.hidden), nn.LeakyReLU(0.2)
        )
        self.tail = nn.Sequential(nn.Linear(config.hidden, 1, bias=False), nn.Sigmoid())
        names = {"discriminator.hidden.": "body.0.", "discriminator.norm.": "body.1.", "discriminator.tail.": "tail.0."}
        own = {}
        for key, value in state.items():
            if not key.startswith("scaling."):
                old = next((old for old in names if key.startswith(old)), "")
                own[names.get(old, "") + key.removeprefix(old)] = value
        first = state["adaptor.weight"]
        self.to(first.device, first.dtype).load_state_dict(own)
        self.adaptor_optimizer = torch.optim.Adam(
            self.adaptor.parameters(), lr=config.adaptor_rate, weight_decay=config.adaptor_decay
        )
        self.discriminator_optimizer = torch.optim.AdamW(
            [*self.body.parameters(), *self.tail.parameters()],
            lr=config.discriminator_rate,
            weight_decay=config.discriminator_decay,
        )

    def discriminate(self, features: Tensor) -> Tensor:
        """(N, E) to (N, 1) in (0, 1)."""
        out: Tensor = self.tail(self.body(features))
        return out

    @torch.no_grad()
    def embed(self, pictures: Tensor) -> Tensor:
        """Patch features (B * P, E): 3x3 neighbourhoods, resized to the finest grid, pooled twice (section 3.1)."""
        levels = self._backbone[0](pictures)
        grid = levels[0].shape[-2:]
        pooled = []
        for level in levels:
            count, channels, height, width = level.shape
            patches = functional.unfold(level, 3, padding=1).reshape(count, channels * 9, height, width)
            if (height, width) != tuple(grid):
                patches = functional.interpolate(patches, size=grid, mode="bilinear", align_corners=False)
            rows = patches.permute(0, 2, 3, 1).reshape(-1, 1, channels * 9)
            pooled.append(functional.adaptive_avg_pool1d(rows, self.config.embedding)[:, 0])
        together = torch.stack(pooled, dim=1).flatten(1)[:, None]
        return functional.adaptive_avg_pool1d(together, self.config.embedding)[:, 0]

    def step(self, pictures: Tensor, changed: Tensor, mask: Tensor, noise: Tensor | None = None) -> GlassRecord:
        """One step on a batch in the host's memory.

        Arguments:
            pictures: (B, 3, H, W) nominal, normalised.
            changed: the same with local anomalies.
            mask: (B, h, w) 1 where a patch was changed.
            noise: (N, E); `None`: drawn.
        """
        config = self.config
        kind, device = self.adaptor.weight.dtype, self.adaptor.weight.device
        self.discriminator_optimizer.zero_grad()
        self.adaptor_optimizer.zero_grad()
        fake = self.adaptor(self.embed(changed.to(kind).to(device)))
        true = self.adaptor(self.embed(pictures.to(kind).to(device)))
        mask = mask.reshape(-1, 1).to(device)
        if noise is None:
            drawn = torch.randn(true.shape, generator=self.generator, device=self.generator.device, dtype=kind)
            noise = drawn * config.noise_std
        moved = true + noise.to(device)
        center = self.center.repeat(len(pictures), 1)
        is_local = mask[:, 0] == 1
        nominal = torch.cat([fake[~is_local], true])
        nominal_radius = torch.quantile(
            torch.norm(nominal - torch.cat([center[~is_local], center]), dim=1), config.radius_quantile
        ).detach()
        sphere = config.hypothesis == "hypersphere"
        bounds = (nominal_radius, 2 * nominal_radius) if sphere else config.bounds
        global_radius = torch.zeros(())
        for step in range(config.ascent_steps + 1):
            scores_true, scores_global = self.discriminate(torch.cat([true, moved])).split(len(true))
            global_loss = nn.BCELoss()(scores_global, torch.ones_like(scores_global))
            bce_loss = nn.BCELoss()(scores_true, torch.zeros_like(scores_true)) + global_loss
            if step == config.ascent_steps:
                break
            (gradient,) = torch.autograd.grad(global_loss, [moved])
            with torch.no_grad():
                # Equation 5; the step is no part of the graph.
                moved += config.ascent_rate * gradient / (torch.norm(gradient, dim=1, keepdim=True) + _TINY)
            if (step + 1) % config.project_every == 0:
                global_radius = torch.quantile(torch.norm(moved - center, dim=1), config.radius_quantile)
                origin = center if sphere else true
                moved = origin + _truncated(moved - origin, *bounds)
        local_radius = torch.quantile(torch.norm((fake - center)[is_local], dim=1), config.radius_quantile)
        if sphere:
            far = center[is_local] + _truncated((fake - center)[is_local], 2 * nominal_radius, 4 * nominal_radius)
            fake = fake.index_put((is_local,), far)
        scores_local = self.discriminate(fake)
        focal = self._focal_loss(scores_local, mask.to(kind))
        loss = bce_loss + focal
        loss.backward()
        self.adaptor_optimizer.step()
        self.discriminator_optimizer.step()
        figures = {"loss": loss, "r_t": nominal_radius, "r_g": global_radius, "r_f": local_radius}
        figures |= self._rates(scores_true.detach(), scores_global.detach(), scores_local.detach(), mask)
        read = {name: value.detach().cpu().item() for name, value in figures.items()}
        return GlassRecord(true, moved, fake, scores_true, scores_global, scores_local, bce_loss, focal, read)

    @torch.no_grad()
    def scores(self, pictures: Tensor) -> tuple[Array, Array]:
        """Image scores, the maximum over patches, and maps (B, P)."""
        device = self.adaptor.weight.device
        patches = self.discriminate(self.adaptor(self.embed(pictures.to(self.adaptor.weight.dtype).to(device))))
        maps = patches.reshape(len(pictures), -1)
        return maps.max(dim=1).values.cpu().numpy(), maps.cpu().numpy()

    def smoothed(self, maps: Array, grid: tuple[int, int], size: tuple[int, int]) -> Array:
        """Maps (B, P) upsampled bilinearly to the picture's size, then a Gaussian (section 3.5)."""
        small = torch.from_numpy(maps).reshape(len(maps), 1, *grid)
        large = functional.interpolate(small, size=size, mode="bilinear", align_corners=False)[:, 0].numpy()
        return np.stack([gaussian_filter(one, sigma=self.config.smoothing_sigma) for one in large])

    def _focal_loss(self, scores: Tensor, mask: Tensor) -> Tensor:
        """Of the patches that are judged worst (equations 8 and 10); targets smoothed by 1e-5, gamma 2."""
        if self.config.hard_quantile > 0:
            error = (scores - mask) ** 2
            hard = error >= torch.quantile(error, self.config.hard_quantile)
            scores, mask = scores[hard].unsqueeze(1), mask[hard].unsqueeze(1)
        both = torch.cat([1 - scores, scores], dim=1)
        target = torch.zeros_like(both).scatter_(1, mask.long(), 1).clamp(1e-5, 1 - 1e-5)
        right = (target * both).sum(dim=1) + 1e-5
        return (-((1 - right) ** 2) * torch.log(right)).mean()

    @staticmethod
    def _rates(true: Tensor, moved: Tensor, local: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """Share of nominal and of anomalous patches on the right side of 0.5, as the authors' code logs them."""
        nominal = torch.cat([local * (1 - mask), true])
        anomalous = torch.cat([local * mask, moved])
        rejected = (nominal < 0.5).sum() - (nominal == 0).sum()
        return {
            "p_true": rejected / ((mask == 0).sum() + len(true)),
            "p_fake": (anomalous >= 0.5).sum() / ((mask == 1).sum() + len(moved)),
        }


def _truncated(offset: Tensor, low: Tensor | float, high: Tensor | float) -> Tensor:
    """Truncated projection (equation 6): the offsets' lengths brought into [low, high]."""
    length = torch.norm(offset, dim=1, keepdim=True)
    return length.clamp(low, high) / (length + _TINY) * offset
