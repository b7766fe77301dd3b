"""Agreement with values of the published implementation, in float64."""

import json

import numpy as np
import pytest
import torch
from torch import nn

from raylab2f.detectors.base import Batch, Samples
from raylab2f.detectors.glass import Glass, GlassConfig
from raylab2f.detectors.glass.hypothesis import prefers_hypersphere
from raylab2f.detectors.glass.training_pass import Patches

NAMES = {"body.block1.0": "hidden", "body.block1.1": "norm", "tail.0": "tail"}


class ToyBackbone(nn.Module):
    """The reference's two levels: convolution and tanh, strides 4 and 8."""

    def __init__(self, values, strides):
        super().__init__()
        self.steps = (strides[0], strides[1] // strides[0])
        self.levels = [
            tuple(torch.from_numpy(values[f"backbone/layer{level}.0.{kind}"]) for kind in ("weight", "bias"))
            for level in (2, 3)
        ]

    def forward(self, x):
        out = []
        for (weight, bias), stride in zip(self.levels, self.steps, strict=True):
            x = torch.tanh(nn.functional.conv2d(x, weight, bias, stride=stride, padding=weight.shape[-1] // 2))
            out.append(x)
        return out


def state(values, when):
    """The detector's state as the reference names it."""
    loaded = {
        f"adaptor.{kind}": torch.from_numpy(values[f"adaptor_{when}/layers.0fc.{kind}"]) for kind in ("weight", "bias")
    }
    prefix = f"discriminator_{when}/"
    for key in (key for key in values if key.startswith(prefix)):
        layer, kind = key[len(prefix) :].rsplit(".", 1)
        loaded[f"discriminator.{NAMES[layer]}.{kind}"] = torch.from_numpy(np.asarray(values[key]))
    return loaded


def close(found, expected, tolerance=1e-9):
    found = found.detach().numpy() if isinstance(found, torch.Tensor) else found
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance * 1e-2)


@pytest.fixture
def case(glass_training_reference):
    """Values, settings, toy backbone, and a detector in the state before training."""
    values = glass_training_reference
    settings = json.loads(str(values["config"]))
    backbone = ToyBackbone(values, settings["strides"])
    shapes = [tuple(level.shape[1:]) for level in backbone(torch.from_numpy(values["step0/image"]))]
    config = GlassConfig(
        size=(settings["image_size"],) * 2,
        embedding=settings["embed_dim"],
        hidden=settings["hidden"],
        adaptor_rate=settings["lr_adaptor"],
        discriminator_rate=settings["lr_discriminator"],
        hypothesis=settings["hypothesis"],
        noise_std=settings["noise_std"],
        ascent_steps=settings["ascent_steps"],
        ascent_rate=settings["ascent_rate"],
        project_every=settings["project_every"],
        radius_quantile=settings["radius_quantile"],
        hard_quantile=settings["hard_mining_quantile"],
        smoothing_sigma=settings["map_smoothing_sigma"],
    )
    detector = Glass(config, shapes).double()
    detector.load_state_dict(state(values, "before"))
    return values, backbone, detector


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
    for name, expected in state(values, "after").items():
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
