"""The two-sample test behind `--merge-nominal-test auto`."""

import numpy as np
import pytest

from raylab2f.errors import UserError
from raylab2f.evaluation.plans.iid_check import check_iid


def sample(rng, objects, pictures, shift=0.0, scale=1.0, first=0):
    owner = np.repeat(np.arange(objects), pictures)
    features = rng.standard_normal((objects, 8))[owner] + 0.3 * rng.standard_normal((len(owner), 8))
    return scale * features + shift, owner + first


def check(seed, **other):
    rng = np.random.default_rng(seed)
    train, test = sample(rng, 30, 2), sample(rng, 20, 2, first=1000, **other)
    return check_iid(*train, *test, seed=0, permutations=99)


def test_the_level_holds_with_several_pictures_an_object():
    rejected = [not check(seed).merge for seed in range(200)]
    assert np.mean(rejected) == pytest.approx(0.05, abs=0.05)


@pytest.mark.parametrize("difference", [{"shift": 1.0}, {"scale": 2.0}])
def test_differences_in_place_and_in_spread_are_found(difference):
    assert np.mean([not check(seed, **difference).merge for seed in range(20)]) >= 0.9


def test_it_is_deterministic_and_says_what_was_found():
    first, second = check(0, shift=2.0), check(0, shift=2.0)
    assert first == second
    assert first.p_value == 0.01
    assert "30 and 20 objects" in first.sentence
    assert "they differ" in first.sentence


@pytest.mark.parametrize(("train", "test", "smallest"), [(2, 2, 1 / 3), (2, 3, 0.1), (3, 3, 0.1), (4, 2, 1 / 15)])
def test_too_few_objects_to_object_stay_apart_however_alike_they_are(train, test, smallest):
    for shift in (0.0, 1000.0):
        rng = np.random.default_rng(0)
        found = check_iid(*sample(rng, train, 3), *sample(rng, test, 3, shift=shift, first=1000), seed=0)
        assert found.smallest_p == pytest.approx(smallest)
        assert found.p_value >= found.smallest_p - 1e-12
        assert not found.merge
        assert "so few objects could not show any difference" in found.sentence
    assert found.p_value == pytest.approx(smallest)


@pytest.mark.parametrize(("train", "test"), [(5, 2), (3, 4), (4, 4)])
def test_few_objects_are_permuted_in_all_ways_so_that_no_seed_decides(train, test):
    rng = np.random.default_rng(0)
    here, far = sample(rng, train, 2), sample(rng, test, 2, shift=1000.0, first=1000)
    alike = sample(rng, test, 2, first=1000)
    found = [check_iid(*here, *far, seed=seed) for seed in range(5)]
    assert {one.p_value for one in found} == {found[0].smallest_p}
    assert not found[0].merge
    assert "they differ" in found[0].sentence
    assert len({check_iid(*here, *alike, seed=seed).p_value for seed in range(5)}) == 1


def test_objects_on_both_sides_are_no_evidence():
    rng = np.random.default_rng(0)
    train, test = sample(rng, 10, 2), sample(rng, 12, 2)
    with pytest.raises(UserError, match="Too few nominal objects to compare"):
        check_iid(*train, *test, seed=0)


def test_features_must_be_finite():
    rng = np.random.default_rng(0)
    train, test = sample(rng, 10, 1), sample(rng, 10, 1, first=100)
    train[0][3, 3] = np.nan
    with pytest.raises(UserError, match="NaN or infinite"):
        check_iid(*train, *test, seed=0)
