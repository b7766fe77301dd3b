"""Gaussian detectors against numpy's covariances and scipy's distances."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.spatial.distance import mahalanobis

from raylab2f.detectors.base import Samples
from raylab2f.detectors.checkpoint import load_detector, save_detector
from raylab2f.detectors.gaussian import GaussianConfig, Mahalanobis, Padim
from raylab2f.detectors.gaussian import detectors as module
from raylab2f.errors import UserError

SHAPES = [(6, 4, 4), (5, 2, 2)]
CONFIG = GaussianConfig(dimensions=8, size=(32, 32))


def pictures(count, seed, shift=0.0):
    generator = torch.Generator().manual_seed(seed)
    return Samples([2 * torch.randn(count, *shape, generator=generator) + 40 + shift for shape in SHAPES])


def features(detector, samples):
    """(n, positions, D), written out."""
    fine, coarse = (level.double().numpy() for level in samples.features)
    coarse = coarse.repeat(2, axis=2).repeat(2, axis=3)
    both = np.concatenate([fine, coarse], axis=1)[:, detector.channels.numpy()]
    return both.reshape(len(both), both.shape[1], -1).transpose(0, 2, 1)


@pytest.mark.parametrize("shrinkage", [0.0, 0.3])
@pytest.mark.parametrize("kind", [Padim, Mahalanobis])
def test_maps_are_mahalanobis_distances(kind, shrinkage):
    train, judged = pictures(30, 0), pictures(3, 1)
    detector = kind(replace(CONFIG, shrinkage=shrinkage), SHAPES)
    detector.begin(train, seed=0)
    maps = detector.eval().predict(judged.batch(torch.arange(3))).maps.flatten(1)
    known, asked = features(detector, train), features(detector, judged)
    for position in range(16):
        nominal = known[:, position] if kind is Padim else known.reshape(-1, known.shape[2])
        covariance = np.cov(nominal.T)
        identity = np.eye(len(covariance))
        covariance = (1 - shrinkage) * covariance + shrinkage * np.trace(covariance) / len(covariance) * identity
        inverse = np.linalg.inv(covariance + 0.01 * identity)
        for picture in range(3):
            wanted = mahalanobis(asked[picture, position], nominal.mean(axis=0), inverse)
            assert float(maps[picture, position]) == pytest.approx(wanted, rel=1e-4)


@pytest.mark.parametrize("kind", [Padim, Mahalanobis])
def test_portions_change_nothing(kind, monkeypatch):
    train, batch = pictures(17, 0), pictures(4, 1).batch(torch.arange(4))
    whole = kind(CONFIG, SHAPES)
    whole.begin(train, seed=0)
    monkeypatch.setattr(module, "_ENTRIES", 3 * 8**2)
    parts = kind(replace(CONFIG, schedule=replace(CONFIG.schedule, batch_size=5)), SHAPES)
    parts.begin(train, seed=0)
    torch.testing.assert_close(parts.predict(batch).maps, whole.predict(batch).maps, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", [Padim, Mahalanobis])
def test_few_pictures_are_enough_and_what_is_strange_scores_higher(kind, tmp_path):
    detector = kind(CONFIG, SHAPES)
    detector.begin(pictures(4, 0), seed=0)
    scores = [detector.predict(pictures(8, 3, shift).batch(torch.arange(8))).scores for shift in (0.0, 20.0)]
    assert scores[1].min() > scores[0].max()
    save_detector(tmp_path, detector, SHAPES)
    again = load_detector(tmp_path).predict(pictures(8, 3).batch(torch.arange(8)))
    torch.testing.assert_close(again.scores, scores[0], rtol=0, atol=0)


def test_channels_are_drawn_by_the_seed():
    drawn = {tuple(Padim(replace(CONFIG, init_seed=seed), SHAPES).channels.tolist()) for seed in range(5)}
    assert len(drawn) > 1
    assert all(len(set(channels)) == 8 for channels in drawn)
    assert Padim(replace(CONFIG, dimensions=100), SHAPES).channels.tolist() == list(range(11))


def test_epochs_are_refused():
    with pytest.raises(UserError, match="without epochs"):
        replace(CONFIG, schedule=replace(CONFIG.schedule, epochs=3))
