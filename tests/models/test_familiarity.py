"""What is unlike all evaluated pictures is told; what was evaluated is not."""

import numpy as np
import pytest
from small_models import plate

from raylab2f.models.familiarity import (
    STATISTICS,
    Familiarity,
    fit_components,
    fit_familiarity,
    statistics_of,
)


def outside(judge, picture):
    return list(judge.look([picture])[0].unfamiliar)


def test_good_plates_and_spotted_ones_seen_before_are_familiar(judge):
    assert all(outside(judge, plate(number)) == [] for number in range(20))


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda p: (p * 0.3).astype(np.uint8), "brightness"),
        (lambda p: np.full_like(p, 120), "sharpness"),
        (lambda p: np.repeat(np.repeat(p, 3, 0), 3, 1), "height"),
        (lambda p: np.stack([p[..., 0], p[..., 0] // 3, p[..., 0] // 3], -1), "colourfulness"),
        (lambda p: np.where(p > p.mean(), 255, 0).astype(np.uint8), "contrast"),
    ],
    ids=["dark", "plain", "large", "red", "hard"],
)
def test_what_is_unlike_them_is_said(judge, change, word):
    assert any(word in reason for reason in outside(judge, change(plate(3))))


def test_far_features_are_told_where_no_statistic_is():
    familiarity = Familiarity((0.0,) * 8, (1.0,) * 8, 10.0, 5)
    inside = np.full(8, 0.5)
    assert familiarity.outside(inside, 12.4) == []
    assert "features are 1.3 times as far" in familiarity.outside(inside, 12.6)[0]
    assert familiarity.outside(inside, float("nan")), "what cannot be measured is not familiar"


def test_a_quarter_of_the_range_is_granted():
    low, high = (0.0,) * 8, (100.0,) * 8
    familiarity = Familiarity(low, high, 1.0, 5)
    for value, expected in ((-24.0, 0), (-26.0, 8), (124.0, 0), (126.0, 8)):
        assert len(familiarity.outside(np.full(8, value), 0.5)) == expected


def test_distance_is_mahalanobis_of_the_components():
    generator = np.random.default_rng(0)
    values = generator.normal(size=(400, 6)) * [5, 3, 1, 1, 1, 1]
    components = fit_components(values)
    assert len(components.variances) == 5
    covariance = np.cov(values, rowvar=False, ddof=0)
    centred = values - values.mean(axis=0)
    exact = np.sqrt(np.einsum("ni,ij,nj->n", centred, np.linalg.inv(covariance), centred))
    np.testing.assert_allclose(components.distance(values), exact, rtol=0.05)


def test_distances_of_the_evaluation_are_those_of_pictures_that_were_left_out():
    generator = np.random.default_rng(1)
    pooled = generator.normal(size=(40, 100))
    statistics = generator.normal(size=(40, len(STATISTICS)))
    familiarity, components, distances = fit_familiarity(statistics, pooled, [str(n) for n in range(40)], seed=0)
    assert familiarity.farthest == distances.max() > components.distance(pooled).max()
    fresh = components.distance(generator.normal(size=(200, 100)))
    assert (fresh > 1.25 * familiarity.farthest).mean() < 0.02


def test_it_survives_its_file():
    familiarity = Familiarity((0.0,) * 8, (1.0,) * 8, 10.0, 5)
    assert Familiarity.from_dict(familiarity.to_dict()) == familiarity
    with pytest.raises(ValueError, match="8 limits"):
        Familiarity.from_dict({**familiarity.to_dict(), "low": [0.0]})


def test_statistics_are_named():
    assert len(statistics_of(plate(0), (96, 96))) == len(STATISTICS)
