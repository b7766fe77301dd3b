"""Settings and presets of the Gaussian detectors."""

from __future__ import annotations

from dataclasses import dataclass, replace

from raylab2f.detectors.base import Schedule
from raylab2f.detectors.fitted import NO_STEPS, require_no_epochs
from raylab2f.detectors.ranges import MOST_BLURRED, require_range

__all__ = ["MAHALANOBIS_PRESETS", "PADIM_PRESETS", "GaussianConfig"]


@dataclass(frozen=True)
class GaussianConfig:
    """Settings of `padim` and `mahalanobis`; defaults are PaDiM's publication's with its larger backbone.

    Arguments:
        backbone, weights, layers: levels of a timm model, finest first, see `raylab2f.features`.
        size: height and width in pixels.
        schedule: no epochs; the size of the portions in which training pictures are looked at.
        dimensions: so many channels, drawn at random from those of all levels, make a feature; all, if there are fewer.
        regularisation: added to the variances, in squared units of the features.
        shrinkage: share of the covariance that gives way to the mean variance in all directions; 0: none, as published.
        smoothing_sigma: of the anomaly map from which the picture's score is taken, in pixels.
        init_seed: the channels drawn descend from it.
    """

    backbone: str = "wide_resnet50_2.tv_in1k"
    weights: str = "hub"
    layers: tuple[str, ...] = ("layer1", "layer2", "layer3")
    size: tuple[int, int] = (224, 224)
    schedule: Schedule = NO_STEPS
    dimensions: int = 550
    regularisation: float = 0.01
    shrinkage: float = 0.0
    smoothing_sigma: float = 4.0
    init_seed: int = 0

    def __post_init__(self) -> None:
        require_no_epochs(self.schedule)
        require_range(self, "size", "dimensions", least=1)
        require_range(self, "regularisation", above=0)
        require_range(self, "smoothing_sigma", above=0, most=MOST_BLURRED)
        require_range(self, "shrinkage", least=0, most=1)


_FAST = GaussianConfig(
    backbone="tf_efficientnet_lite0", weights="bundled", layers=("blocks.2", "blocks.4"), size=(160, 160)
)

PADIM_PRESETS = {
    "paper": GaussianConfig(),
    "fast": replace(_FAST, dimensions=100),
    "demo": replace(_FAST, dimensions=100),
}

MAHALANOBIS_PRESETS = {
    "paper": GaussianConfig(),
    "fast": _FAST,
    "demo": _FAST,
}
