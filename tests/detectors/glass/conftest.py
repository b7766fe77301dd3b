"""A small GLASS with a small backbone, and nominal pictures of dim noise."""

import numpy as np
import pytest
import torch
from torch import nn

from raylab2f.detectors.base import Samples, Schedule
from raylab2f.detectors.glass import Glass, GlassConfig

SIZE = (32, 48)


class SmallBackbone(nn.Module):
    """Two levels of strides 4 and 8, with random weights."""

    def __init__(self):
        super().__init__()
        generator = torch.Generator().manual_seed(3)
        self.fine = nn.Conv2d(3, 5, 5, stride=4, padding=2)
        self.coarse = nn.Conv2d(5, 8, 3, stride=2, padding=1)
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.normal_(0, 0.2, generator=generator).requires_grad_(False)

    def preprocess(self, pictures):
        return pictures.permute(0, 3, 1, 2).to(self.fine.weight.dtype) / 64 - 1

    @torch.no_grad()
    def forward(self, pictures):
        fine = torch.tanh(self.fine(pictures))
        return [fine, torch.tanh(self.coarse(fine))]


@pytest.fixture
def backbone():
    return SmallBackbone()


@pytest.fixture
def samples(backbone):
    pictures = torch.from_numpy(np.random.default_rng(0).integers(60, 90, (20, *SIZE, 3), dtype=np.uint8))
    return Samples(backbone(backbone.preprocess(pictures)), pictures)


@pytest.fixture
def make(samples, backbone):
    """Make a detector that is ready to train on `samples`; keywords are settings."""

    def make_detector(**settings):
        settings = {"embedding": 24, "hidden": 16, "hypothesis": "manifold", **settings}
        config = GlassConfig(size=SIZE, schedule=Schedule(epochs=2, batch_size=8), **settings)
        detector = Glass(config, [tuple(level.shape[1:]) for level in samples.features], backbone)
        detector.begin(samples, seed=1)
        detector.begin_epoch(samples, 0)
        return detector.train()

    return make_detector
