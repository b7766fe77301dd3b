"""GLASS's settings and presets."""

from __future__ import annotations

from dataclasses import dataclass, replace

from raylab2f.detectors.base import Schedule
from raylab2f.detectors.feature_scaling import check_feature_scaling
from raylab2f.detectors.image_score import check_image_score
from raylab2f.detectors.precision import check_precision
from raylab2f.detectors.ranges import MOST_BLURRED, WIDEST, require_epochs, require_range
from raylab2f.errors import UserError

__all__ = ["GLASS_PRESETS", "HYPOTHESES", "GlassConfig"]

_PAPER_SCHEDULE = Schedule(epochs=640, batch_size=8, samples_per_epoch=392)
HYPOTHESES = ("spectrogram", "manifold", "hypersphere")


@dataclass(frozen=True)
class GlassConfig:
    """Settings of GLASS; defaults are the publication's.

    What differs from the published code: at most 392 pictures make an epoch, where its loop ends only after more than
    that, at 400 with batches of 8; features pass through the feature store's type, float16 unless said otherwise;
    without a folder of `textures` (there always the Describable Textures Dataset) photographs take their place.

    Arguments:
        backbone, weights, layers: levels of a timm model, finest first, see `raylab2f.features`.
        size: height and width in pixels.
        schedule: length of the training; at most 392 pictures make an epoch.
        embedding: length of a patch feature.
        hidden: width of the discriminator.
        adaptor_rate, adaptor_decay: learning rate and weight decay of the feature adaptor (Adam).
        discriminator_rate, discriminator_decay: the same of the discriminator (AdamW).
        feature_scaling, feature_norm: what is done to patch features before the adaptor, see `FeatureScaling`. Bounds,
            noise and rates below are lengths in what comes out.
        hypothesis: `manifold`, `hypersphere`, or `spectrogram`: the published rule chooses one of the two.
        bounds: distances that global anomalies keep from the nominal feature they come from (manifold).
        noise_std: of the Gaussian noise from which global anomalies start.
        ascent_steps, ascent_rate, project_every: gradient ascent on them.
        radius_quantile: of the nominal features' distances to the centre, for the hypersphere.
        hard_quantile: share of the patches that the focal loss leaves out as easy.
        textures: folder of texture pictures; `None`: photographs that come with scikit-image.
        transparency_mean, transparency_std: of local anomalies.
        precision: of the training, see `raylab2f.detectors.precision`; `bfloat16` holds for the gradient ascent and for
            the backbone's pass over pictures with local anomalies.
        image_score: `max` of the anomaly map, as published, `mean`, or `topk-mean:K`.
        smoothing_sigma: of the displayed anomaly map, in pixels.
        init_seed: initial parameters descend from it.
    """

    backbone: str = "wide_resnet50_2.tv_in1k"
    weights: str = "hub"
    layers: tuple[str, ...] = ("layer2", "layer3")
    size: tuple[int, int] = (288, 288)
    schedule: Schedule = _PAPER_SCHEDULE
    embedding: int = 1536
    hidden: int = 1024
    adaptor_rate: float = 1e-4
    adaptor_decay: float = 1e-5
    discriminator_rate: float = 2e-4
    discriminator_decay: float = 1e-2
    feature_scaling: str = "none"
    feature_norm: float = 5.0
    hypothesis: str = "spectrogram"
    noise_std: float = 0.015
    bounds: tuple[float, float] = (0.5, 1.0)
    ascent_steps: int = 20
    ascent_rate: float = 0.001
    project_every: int = 5
    radius_quantile: float = 0.75
    hard_quantile: float = 0.5
    textures: str | None = None
    transparency_mean: float = 0.5
    transparency_std: float = 0.1
    precision: str = "tf32"
    image_score: str = "max"
    smoothing_sigma: float = 4.0
    init_seed: int = 0

    def __post_init__(self) -> None:
        require_epochs(self.schedule)
        check_image_score(self.image_score)
        check_precision(self.precision)
        check_feature_scaling(self.feature_scaling)
        require_range(self, "size", "project_every", least=1)
        require_range(self, "embedding", "hidden", least=1, most=WIDEST)
        # A rate of 0 leaves the adaptor as it began; a discriminator that does not learn detects nothing.
        require_range(self, "discriminator_rate", "feature_norm", "bounds", above=0)
        require_range(self, "smoothing_sigma", above=0, most=MOST_BLURRED)
        require_range(self, "adaptor_rate", "adaptor_decay", "discriminator_decay", "transparency_std", least=0)
        require_range(self, "noise_std", "ascent_steps", "ascent_rate", least=0)
        require_range(self, "radius_quantile", "hard_quantile", "transparency_mean", least=0, most=1)
        if self.bounds[0] > self.bounds[1]:
            low, high = self.bounds
            raise UserError(f"--set bounds={low:g},{high:g}: give the smaller distance first: {high:g},{low:g}.")
        if self.hypothesis not in HYPOTHESES:
            raise UserError(f"--set hypothesis={self.hypothesis}: choose one of {', '.join(HYPOTHESES)}.")


# For a CPU: a small backbone and embedding, and few steps, larger at first and small at the end. Rates and hypothesis
# were chosen on castings, commutators and rendered parts (benchmarks/detectors.md).
_FAST = GlassConfig(
    backbone="tf_efficientnet_lite0",
    weights="bundled",
    layers=("blocks.2", "blocks.4"),
    size=(160, 160),
    embedding=384,
    hidden=256,
    adaptor_rate=1e-3,
    discriminator_rate=2e-3,
    feature_scaling="uniform",
    hypothesis="manifold",
    schedule=Schedule(epochs=8, batch_size=8, samples_per_epoch=392, final_rate=0.01),
)

GLASS_PRESETS = {
    "paper": GlassConfig(),
    "fast": _FAST,
    "demo": replace(_FAST, schedule=replace(_FAST.schedule, epochs=6)),
}
