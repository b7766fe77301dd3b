"""How much of one class goes by itself if a little of the other is given up."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raylab2f.evaluation.decisions.curves import rank_scores, sweep
from raylab2f.evaluation.outcomes.presorted import PRESORTED, presorted_shares

ONE_EACH = np.ones((1, 1))


def shares(scores, labels):
    curve = sweep(rank_scores(scores, np.zeros(len(scores), int), labels), ONE_EACH)
    return {name: float(value[0]) for name, value in presorted_shares(curve).items()}


def plain(scores, labels, good, share):
    """Every threshold is tried: what scores as high is rejected."""
    best = 0.0
    bad_scores, good_scores = scores[labels], scores[~labels]
    for threshold in (*np.unique(scores), np.inf):
        escaped, lost = (bad_scores < threshold).mean(), (good_scores >= threshold).mean()
        if good and escaped <= share + 1e-12:
            best = max(best, 1 - lost)
        if not good and lost <= share + 1e-12:
            best = max(best, 1 - escaped)
    return best


def anomalib(scores, labels, good, share):
    """What anomalib's PGn and PBn compute: a quantile interpolated between two scores, and what lies beyond it."""
    bad_scores, good_scores = scores[labels], scores[~labels]
    if good:
        return (good_scores < np.quantile(bad_scores, share)).mean()
    return (bad_scores > np.quantile(good_scores, 1 - share)).mean()


@given(
    rows=st.lists(st.tuples(st.integers(-8, 8), st.booleans()), min_size=2, max_size=70).filter(
        lambda rows: len({label for _, label in rows}) == 2
    )
)
def test_the_best_of_all_thresholds(rows):
    scores, labels = (np.array(column) for column in zip(*rows, strict=True))
    found = shares(scores.astype(float), labels)
    for name, (good, share) in PRESORTED.items():
        assert found[name] == pytest.approx(plain(scores, labels, good, share), abs=1e-12), name


@pytest.mark.parametrize("seed", range(5))
def test_as_anomalib_where_its_quantile_is_one_of_the_scores(seed):
    rng = np.random.default_rng(seed)
    # 0.02 and 0.05 of 100 steps between 101 scores are whole.
    labels = np.arange(202) < 101
    scores = rng.normal(1.5 * labels)
    found = shares(scores, labels)
    for name, (good, share) in PRESORTED.items():
        assert found[name] == pytest.approx(anomalib(scores, labels, good, share), abs=1e-12), name


@pytest.mark.parametrize("seed", range(10))
def test_what_differs_from_anomalibs_is_one_part(seed):
    rng = np.random.default_rng(seed)
    sizes = rng.integers(10, 90, 2)
    labels = np.arange(sizes.sum()) < sizes[0]
    scores = rng.normal(1.2 * labels)
    found = shares(scores, labels)
    for name, (good, share) in PRESORTED.items():
        part = 1 / sizes[0 if good else 1]
        assert found[name] <= anomalib(scores, labels, good, min(share + part, 1)) + 1e-12, name
        assert share < part or found[name] >= anomalib(scores, labels, good, share - part) - 1e-12, name


def test_with_few_defective_parts_none_may_pass():
    labels = np.array([True] * 20 + [False] * 20)
    scores = np.r_[np.linspace(1, 2, 20), np.linspace(0, 1.5, 20)]
    found = shares(scores, labels)
    assert found["pg2"] == (scores[~labels] < 1).mean()
    # One defective part of 20 are 5 %.
    assert found["pg5"] == (scores[~labels] < np.sort(scores[labels])[1]).mean() > found["pg2"]


def test_weights_are_repetitions():
    rng = np.random.default_rng(0)
    labels, owner = rng.random(80) < 0.5, rng.integers(0, 25, 80)
    scores = (rng.normal(size=80) + labels).round(1)
    for width in (3, 300):
        weights = rng.poisson(1.0, (25, width)).astype(float)
        ours = presorted_shares(sweep(rank_scores(scores, owner, labels), weights))
        for replicate in range(3):
            rows = np.repeat(np.arange(80), weights[owner, replicate].astype(int))
            expected = shares(scores[rows], labels[rows])
            assert {name: value[replicate] for name, value in ours.items()} == pytest.approx(expected, abs=1e-12)
