from itertools import pairwise

import cv2
import numpy as np
import pytest

from raylab2f.diagnostics.alterations import ALTERATIONS, alter, black_background, swap_background


@pytest.fixture
def picture():
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[0:60, 0:80]
    base = 90 + 40 * np.sin(rows / 9) + 30 * np.cos(columns / 7)
    return np.clip(base[..., None] + rng.normal(0, 6, (60, 80, 3)), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("name", ALTERATIONS)
def test_pictures_keep_their_shape_and_stronger_doses_change_more(name, picture):
    doses = (1, 2, 5, 10) if name == "rotation" else ALTERATIONS[name].doses
    picture = np.asarray(cv2.resize(picture, (320, 240), interpolation=cv2.INTER_NEAREST))
    changes = []
    for dose in doses:
        altered = alter(picture, name, dose, np.random.default_rng(1))
        assert altered.shape == picture.shape
        assert altered.dtype == np.uint8
        changes.append(float(np.abs(altered.astype(float) - picture).mean()))
    assert changes[0] > 0
    assert all(one < other for one, other in pairwise(changes))


@pytest.mark.parametrize("name", ALTERATIONS)
def test_the_generator_decides(name, picture):
    dose = ALTERATIONS[name].doses[0]
    one, other = (alter(picture, name, dose, np.random.default_rng(5)) for _ in range(2))
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("name", ALTERATIONS)
def test_doses_ascend_and_some_happen_every_day_or_none(name):
    spec = ALTERATIONS[name]
    assert list(spec.doses) == sorted(spec.doses)
    assert spec.everyday == 0 or spec.everyday in spec.doses


def test_half_a_turn_twice_is_none(picture):
    twice = picture
    for _ in range(2):
        twice = alter(twice, "rotation", 180, np.random.default_rng(0))
    np.testing.assert_array_equal(twice, picture)


def test_overexposure_loses_highlights():
    ramp = np.tile(np.arange(256, dtype=np.uint8)[None, :, None], (16, 1, 3))
    assert (alter(ramp, "overexposure", 2.0, np.random.default_rng(0)) == 255).mean() > 0.4


def test_backgrounds_are_swapped_and_blacked_out(picture):
    foreground = np.zeros((60, 80), bool)
    foreground[20:40, 30:50] = True
    donor = np.full_like(picture, 200)
    donor[10:50, 20:60] = 0  # the donor's own part, which must not show
    hole = np.zeros((60, 80), bool)
    hole[10:50, 20:60] = True
    swapped = swap_background(picture, foreground, donor, hole)
    np.testing.assert_array_equal(swapped[24:36, 34:46], picture[24:36, 34:46])
    outside = ~foreground
    outside[16:44, 26:54] = False  # the seam
    assert np.abs(swapped[outside].astype(int) - 200).max() <= 5
    black = black_background(picture, foreground)
    assert not black[~foreground].any()
    np.testing.assert_array_equal(black[foreground], picture[foreground])
