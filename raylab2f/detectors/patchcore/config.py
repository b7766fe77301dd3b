"""Settings and presets of PatchCore."""

from __future__ import annotations

from dataclasses import dataclass

from raylab2f.detectors.base import Schedule
from raylab2f.detectors.fitted import NO_STEPS, require_no_epochs
from raylab2f.detectors.image_score import check_image_score
from raylab2f.detectors.ranges import MOST_BLURRED, WIDEST, require_range
from raylab2f.errors import UserError

__all__ = ["DISTANCES", "PATCHCORE_PRESETS", "REWEIGHTED", "PatchCoreConfig"]

DISTANCES = ("euclidean", "cosine")
#: The published image score.
REWEIGHTED = "reweighted"


@dataclass(frozen=True)
class PatchCoreConfig:
    """Settings of PatchCore; defaults are the publication's (PatchCore-10%).

    Arguments:
        backbone, weights, layers: levels of a timm model, finest first, see `raylab2f.features`.
        size: height and width in pixels.
        schedule: no epochs; the size of the portions in which training pictures are looked at.
        embedding: length of a patch feature.
        neighbourhood: odd height and width of what is pooled into a patch feature; 1: nothing but the patch.
        distance: `euclidean`, as published, or `cosine`: one minus the cosine.
        coreset: share of the nominal patches that the memory holds.
        most_patches: so many at most: the memory's budget, `most_patches * embedding * 4` bytes in a file.
        most_candidates: patches among which the memory is chosen, drawn at random where there are more; 512 bytes each
            while it is chosen.
        projection: length of the random projection in which patches are compared while the memory is chosen.
        image_score: `reweighted` maximum of the map, as published, or `max`, `mean`, `topk-mean:K`.
        neighbours: for the re-weighting; 1: none.
        smoothing_sigma: of the displayed anomaly map, in pixels.
        init_seed: everything random descends from it.
    """

    backbone: str = "wide_resnet50_2.tv_in1k"
    weights: str = "hub"
    layers: tuple[str, ...] = ("layer2", "layer3")
    size: tuple[int, int] = (224, 224)
    schedule: Schedule = NO_STEPS
    embedding: int = 1024
    neighbourhood: int = 3
    distance: str = "euclidean"
    coreset: float = 0.1
    most_patches: int = 100_000
    most_candidates: int = 1_000_000
    projection: int = 128
    image_score: str = "reweighted"
    neighbours: int = 9
    smoothing_sigma: float = 4.0
    init_seed: int = 0

    def __post_init__(self) -> None:
        require_no_epochs(self.schedule)
        require_range(self, "size", "most_patches", "most_candidates", "neighbours", least=1)
        require_range(self, "embedding", "projection", least=1, most=WIDEST)
        require_range(self, "coreset", above=0, most=1)
        require_range(self, "smoothing_sigma", above=0, most=MOST_BLURRED)
        require_range(self, "neighbourhood", least=1, most=15)
        if self.neighbourhood % 2 == 0:
            raise UserError(f"--set neighbourhood={self.neighbourhood}: give an odd number, such as 3.")
        if self.distance not in DISTANCES:
            raise UserError(f"--set distance={self.distance}: choose {' or '.join(DISTANCES)}.")
        check_image_score(self.image_score, REWEIGHTED)


# For a CPU: few patches, chosen among few.
_FAST = PatchCoreConfig(
    backbone="tf_efficientnet_lite0",
    weights="bundled",
    layers=("blocks.2", "blocks.4"),
    size=(160, 160),
    embedding=384,
    most_patches=4_000,
    most_candidates=60_000,
)

# As AnomalyDINO does it (Damm et al.: AnomalyDINO: Boosting Patch-based Few-shot Anomaly Detection with DINOv2, WACV
# 2025): every patch token is remembered, and the 1 % most distant ones make the picture's score.
_TOKENS = PatchCoreConfig(
    backbone="vit_small_patch14_reg4_dinov2.lvd142m",
    layers=("norm",),
    size=(448, 448),
    embedding=384,
    neighbourhood=1,
    distance="cosine",
    coreset=1.0,
    image_score="topk-mean:10",
)

PATCHCORE_PRESETS = {"paper": PatchCoreConfig(), "paper-vit": _TOKENS, "fast": _FAST, "demo": _FAST}
