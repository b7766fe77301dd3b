"""What is laid over nominal pictures to imitate defects."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raylab2f.detectors.glass.local_anomalies import draw_local_anomaly, draw_mask, perlin_noise
from raylab2f.detectors.glass.texture_augmentation import augment_texture
from raylab2f.detectors.glass.textures import Textures

SIZE = (40, 56)
GRID = (5, 7)


@pytest.fixture(scope="module")
def textures():
    return Textures(None, SIZE)


@given(seed=st.integers(0, 2**32), rows=st.sampled_from([1, 2, 8, 32]), columns=st.sampled_from([1, 4, 32]))
def test_the_noise_is_bounded_and_vanishes_at_lattice_points(seed, rows, columns):
    noise = perlin_noise((64, 96), (rows, columns), np.random.default_rng(seed))
    assert noise.shape == (64, 96)
    assert np.abs(noise).max() <= 1 + 1e-5
    np.testing.assert_allclose(noise[:: 64 // rows, :: 96 // columns], 0, atol=1e-6)


def test_the_noise_is_smooth():
    noise = perlin_noise((128, 128), (2, 2), np.random.default_rng(0))
    assert noise.std() > 0.1
    assert max(np.abs(np.diff(noise, axis=axis)).max() for axis in (0, 1)) < 0.1


@given(seed=st.integers(0, 2**32), known=st.booleans())
@settings(max_examples=60, deadline=None)
def test_an_anomaly_lies_on_the_object_and_is_marked_where_it_lies(textures, seed, known):
    generator = np.random.default_rng(seed)
    foreground = generator.random(SIZE) < 0.3 if known else None
    anomaly = draw_local_anomaly(foreground, textures, GRID, generator)
    assert anomaly.mask.any()
    if foreground is not None:
        assert not (anomaly.mask & ~foreground).any()
    touched = anomaly.mask.reshape(GRID[0], 8, GRID[1], 8).any(axis=(1, 3))
    assert np.array_equal(anomaly.patches, touched)
    assert 0.2 <= anomaly.share <= 0.8
    assert anomaly.texture.shape == (*SIZE, 3)
    assert anomaly.texture.dtype == np.uint8


def test_patches_that_do_not_divide_the_picture_cover_it():
    mask_sum = 0
    for seed in range(20):
        anomaly = draw_local_anomaly(None, Textures(None, (37, 50)), (5, 7), np.random.default_rng(seed))
        assert anomaly.patches.shape == (5, 7)
        assert anomaly.patches.any()
        mask_sum += anomaly.patches.mean()
    assert 0 < mask_sum < 20


def test_shares_outside_the_bounds_are_clipped(textures):
    shares = {
        draw_local_anomaly(
            None, textures, GRID, np.random.default_rng(seed), transparency_mean=mean, transparency_std=0.01
        ).share
        for seed, mean in enumerate([-3.0, 4.0])
    }
    assert shares == {0.2, 0.8}


def test_a_single_pixel_of_object_is_found():
    foreground = np.zeros(SIZE, bool)
    foreground[3, 50] = True
    assert np.array_equal(draw_mask(SIZE, foreground, np.random.default_rng(0)), foreground)


def test_masks_vary_in_size():
    shares = [draw_mask((96, 128), None, np.random.default_rng(seed)).mean() for seed in range(60)]
    assert min(shares) < 0.01
    assert max(shares) > 0.1


def test_the_same_generator_state_draws_the_same(textures):
    one, other = (draw_local_anomaly(None, textures, GRID, np.random.default_rng(7)) for _ in range(2))
    assert np.array_equal(one.mask, other.mask)
    assert np.array_equal(one.texture, other.texture)
    assert one.share == other.share


@pytest.mark.parametrize("level", [0, 128, 255])
def test_augmentation_of_a_plain_texture_stays_a_picture(level):
    plain = np.full((16, 24, 3), level, np.uint8)
    for seed in range(40):
        augmented = augment_texture(plain, np.random.default_rng(seed))
        assert augmented.shape == plain.shape
        assert augmented.dtype == np.uint8


def test_augmentation_leaves_its_input_alone(textures):
    texture = textures.load(0)
    before = texture.copy()
    results = [augment_texture(texture, np.random.default_rng(seed)) for seed in range(20)]
    assert np.array_equal(texture, before)
    assert len({result.tobytes() for result in results}) > 15
