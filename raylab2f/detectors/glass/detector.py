"""GLASS: a discriminator between nominal patch features and synthesised anomalies."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from raylab2f.detectors.base import Batch, Detector, FeatureRequest, Masks, Prediction, Samples, Step, to_device
from raylab2f.detectors.feature_scaling import FeatureScaling
from raylab2f.detectors.glass.config import GLASS_PRESETS, GlassConfig
from raylab2f.detectors.glass.discriminator import Discriminator, feature_adaptor
from raylab2f.detectors.glass.hypothesis import prefers_hypersphere
from raylab2f.detectors.glass.local_anomalies import draw_local_anomaly
from raylab2f.detectors.glass.textures import Textures
from raylab2f.detectors.glass.training_pass import Patches, TrainingPass, hypersphere_pass, manifold_pass
from raylab2f.detectors.image_score import score_of_map
from raylab2f.detectors.patch_embedding import PatchEmbedding
from raylab2f.detectors.smoothing import smooth_upsample
from raylab2f.errors import UserError
from raylab2f.seeding import numpy_generator, torch_seed

__all__ = ["Glass"]

_CHUNK = 64


@dataclass(frozen=True)
class _Overlays:
    """What is laid over the pictures of a batch, on the host; see `LocalAnomaly`.

    Arguments:
        masks: (B, H, W) bool.
        textures: (B, H, W, 3) uint8.
        shares: (B,) float32, of the textures where the masks are true.
        patches: (B, P) bool.
    """

    masks: Tensor
    textures: Tensor
    shares: Tensor
    patches: Tensor


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
        self.grid = (feature_shapes[0][1], feature_shapes[0][2])
        self.embedding = PatchEmbedding([shape[0] for shape in feature_shapes], config.embedding)
        self.scaling = FeatureScaling(config.feature_scaling, config.embedding, config.feature_norm)
        self.adaptor = feature_adaptor(config.embedding, generator)
        self.discriminator = Discriminator(config.embedding, config.hidden, generator)
        self.hypersphere = config.hypothesis == "hypersphere"
        self.center: Tensor | None = None
        self._mean_patches: Tensor | None = None
        self._textures: Textures | None = None
        self._foregrounds: Masks | None = None
        # In a tuple, so that the frozen backbone is no part of the parameters and of the state.
        self._backbone = (backbone,)

    @classmethod
    def feature_requests(cls, config: GlassConfig) -> tuple[FeatureRequest, ...]:
        """One request for all levels."""
        return (FeatureRequest(config.backbone, config.weights, config.layers, config.size),)

    def begin(self, samples: Samples, seed: int) -> dict[str, Any]:
        """Average the nominal patch features, find the textures, and choose the hypothesis if that is left to the data.

        Raises:
            UserError: no textures, or nominal pictures whose foreground mask is empty.
        """
        (backbone,) = self._backbone
        if backbone is not None:
            backbone.to(samples.device)
        self.scaling.fit(self.embedding(portion.features).flatten(0, 1) for portion in samples.portions(_CHUNK))
        # Embedding and scaling are affine: that of the mean is the mean of all.
        self._mean_patches = self.embed([level[None].to(samples.dtype) for level in samples.mean_features()])[0]
        if self.config.hypothesis == "spectrogram":
            mean = samples.mean_picture()
            assert mean is not None, "the hypothesis is decided by the pictures"
            # Fractions are cut off as published.
            self.hypersphere = prefers_hypersphere(mean.to(torch.uint8).cpu().numpy())
        if samples.picture_size is not None:
            self._textures = Textures(self.config.textures, samples.picture_size)
        if (masks := samples.foreground_masks()) is not None:
            self._foregrounds, empty = masks
            if empty:
                raise UserError(
                    f"{empty} of the {len(samples)} training pictures have an empty foreground mask, so no defect can "
                    "be imitated on them; mend these masks or leave the foreground masks out."
                )
        return {"hypothesis": "hypersphere" if self.hypersphere else "manifold"}

    def begin_epoch(self, samples: Samples, epoch: int) -> None:
        """The centre: the mean adapted feature of each patch position.

        The adaptor is affine, so it is the adapted mean, and the pictures need not pass the backbone again.
        """
        assert self._mean_patches is not None, "begin comes first"
        with torch.no_grad():
            self.center = self.adaptor(self._mean_patches)

    def prepare(self, rows: Tensor, step: Step) -> _Overlays:
        """Draw the local anomalies."""
        assert self._textures is not None, "begin comes first"
        config = self.config
        anomalies = [
            draw_local_anomaly(
                None if self._foregrounds is None else self._foregrounds[row],
                self._textures,
                self.grid,
                # By the picture's place in the data set, not in the batch: the number of workers does not matter.
                numpy_generator(step.seed, "local", step.epoch, row),
                transparency_mean=config.transparency_mean,
                transparency_std=config.transparency_std,
            )
            for row in rows.tolist()
        ]
        return _Overlays(
            _stacked([anomaly.mask for anomaly in anomalies]),
            _stacked([anomaly.texture for anomaly in anomalies]),
            torch.tensor([1 - anomaly.share for anomaly in anomalies], dtype=torch.float32),
            _stacked([anomaly.patches for anomaly in anomalies]).flatten(1),
        )

    def optimizers(self) -> list[torch.optim.Optimizer]:
        """Adam for the adaptor, AdamW for the discriminator (section 4.1)."""
        config, adaptor, discriminator = self.config, self.adaptor.parameters(), self.discriminator.parameters()
        return [
            torch.optim.Adam(adaptor, lr=config.adaptor_rate, weight_decay=config.adaptor_decay, fused=True),
            torch.optim.AdamW(
                discriminator, lr=config.discriminator_rate, weight_decay=config.discriminator_decay, fused=True
            ),
        ]

    def forward(self, batch: Batch, step: Step) -> Tensor:
        """The loss of a batch with anomalies synthesised for it.

        Where several workers share a batch, the hard patches and the hypersphere's radius are quantiles of each
        worker's own patches.
        """
        return self.training_pass(self.synthesise(batch, step)).loss

    def synthesise(self, batch: Batch, step: Step) -> Patches:
        """Embedded patches of a batch, of the same pictures with local anomalies, and the noise for global ones."""
        true = self.embed(batch.features)
        local, is_local = self._local_anomalies(batch, step, true.dtype)
        noise = self._noise(batch, step, true)
        return Patches(true.flatten(0, 1), local.flatten(0, 1), is_local.flatten(), noise.flatten(0, 1))

    def training_pass(self, patches: Patches) -> TrainingPass:
        """Losses and scores, by the hypothesis decided on."""
        if not self.hypersphere:
            return manifold_pass(self.adaptor, self.discriminator, patches, self.config)
        assert self.center is not None, "begin_epoch comes first"
        center = self.center.repeat(len(patches.true) // len(self.center), 1)
        return hypersphere_pass(self.adaptor, self.discriminator, patches, center, self.config)

    def embed(self, levels: Sequence[Tensor]) -> Tensor:
        """Backbone levels to patch features (B, P, E), before the adaptor."""
        return self.scaling(self.embedding(levels))

    @torch.no_grad()
    def predict(self, batch: Batch) -> Prediction:
        """Map: the discriminator's output at each patch; image score: its maximum, or what the configuration asks."""
        hidden = self.discriminator.adapt_and_hide(self.adaptor, self.embed(batch.features).flatten(0, 1))
        maps = self.discriminator.judge(hidden).view(batch.count, *self.grid)
        return Prediction(score_of_map(maps, self.config.image_score), maps)

    def upsample(self, maps: Tensor, size: tuple[int, int]) -> Tensor:
        """Bilinear, then a Gaussian."""
        return smooth_upsample(maps, size, self.config.smoothing_sigma)

    def _noise(self, batch: Batch, step: Step, true: Tensor) -> Tensor:
        """Gaussian noise (B, P, E) for the batch's rows, cut out of that of the global batch."""
        seed = torch_seed(step.seed, "noise", step.epoch, step.index)
        generator = torch.Generator(device=true.device).manual_seed(seed)
        shape = (step.global_size, *true.shape[1:])
        noise = torch.randn(shape, generator=generator, device=true.device, dtype=true.dtype)
        return noise[step.offset : step.offset + len(batch)] * self.config.noise_std

    def _local_anomalies(self, batch: Batch, step: Step, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Embedded features of the pictures with local anomalies, and where these are."""
        (backbone,) = self._backbone
        assert backbone is not None, "training needs the backbone"
        assert batch.pictures is not None, "training needs pictures"
        device = batch.pictures.device
        overlays: _Overlays = batch.prepared or self.prepare(batch.rows, step)
        preprocess = cast(Callable[[Tensor], Tensor], backbone.preprocess)
        short = torch.autocast(device.type, torch.bfloat16, enabled=self.config.precision == "bfloat16")
        with torch.no_grad():
            weights = (to_device(overlays.masks, device) * to_device(overlays.shares, device)[:, None, None])[..., None]
            changed = torch.lerp(batch.pictures.float(), to_device(overlays.textures, device).float(), weights)
            normalised = preprocess(changed)
            with short:
                levels = backbone(normalised)
            embedded = self.embed([level.to(dtype) for level in levels])
        return embedded, to_device(overlays.patches, device)


def _stacked(arrays: Sequence[NDArray[Any]]) -> Tensor:
    return torch.from_numpy(np.stack(arrays))
