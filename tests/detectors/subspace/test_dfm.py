"""Reconstruction errors against scikit-learn's principal components, and what holds for any pictures."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn.decomposition import PCA

from raylab2f.detectors.base import Samples
from raylab2f.detectors.checkpoint import load_detector, save_detector
from raylab2f.detectors.subspace import Dfm, DfmConfig
from raylab2f.errors import UserError

SHAPES = [(3, 6, 4), (2, 3, 2)]
CONFIG = DfmConfig(layers=("fine", "coarse"), size=(48, 32), pool=2)


def pictures(count, seed, shift=0.0):
    generator = torch.Generator().manual_seed(seed)
    # Of few causes, so that a subspace holds most of what they do.
    causes = torch.randn(count, 3, generator=generator)
    ways = [torch.randn(3, *shape, generator=torch.Generator().manual_seed(9)) for shape in SHAPES]
    levels = [torch.einsum("nk,kchw->nchw", causes, way) for way in ways]
    return Samples([level + 0.1 * torch.randn(level.shape, generator=generator) + shift for level in levels])


def pooled(samples):
    """(n, D), written out for windows of 2 x 2."""
    rows = []
    for level in samples.features:
        _, channels, height, width = level.shape
        cells = [
            level[:, c, y : y + 2, x : x + 2].mean(dim=(1, 2)).numpy()
            for c in range(channels)
            for y in range(0, height, 2)
            for x in range(0, width, 2)
        ]
        rows.append(np.stack(cells, axis=1))
    return np.concatenate(rows, axis=1).astype(np.float64)


@pytest.mark.parametrize("count", [9, 200])
@pytest.mark.parametrize("variance", [0.5, 0.97])
def test_scores_are_the_errors_of_scikit_learns_reconstruction(count, variance):
    train, judged = pictures(count, 0), pictures(5, 1, shift=0.3)
    detector = Dfm(replace(CONFIG, variance=variance), SHAPES)
    decisions = detector.begin(train, seed=0)
    found = detector.eval().predict(judged.batch(torch.arange(5)))
    known = PCA(n_components=variance, svd_solver="full").fit(pooled(train))
    asked = pooled(judged)
    errors = (asked - known.inverse_transform(known.transform(asked))) ** 2
    assert decisions == {"dimensions": asked.shape[1], "axes": known.n_components_}
    np.testing.assert_allclose(found.scores, errors.sum(axis=1), rtol=1e-4)
    # A coarse cell's error counts at every fine cell that it covers.
    assert found.maps.shape == (5, 3, 2)
    fine, coarse = errors[:, :18].reshape(5, 3, 3, 2).sum(axis=1), errors[:, 18:].reshape(5, 2, 2, 1).sum(axis=1)
    wanted = fine + coarse[:, [0, 0, 1], :]
    np.testing.assert_allclose(found.maps, wanted, rtol=1e-4, atol=1e-7)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 12), st.integers(1, 9), st.integers(1, 7), st.integers(0, 5))
def test_axes_are_orthonormal_and_every_cell_counts(count, height, width, seed):
    shapes = [(2, height, width)]
    generator = torch.Generator().manual_seed(seed)
    detector = Dfm(DfmConfig(layers=("one",), size=(8, 8)), shapes)
    train = Samples([torch.randn(count, *shapes[0], generator=generator)])
    detector.begin(train, seed=0)
    axes = detector.axes.double()
    torch.testing.assert_close(axes.T @ axes, torch.eye(axes.shape[1], dtype=torch.float64), rtol=0, atol=1e-5)
    # Where there are as many axes as dimensions, everything is explained.
    assume(axes.shape[1] < axes.shape[0])
    before = detector.predict(train.batch(torch.arange(1))).maps
    changed = train.features[0][:1].clone()
    changed[:, :, -1, -1] += 100
    after = detector.predict(Samples([changed]).batch(torch.arange(1))).maps
    assert float((after - before)[0, -1, -1]) > 0


def test_equal_pictures_have_no_axes_and_any_other_is_strange():
    detector = Dfm(CONFIG, SHAPES)
    one = pictures(1, 0).features
    detector.begin(Samples([level.repeat(4, 1, 1, 1) for level in one]), seed=0)
    scores = [
        detector.predict(Samples([level + shift for level in one]).batch(torch.arange(1))).scores for shift in (0, 1)
    ]
    assert float(scores[0]) == pytest.approx(0, abs=1e-9)
    assert float(scores[1]) > 1


def test_portions_change_nothing_and_a_saved_one_scores_the_same(tmp_path):
    train, batch = pictures(17, 0), pictures(4, 1).batch(torch.arange(4))
    whole = Dfm(CONFIG, SHAPES)
    whole.begin(train, seed=0)
    parts = Dfm(replace(CONFIG, schedule=replace(CONFIG.schedule, batch_size=5)), SHAPES)
    parts.begin(train, seed=0)
    torch.testing.assert_close(parts.predict(batch).scores, whole.predict(batch).scores, rtol=1e-5, atol=1e-6)
    save_detector(tmp_path, whole, SHAPES)
    assert torch.equal(load_detector(tmp_path).predict(batch).scores, whole.predict(batch).scores)


@pytest.mark.parametrize("setting", [{"variance": 1.0}, {"variance": 0.0}, {"pool": 0}])
def test_settings_that_cannot_be_are_refused(setting):
    with pytest.raises(UserError, match=next(iter(setting))):
        DfmConfig(**setting)
