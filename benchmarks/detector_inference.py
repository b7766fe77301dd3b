"""From prepared pictures to scores and maps, ours and as published, with the same parameters.

Both begin and end in the host's memory: ours with pictures as they are stored, the published way with normalised ones,
as its loader gives them. Neither enlarges the maps.
"""

from __future__ import annotations

import torch
from detector_steps import Call, Sizes, backbones, csflow_shapes, make_detector, random_pictures
from published_steps import PublishedCSFlow, PublishedGlass
from torch import Tensor
from torch.nn import functional

from raylab2f.detectors.base import Detector, Samples
from raylab2f.detectors.csflow import CSFlow
from raylab2f.detectors.glass import Glass
from raylab2f.detectors.precision import products_in
from raylab2f.features.backbones import Backbone

__all__ = ["csflow_inference", "glass_inference"]


def csflow_inference(side: str, sizes: Sizes, device: torch.device, count: int) -> Call:
    """Prepared pictures in the host's memory to image scores and maps there."""
    detector, _, _ = make_detector("csflow", sizes, device)
    assert isinstance(detector, CSFlow)
    config = sizes.csflow
    ours, plain = backbones(config, device)
    pictures = random_pictures(count, config.size, torch.Generator().manual_seed(0))
    smaller = [(config.size[0] >> scale, config.size[1] >> scale) for scale in range(3)]
    if side == "ours":
        detector.eval()

        def predict() -> object:
            with torch.inference_mode():
                prepared = ours.preprocess(pictures.to(device))
                scales = [prepared] + [
                    functional.interpolate(prepared, size, mode="bilinear", antialias=True) for size in smaller[1:]
                ]
                features = [feature.float() for scale in scales for feature in ours(scale)]
            return _predicted(detector, features)

        return predict
    flow = PublishedCSFlow(config, csflow_shapes(config)[0][0], detector.state_dict()).eval()
    normalised = ours.preprocess(pictures.to(device)).cpu()

    def published() -> object:
        x = normalised.to(device)
        return flow.scores([plain(functional.interpolate(x, size))[0] for size in smaller])

    return published


def glass_inference(side: str, sizes: Sizes, device: torch.device, count: int) -> Call:
    """Prepared pictures in the host's memory to image scores and maps there, maps of patches."""
    detector, _, plain = make_detector("glass", sizes, device)
    assert isinstance(detector, Glass)
    assert plain is not None
    (ours,) = detector._backbone
    assert isinstance(ours, Backbone)
    pictures = random_pictures(count, sizes.glass.size, torch.Generator().manual_seed(0))
    if side == "ours":
        detector.eval()

        def predict() -> object:
            with torch.inference_mode():
                features = [feature.float() for feature in ours(ours.preprocess(pictures.to(device)))]
            return _predicted(detector, features)

        return predict
    assert detector.center is not None
    model = PublishedGlass(sizes.glass, plain, detector.state_dict(), detector.center, torch.Generator()).eval()
    normalised = ours.preprocess(pictures.to(device)).cpu()
    return lambda: model.scores(normalised)


def _predicted(detector: Detector, features: list[Tensor]) -> object:
    """As `predict_batches` gives it."""
    with products_in("float32"):
        prediction = detector.predict(Samples(features).batch(torch.arange(len(features[0]))))
    return prediction.scores.float().cpu(), prediction.maps.float().cpu()
