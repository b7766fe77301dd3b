"""Agreement with values of the published implementation, in float64."""

import numpy as np
import pytest
import torch
from reference_detectors import glass_of, glass_state

from raylab2f.detectors.base import Batch, Samples
from raylab2f.detectors.glass.hypothesis import prefers_hypersphere
from raylab2f.detectors.glass.training_pass import Patches


def close(found, expected, tolerance=1e-9):
    found = found.detach().numpy() if isinstance(found, torch.Tensor) else found
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance * 1e-2)


@pytest.fixture
def case(glass_training_reference):
    """Values, toy backbone, and a detector in the state before training."""
    detector, backbone = glass_of(glass_training_reference)
    return glass_training_reference, backbone, detector


def steps_of(values):
    return range(len({key.split("/")[0] for key in values if key.startswith("step")}))


def test_patch_features(case):
    values, backbone, detector = case
    embedded = detector.embed(backbone(torch.from_numpy(values["step0/image"])))
    assert detector.grid == tuple(values["patch_grid"])
    close(embedded.flatten(0, 1), values["patch_features_step0"])


def test_centre(case):
    values, backbone, detector = case
    pictures = torch.cat([torch.from_numpy(values[f"step{i}/image"]) for i in steps_of(values)])
    samples = Samples(backbone(pictures), dtype=torch.float64)
    detector.begin(samples, seed=0)
    detector.begin_epoch(samples, 0)
    close(detector.center, values["center"])


def test_training_steps_and_inference(case):
    values, backbone, detector = case
    detector.center = torch.from_numpy(values["center"])
    optimizers = detector.optimizers()
    detector.train()
    for i in steps_of(values):
        image, augmented, mask, noise = (
            torch.from_numpy(values[f"step{i}/{name}"]) for name in ("image", "augmented", "patch_mask", "noise")
        )
        true, local = (detector.embed(backbone(pictures)) for pictures in (image, augmented))
        done = detector.training_pass(Patches(true.flatten(0, 1), local.flatten(0, 1), mask.flatten() > 0, noise))
        tolerance = 1e-9 if i == 0 else 1e-7
        nominal = detector.adaptor(true).flatten(0, 1)
        origin = detector.center.repeat(len(image), 1) if detector.hypersphere else nominal
        close(nominal, values[f"step{i}/true_features"], tolerance)
        close(origin + done.offset, values[f"step{i}/global_anomalies"], tolerance)
        for name in ("bce_loss", "focal_loss"):
            close(getattr(done, name), values[f"step{i}/{name}"], tolerance)
        for name in ("scores_true", "scores_global", "scores_local"):
            close(getattr(done, name), values[f"step{i}/{name}"][:, 0], tolerance)
        for optimizer in optimizers:
            optimizer.zero_grad()
        done.loss.backward()
        for optimizer in optimizers:
            optimizer.step()
    for name, expected in glass_state(values, "after").items():
        close(detector.state_dict()[name], expected.numpy(), 1e-7)

    detector.eval()
    features = backbone(torch.from_numpy(values["test/image"]))
    prediction = detector.predict(Batch(torch.arange(len(features[0])), features))
    close(prediction.scores, values["test/image_score"], 1e-7)
    shape = values["test/anomaly_map"].shape[1:]
    close(detector.upsample(prediction.maps, shape), values["test/anomaly_map"], 1e-7)


def test_hypothesis_rule(glass_judge_reference):
    for key in (key for key in glass_judge_reference if key.endswith("/bgr_image")):
        picture = np.ascontiguousarray(glass_judge_reference[key][:, :, ::-1])
        expected = bool(glass_judge_reference[key.replace("bgr_image", "hypersphere")])
        assert prefers_hypersphere(picture) == expected, key
