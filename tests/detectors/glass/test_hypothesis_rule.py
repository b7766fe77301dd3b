"""The spectrogram rule on pictures whose answer is plain; the published answers are in the parity tests."""

import numpy as np
import pytest

from raylab2f.detectors.glass.hypothesis import prefers_hypersphere


@pytest.mark.parametrize("value", [0, 100, 255])
def test_a_plain_mean_picture_has_no_structure(value):
    assert not prefers_hypersphere(np.full((64, 64, 3), value, np.uint8))


def test_a_mean_picture_with_a_sharp_object_has_structure():
    picture = np.full((289, 289, 3), 10, np.uint8)
    y, x = np.indices(picture.shape[:2])
    picture[(y - 140) ** 2 + (x - 150) ** 2 < 60**2] = 250
    assert prefers_hypersphere(picture)


def test_noise_averages_out():
    noise = np.random.default_rng(0).integers(118, 138, (200, 300, 3), dtype=np.uint8)
    assert not prefers_hypersphere(noise)
