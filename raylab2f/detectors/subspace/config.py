"""Settings and presets of deep feature modelling."""

from __future__ import annotations

from dataclasses import dataclass

from raylab2f.detectors.base import Schedule
from raylab2f.detectors.fitted import NO_STEPS, require_no_epochs
from raylab2f.detectors.ranges import require_range

__all__ = ["DFM_PRESETS", "DfmConfig"]


@dataclass(frozen=True)
class DfmConfig:
    """Settings of `dfm`; share of the variance and pooling are the publication's.

    Arguments:
        backbone, weights, layers: levels of a timm model, see `raylab2f.features`; all together make one feature.
        size: height and width in pixels.
        schedule: no epochs; the size of the portions in which training pictures are looked at.
        pool: so many cells of a map, both ways, are averaged to one.
        variance: share of the nominal features' variance that the subspace holds.
        init_seed: nothing is drawn.
    """

    backbone: str = "wide_resnet50_2.tv_in1k"
    weights: str = "hub"
    layers: tuple[str, ...] = ("layer3",)
    size: tuple[int, int] = (224, 224)
    schedule: Schedule = NO_STEPS
    pool: int = 4
    variance: float = 0.97
    init_seed: int = 0

    def __post_init__(self) -> None:
        require_no_epochs(self.schedule)
        require_range(self, "size", "pool", least=1)
        require_range(self, "variance", above=0, most=0.9999)


_FAST = DfmConfig(backbone="tf_efficientnet_lite0", weights="bundled", layers=("blocks.4",), size=(160, 160))

DFM_PRESETS = {"paper": DfmConfig(), "fast": _FAST, "demo": _FAST}
