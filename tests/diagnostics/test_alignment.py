"""The same surface is told from parts that are merely alike."""

import cv2
import numpy as np
import pytest

from raylab2f.diagnostics.alignment import LEAST_DEVIATIONS, agreement, aligned_greys, confirm_pairs
from raylab2f.diagnostics.near_duplicates import candidates

SIDE = 192


def surface(seed):
    """A ring like all others, with an own fine texture."""
    generator = np.random.default_rng(seed)
    texture = cv2.GaussianBlur(generator.normal(0, 40, (SIDE, SIDE)).astype(np.float32), (0, 0), 1.5)
    picture = np.full((SIDE, SIDE), 120, np.float32) + texture
    cv2.circle(picture, (SIDE // 2, SIDE // 2), 60, 220, 6)
    cv2.circle(picture, (SIDE // 2, SIDE // 2), 30, 40, 4)
    return picture


def photograph(picture, seed, *, angle=0.0, gain=1.0):
    """Taken once more: turned a little, another exposure, own noise."""
    generator = np.random.default_rng(seed)
    turn = cv2.getRotationMatrix2D((SIDE / 2, SIDE / 2), angle, 1.01)
    turned = cv2.warpAffine(picture, turn, (SIDE, SIDE), borderMode=cv2.BORDER_REFLECT)
    noisy = turned * gain + generator.normal(0, 2, turned.shape)
    return np.repeat(noisy.clip(0, 255).astype(np.uint8)[..., None], 3, axis=2)


@pytest.fixture(scope="module")
def greys():
    """30 parts; the first five photographed again as pictures 30 to 34."""
    parts = [surface(seed) for seed in range(30)]
    first = [photograph(part, 100 + n) for n, part in enumerate(parts)]
    again = [photograph(part, 200 + n, angle=3, gain=0.8) for n, part in enumerate(parts[:5])]
    return aligned_greys(np.stack(first + again))


def deviations(greys, pairs):
    return confirm_pairs(greys, np.array(pairs), [str(n) for n in range(len(greys))], seed=0)


def test_parts_taken_again_are_confirmed(greys):
    assert (deviations(greys, [(n, 30 + n) for n in range(5)]) > LEAST_DEVIATIONS).all()


def test_parts_that_are_merely_alike_are_not(greys):
    pairs = [(one, other) for one in range(0, 30, 3) for other in range(one + 1, 30, 4)]
    assert (deviations(greys, pairs) < LEAST_DEVIATIONS).all()


def test_equal_pictures_are_always_confirmed():
    flat = np.full((4, 64, 64), 90, np.uint8)
    assert np.isinf(confirm_pairs(flat, np.array([(0, 1)]), list("abcd"), seed=0)).all()


def test_one_object_gives_nothing_to_compare_with(greys):
    assert np.isnan(confirm_pairs(greys[:3], np.array([(0, 1)]), ["a"] * 3, seed=0)).all()


def test_agreement_of_any_pictures_is_a_number():
    generator = np.random.default_rng(0)
    for shape in ((2, 2), (7, 300), (64, 64)):
        one, other = generator.integers(0, 256, (2, *shape), dtype=np.uint8)
        assert -1 <= agreement(one, other) <= 1
        assert -1 <= agreement(one, np.zeros_like(one)) <= 1


def test_candidates_are_the_nearest_of_other_objects():
    pairs = np.array([(0, 1), (0, 2), (0, 3), (1, 2)])
    cosine = np.array([0.9, 0.6, 0.7, 0.8])
    assert candidates(pairs, cosine, ["a", "a", "b", "c"], most=1).tolist() == [2, 3]
    assert candidates(pairs, cosine, ["a", "a", "b", "c"]).tolist() == [1, 2, 3]
