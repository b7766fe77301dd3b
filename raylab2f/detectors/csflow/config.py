"""CS-Flow's settings and presets."""

from __future__ import annotations

from dataclasses import dataclass

from raylab2f.detectors.base import Schedule
from raylab2f.detectors.image_score import check_image_score
from raylab2f.detectors.precision import check_precision
from raylab2f.detectors.ranges import WIDEST, require_epochs, require_range
from raylab2f.errors import UserError

__all__ = ["CSFLOW_PRESETS", "CSFlowConfig"]

# Pixels of the finest map that a convolution sees at once along a side, at most.
_WIDEST_KERNEL = 31
_PAPER_SCHEDULE = Schedule(epochs=240, batch_size=16, max_grad_norm=1.0)


@dataclass(frozen=True)
class CSFlowConfig:
    """Settings of CS-Flow; defaults are the publication's.

    What differs from the published code: smaller scales are averaged (antialiased bilinear), where it takes the nearest
    pixel, which aliases; features pass through the feature store's type, float16 unless said otherwise. The weights are
    named in full, for what a bare model name stands for changes with timm: those of EfficientNet's authors, trained
    with AutoAugment, as in the package that the published code loads them from.

    Arguments:
        backbone, weights, layers: one layer of a timm model, see `raylab2f.features`.
        size: height and width in pixels of the finest of three scales; the others are a half and a quarter of it.
        schedule: length of the training; the gradient norm is clipped.
        hidden_channels: of the conditioners.
        kernel_sizes: one per coupling block.
        clamp: bound of the log scales.
        learning_rate, adam_eps, weight_decay: of Adam.
        precision: of the training, see `raylab2f.detectors.precision`.
        image_score: `mean`: of all latent dimensions, as published; `max` or `topk-mean:K`: of the anomaly map.
        init_seed: permutations and initial parameters descend from it.
    """

    backbone: str = "tf_efficientnet_b5.aa_in1k"
    weights: str = "hub"
    layers: tuple[str, ...] = ("blocks.5",)
    size: tuple[int, int] = (768, 768)
    schedule: Schedule = _PAPER_SCHEDULE
    hidden_channels: int = 1024
    kernel_sizes: tuple[int, ...] = (3, 3, 3, 5)
    clamp: float = 3.0
    learning_rate: float = 2e-4
    adam_eps: float = 1e-4
    weight_decay: float = 1e-5
    precision: str = "tf32"
    image_score: str = "mean"
    init_seed: int = 0

    def __post_init__(self) -> None:
        require_epochs(self.schedule)
        check_image_score(self.image_score)
        check_precision(self.precision)
        require_range(self, "size", least=1)
        require_range(self, "hidden_channels", least=1, most=WIDEST)
        require_range(self, "kernel_sizes", least=1, most=_WIDEST_KERNEL)
        require_range(self, "clamp", "learning_rate", "adam_eps", above=0)
        require_range(self, "weight_decay", least=0)
        even = [size for size in self.kernel_sizes if size % 2 == 0]
        if even:
            raise UserError(f"--set kernel_sizes: {even[0]} is even; give odd numbers, such as 3,3,3,5.")


# For a CPU: features of stride 32 as in the publication, a narrow flow, and few steps, larger at first and small at
# the end. It shall stop early: with more steps the likelihood of good pictures that did not train falls.
_FAST = CSFlowConfig(
    backbone="tf_efficientnet_lite0",
    weights="bundled",
    layers=("blocks.5",),
    size=(256, 256),
    hidden_channels=64,
    learning_rate=3e-3,
    schedule=Schedule(epochs=10, batch_size=16, max_grad_norm=1.0, final_rate=0.01),
)

CSFLOW_PRESETS = {"paper": CSFlowConfig(), "fast": _FAST, "demo": _FAST}
