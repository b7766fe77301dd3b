"""Calibrators agree with scikit-learn, and Venn-Abers with its definition."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.isotonic import IsotonicRegression

from raylab2f.evaluation.probabilities.calibrators import Calibrated, at_prevalence, isotonic, venn_abers

ROWS = st.lists(st.tuples(st.integers(-6, 6), st.booleans(), st.integers(1, 4)), min_size=1, max_size=30)


def grouped(score, label, weight):
    """Distinct scores with the weight of the defective ones and of all."""
    distinct, group = np.unique(score, return_inverse=True)
    return distinct, np.bincount(group, weights=weight * label), np.bincount(group, weights=weight)


def by_definition(score, label, weight, wanted):
    """Two isotonic fits for every score to be judged."""
    ends = []
    for one in wanted:
        pair = []
        for added in (0.0, 1.0):
            fit = IsotonicRegression().fit(
                np.append(score, one), np.append(label, added), sample_weight=np.append(weight, 1.0)
            )
            pair.append(float(fit.predict([one])[0]))
        ends.append(pair)
    return np.array(ends).T


@settings(max_examples=300)
@given(rows=ROWS)
def test_venn_abers_is_two_fits_for_every_score(rows):
    score, label, weight = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    wanted = np.unique(np.concatenate((score, score - 0.5, score + 0.5)))
    low, high = by_definition(score, label, weight, wanted)
    found = venn_abers(*grouped(score, label, weight), wanted)
    assert found.low == pytest.approx(low, abs=1e-9)
    assert found.high == pytest.approx(high, abs=1e-9)
    assert found.value == pytest.approx(high / (1 - low + high), abs=1e-9)
    assert np.all((found.value > 0) & (found.value < 1))
    assert np.all(np.diff(found.value) >= -1e-12)


def test_venn_abers_on_many_scores():
    rng = np.random.default_rng(0)
    label = (rng.random(400) < 0.3).astype(float)
    score = rng.normal(label).round(2)
    wanted = rng.normal(0.5, 1, 60).round(2)
    low, high = by_definition(score, label, np.ones(400), wanted)
    found = venn_abers(*grouped(score, label, np.ones(400)), wanted)
    assert found.low == pytest.approx(low, abs=1e-9)
    assert found.high == pytest.approx(high, abs=1e-9)


@given(rows=ROWS)
def test_isotonic_is_scikit_learns(rows):
    score, label, weight = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    wanted = np.linspace(-8, 8, 33)
    fit = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(score, label, sample_weight=weight)
    found = isotonic(*grouped(score, label, weight), wanted)
    assert found.value == pytest.approx(fit.predict(wanted), abs=1e-9)
    assert found.low is found.value


def test_bayes_rule_moves_probabilities_to_another_share():
    value = np.array([0.0, 0.5, 0.8, 1.0])
    same = at_prevalence(Calibrated(value, value, value), 0.5, 0.5)
    assert same.value == pytest.approx(value)
    rare = at_prevalence(Calibrated(value, value, value), 0.5, 0.01)
    # Odds of 1 and 4, times 1 to 99.
    assert rare.value == pytest.approx([0, 0.01, 4 / 103, 1])
    back = at_prevalence(rare, 0.01, 0.5)
    assert back.value == pytest.approx(value)


def test_venn_abers_keeps_its_promise_on_average():
    """Of the two probabilities the one of the true class is calibrated: its mean is the share of defective parts."""
    rng = np.random.default_rng(1)
    told, were = [], []
    for _ in range(400):
        label = (rng.random(41) < 0.4).astype(float)
        score = rng.normal(label)
        found = venn_abers(*grouped(score[:40], label[:40], np.ones(40)), score[40:])
        told.append(found.high[0] if label[40] else found.low[0])
        were.append(label[40])
    assert np.mean(told) == pytest.approx(np.mean(were), abs=3 * np.std(np.subtract(told, were)) / 20)
