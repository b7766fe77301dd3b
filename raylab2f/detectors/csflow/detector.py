"""CS-Flow: the likelihood of multi-scale features under a normalizing flow."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from raylab2f.detectors.base import Batch, Detector, FeatureRequest, Prediction, Samples, Step
from raylab2f.detectors.csflow.config import CSFLOW_PRESETS, CSFlowConfig
from raylab2f.detectors.csflow.flow import cross_scale_flow
from raylab2f.detectors.image_score import score_of_map
from raylab2f.errors import UserError
from raylab2f.seeding import torch_seed

__all__ = ["CSFlow"]

_SCALES = 3


class CSFlow(Detector):
    """Features of a picture at three sizes are mapped to a normal distribution; unlikely ones are anomalous.

    References:
        Rudolph, Wehrbein, Rosenhahn, Wandt: Fully Convolutional Cross-Scale-Flows for Image-based Defect Detection,
        WACV 2022.

    Arguments:
        config: see `CSFlowConfig`.
        feature_shapes: (C, H, W) of the three scales, finest first, each half as high and wide as the one before.
        backbone: not used; features come from the store.

    Example:
        >>> detector = CSFlow(CSFlowConfig(hidden_channels=8), [(4, 8, 8), (4, 4, 4), (4, 2, 2)])
        >>> maps = [torch.zeros(2, 4, size, size) for size in (8, 4, 2)]
        >>> detector.predict(Batch(torch.arange(2), maps)).maps.shape
        torch.Size([2, 8, 8])
    """

    name = "csflow"
    config_class = CSFlowConfig
    presets = CSFLOW_PRESETS
    scores_are_likelihoods = True

    def __init__(
        self,
        config: CSFlowConfig,
        feature_shapes: Sequence[tuple[int, int, int]],
        backbone: nn.Module | None = None,
    ) -> None:
        super().__init__(config, feature_shapes, backbone)
        self.check_shapes(config, feature_shapes)
        self.flow = cross_scale_flow(
            feature_shapes,
            hidden_channels=config.hidden_channels,
            kernel_sizes=config.kernel_sizes,
            clamp=config.clamp,
            generator=torch.Generator().manual_seed(torch_seed(config.init_seed, "csflow")),
        )

    @classmethod
    def feature_requests(cls, config: CSFlowConfig) -> tuple[FeatureRequest, ...]:
        """One request per scale: the picture at its full, half and quarter size."""
        height, width = config.size
        return tuple(
            FeatureRequest(config.backbone, config.weights, config.layers, (height >> scale, width >> scale))
            for scale in range(_SCALES)
        )

    @classmethod
    def check_shapes(cls, config: CSFlowConfig, shapes: Sequence[tuple[int, int, int]]) -> None:
        """Three maps, each exactly half the size of the one before, of at least two channels."""
        sizes = [shape[1:] for shape in shapes]
        halves = all(
            coarse == (fine[0] // 2, fine[1] // 2) and fine[0] % 2 == fine[1] % 2 == 0
            for fine, coarse in pairwise(sizes)
        )
        if len(shapes) != _SCALES or not halves:
            height, width = config.size
            raise UserError(
                f"--size {height}x{width}: CS-Flow needs three feature maps, each half the size of the one before, but "
                f"gets {', '.join(f'{h}x{w}' for h, w in sizes)}; choose a height and width that are multiples of four "
                "times the layer's stride, such as 64, 128 or 256 for stride 16."
            )
        if shapes[0][0] < 2:
            raise UserError(f"--layers {','.join(config.layers)}: CS-Flow needs at least 2 channels.")

    @classmethod
    def gives_likelihoods(cls, config: CSFlowConfig) -> bool:
        """With the published image score."""
        return config.image_score == "mean"

    def begin(self, samples: Samples, seed: int) -> dict[str, Any]:
        """Nothing to decide. On a GPU the parameters are laid out as its convolutions read them."""
        if samples.device.type == "cuda":
            self.to(memory_format=torch.channels_last)
        return {}

    def optimizers(self) -> list[torch.optim.Optimizer]:
        """Adam over all parameters (section 4.2)."""
        config = self.config
        return [
            torch.optim.Adam(
                self.parameters(),
                lr=config.learning_rate,
                eps=config.adam_eps,
                weight_decay=config.weight_decay,
                fused=True,
            )
        ]

    def forward(self, batch: Batch, step: Step | None = None) -> Tensor:
        """Negative log-likelihood per latent dimension, without its constant (equation 6), mean over pictures."""
        with torch.autocast(batch.features[0].device.type, torch.bfloat16, enabled=self.config.precision == "bfloat16"):
            z, log_determinant = self.latent(batch.features)
        dimensions = sum(scale[0].numel() for scale in z)
        energy = sum(scale.pow(2).sum(dim=(1, 2, 3)) for scale in z)
        return ((0.5 * energy - log_determinant) / dimensions).mean()

    def latent(self, features: Sequence[Tensor]) -> tuple[list[Tensor], Tensor]:
        """Latent maps, of the shapes of `features`, and the log-determinants (B,)."""
        # The graph is a chain. FrEIA's own walk along it makes zeros on the host at every node, and the device waits.
        z, log_determinant = [_channels_last(x) for x in features], features[0].new_zeros(features[0].shape[0])
        for block in self.flow.module_list:
            z, change = block(z)
            log_determinant = log_determinant + change
        return z, log_determinant

    def inverse(self, z: Sequence[Tensor]) -> list[Tensor]:
        """The features that `latent` maps to `z`."""
        features, _ = self.flow(list(z), rev=True)
        return list(features)

    @torch.no_grad()
    def predict(self, batch: Batch) -> Prediction:
        """Image score: mean of z²/2 over all latent dimensions, or what the configuration asks of the map.

        The map is the mean over the scales of their maps (mean over channels of z²), coarser ones brought to the
        finest grid: a defect of any size shows, and no scale outweighs the others.
        """
        z, _ = self.latent(batch.features)
        total = sum(scale.pow(2).sum(dim=(1, 2, 3)) for scale in z)
        dimensions = sum(scale[0].numel() for scale in z)
        assert isinstance(total, Tensor)
        finest = (z[0].shape[-2], z[0].shape[-1])
        maps = torch.stack([_resize(scale.pow(2).mean(dim=1), finest) for scale in z]).mean(dim=0)
        if self.config.image_score != "mean":
            return Prediction(score_of_map(maps, self.config.image_score), maps)
        return Prediction(0.5 * total / dimensions, maps)

    def upsample(self, maps: Tensor, size: tuple[int, int]) -> Tensor:
        """Bilinear."""
        return _resize(maps, size)


def _channels_last(x: Tensor) -> Tensor:
    """On a GPU, where tensor cores and bilinear interpolation need it: the latter took 58 % of a step without."""
    return x.contiguous(memory_format=torch.channels_last) if x.is_cuda else x


def _resize(maps: Tensor, size: tuple[int, int]) -> Tensor:
    return functional.interpolate(maps[:, None], size=size, mode="bilinear", align_corners=False)[:, 0]
