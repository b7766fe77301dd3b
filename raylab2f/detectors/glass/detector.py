"""GLASS: a discriminator between nominal patch features and synthesised anomalies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from raylab2f.detectors.base import Batch, Detector, FeatureRequest, Prediction, Samples, Step
from raylab2f.detectors.glass.config import GLASS_PRESETS, GlassConfig
from raylab2f.detectors.glass.discriminator import Discriminator, feature_adaptor
from raylab2f.detectors.glass.embedding import PatchEmbedding
from raylab2f.detectors.glass.global_anomalies import Ascent, nominal_radius, push_uphill, truncated_projection
from raylab2f.detectors.glass.hypothesis import prefers_hypersphere
from raylab2f.detectors.glass.local_anomalies import make_local_anomaly
from raylab2f.detectors.glass.losses import bce_loss, focal_loss
from raylab2f.detectors.glass.smoothing import smooth_upsample
from raylab2f.detectors.glass.textures import Textures
from raylab2f.seeding import numpy_generator, torch_seed

__all__ = ["Glass"]

_CHUNK = 64
# Distances that global anomalies keep from the nominal feature they come from (manifold hypothesis).
_MANIFOLD_BOUNDS = (0.5, 1.0)


class Glass(Detector):
    """Tell nominal patches from global anomalies (pushed features) and local ones (overlaid textures).

    References:
        Chen, Luo, Lv, Zhang: A Unified Anomaly Synthesis Strategy with Gradient Ascent for Industrial Anomaly Detection
        and Localization, ECCV 2024.

    Arguments:
        config: see `GlassConfig`.
        feature_shapes: (C, H, W) of the backbone levels, finest first.
        backbone: a frozen module with `preprocess` that turns pictures into these levels; needed to train only.
    """

    name = "glass"
    config_class = GlassConfig
    presets = GLASS_PRESETS
    trains_on_pictures = True

    def __init__(
        self,
        config: GlassConfig,
        feature_shapes: Sequence[tuple[int, int, int]],
        backbone: nn.Module | None = None,
    ) -> None:
        super().__init__(config, feature_shapes, backbone)
        generator = torch.Generator().manual_seed(torch_seed(config.init_seed, "glass"))
        self.grid = feature_shapes[0][1:]
        self.embedding = PatchEmbedding([shape[0] for shape in feature_shapes], config.embedding)
        self.adaptor = feature_adaptor(config.embedding, generator)
        self.discriminator = Discriminator(config.embedding, config.hidden, generator)
        self.hypersphere = config.hypothesis == "hypersphere"
        self.center: Tensor | None = None
        self._mean_patches: Tensor | None = None
        self._textures: Textures | None = None
        # In a tuple, so that the frozen backbone is no part of the parameters and of the state.
        self._backbone = (backbone,)

    @classmethod
    def feature_requests(cls, config: GlassConfig) -> tuple[FeatureRequest, ...]:
        """One request for all levels."""
        return (FeatureRequest(config.backbone, config.weights, config.layers, config.size),)

    def begin(self, samples: Samples, seed: int) -> dict[str, Any]:
        """Average the nominal patch features, and decide for a hypothesis if that is left to the data."""
        chunks = torch.arange(len(samples)).split(_CHUNK)
        total = sum(self.embed(samples.batch(rows).features).double().sum(dim=0) for rows in chunks)
        assert isinstance(total, Tensor)
        self._mean_patches = (total / len(samples)).to(samples.dtype)
        if self.config.hypothesis == "auto":
            self.hypersphere = prefers_hypersphere(_mean_picture(samples))
        return {"hypothesis": "hypersphere" if self.hypersphere else "manifold"}

    def begin_epoch(self, samples: Samples, epoch: int) -> None:
        """The centre: the mean adapted feature of each patch position.

        The adaptor is affine, so it is the adapted mean, and the pictures need not pass the backbone again.
        """
        assert self._mean_patches is not None, "begin comes first"
        with torch.no_grad():
            self.center = self.adaptor(self._mean_patches)

    def optimizers(self) -> list[torch.optim.Optimizer]:
        """Adam for the adaptor, AdamW for the discriminator (section 4.1)."""
        config = self.config
        return [
            torch.optim.Adam(self.adaptor.parameters(), lr=config.adaptor_rate, weight_decay=config.adaptor_decay),
            torch.optim.AdamW(
                self.discriminator.parameters(), lr=config.discriminator_rate, weight_decay=config.discriminator_decay
            ),
        ]

    def forward(self, batch: Batch, step: Step) -> Tensor:
        """The loss of a batch with synthesised anomalies drawn for it."""
        true = self.embed(batch.features)
        local, is_local = self._local_anomalies(batch, step, true.dtype)
        noise = self._noise(batch, step, true)
        return self.loss(true, local, is_local, noise)

    def loss(self, true: Tensor, local: Tensor, is_local: Tensor, noise: Tensor) -> Tensor:
        """The training loss (equation 11).

        Arguments:
            true: (B, P, E) embedded patch features of nominal pictures.
            local: (B, P, E) of the same pictures with local anomalies.
            is_local: (B, P) bool, the patches that were changed.
            noise: (B * P, E), added to adapted nominal features.
        """
        parts = self.loss_parts(true, local, is_local, noise)
        return parts["bce_loss"] + parts["focal_loss"]

    def loss_parts(self, true: Tensor, local: Tensor, is_local: Tensor, noise: Tensor) -> dict[str, Tensor]:
        """What `loss` adds up, with the discriminator's inputs and outputs on the way."""
        config = self.config
        assert self.center is not None, "begin_epoch comes first"
        changed = is_local.flatten()
        local_features = self.adaptor(local).flatten(0, 1)
        true_features = self.adaptor(true).flatten(0, 1)
        center = self.center.repeat(len(true), 1)
        origin, bounds = true_features, _MANIFOLD_BOUNDS
        if self.hypersphere:
            radius = nominal_radius(true_features, local_features, changed, center, config.radius_quantile)
            origin, bounds = center, (radius, 2 * radius)
            far = truncated_projection(local_features, center, 2 * radius, 4 * radius)
            local_features = torch.where(changed[:, None], far, local_features)
        anomalies = push_uphill(
            self.discriminator,
            true_features,
            true_features + noise,
            origin,
            bounds,
            Ascent(config.ascent_steps, config.ascent_rate, config.project_every),
        )
        true_scores, global_scores = self.discriminator(torch.cat([true_features, anomalies])).chunk(2)
        local_scores = self.discriminator(local_features)
        return {
            "true_features": true_features,
            "global_anomalies": anomalies,
            "fake_features": local_features,
            "scores_true": true_scores,
            "scores_global": global_scores,
            "scores_local": local_scores,
            "bce_loss": bce_loss(true_scores, global_scores),
            "focal_loss": focal_loss(local_scores, changed, config.hard_quantile),
        }

    def embed(self, levels: Sequence[Tensor]) -> Tensor:
        """Backbone levels to patch features (B, P, E), before the adaptor."""
        return self.embedding(levels)

    @torch.no_grad()
    def predict(self, batch: Batch) -> Prediction:
        """Map: the discriminator's output at each patch; image score: its maximum."""
        features = self.adaptor(self.embed(batch.features))
        maps = self.discriminator(features.flatten(0, 1)).view(len(features), *self.grid)
        return Prediction(maps.flatten(1).amax(dim=1), maps)

    def upsample(self, maps: Tensor, size: tuple[int, int]) -> Tensor:
        """Bilinear, then a Gaussian."""
        return smooth_upsample(maps, size, self.config.smoothing_sigma)

    def _noise(self, batch: Batch, step: Step, true: Tensor) -> Tensor:
        """Gaussian noise for the batch's rows, cut out of that of the global batch."""
        seed = torch_seed(step.seed, "noise", step.epoch, step.index)
        generator = torch.Generator(device=true.device).manual_seed(seed)
        shape = (step.global_size, *true.shape[1:])
        noise = torch.randn(shape, generator=generator, device=true.device, dtype=true.dtype) * self.config.noise_std
        return noise[step.offset : step.offset + len(batch)].flatten(0, 1)

    def _local_anomalies(self, batch: Batch, step: Step, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Embedded features of the pictures with local anomalies, and where these are."""
        (backbone,) = self._backbone
        assert backbone is not None and batch.pictures is not None, "training needs the backbone and pictures"
        config = self.config
        pictures = batch.pictures.cpu().numpy()
        foregrounds = None if batch.foregrounds is None else batch.foregrounds.cpu().numpy()
        if self._textures is None:
            self._textures = Textures(config.textures, pictures.shape[1:3])
        anomalies = [
            make_local_anomaly(
                picture,
                None if foregrounds is None else foregrounds[number],
                self._textures,
                self.grid,
                # By the picture's place in the data set, not in the batch: the number of workers does not matter.
                numpy_generator(step.seed, "local", step.epoch, int(row)),
                transparency_mean=config.transparency_mean,
                transparency_std=config.transparency_std,
            )
            for number, (picture, row) in enumerate(zip(pictures, batch.rows.tolist(), strict=True))
        ]
        device = batch.pictures.device
        changed = torch.from_numpy(np.stack([anomaly.picture for anomaly in anomalies])).to(device)
        masks = torch.from_numpy(np.stack([anomaly.mask for anomaly in anomalies])).to(device)
        with torch.no_grad():
            backbone = backbone.to(device)
            levels = [level.to(dtype) for level in backbone(backbone.preprocess(changed))]  # type: ignore[operator]
        return self.embed(levels), masks.flatten(1)


def _mean_picture(samples: Samples) -> np.ndarray:
    """Mean training picture, (H, W, 3) uint8, fractions cut off as published."""
    assert samples.pictures is not None
    chunks = samples.pictures.split(_CHUNK)
    total = sum(chunk.sum(dim=0, dtype=torch.int64) for chunk in chunks)
    assert isinstance(total, Tensor)
    return (total // len(samples)).to(torch.uint8).cpu().numpy()
