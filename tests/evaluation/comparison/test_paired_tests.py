"""Tests for paired differences against references and hand-computed values."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from raylab2f.evaluation.comparison.paired_tests import (
    corrected_t_test,
    correlated_t_posterior,
    holm,
    sign_replicability,
    t_test,
)

FOLDS = np.array([0.02, 0.05, -0.01, 0.03, 0.04, 0.00, 0.06, 0.01])

finite = st.floats(-1, 1, allow_nan=False).map(lambda value: round(value, 6))
differences = st.lists(finite, min_size=2, max_size=20).map(np.array)


def test_holm_by_hand():
    # Sorted 0.005, 0.01, 0.03, 0.04 times 4, 3, 2, 1 is 0.02, 0.03, 0.06, 0.04; the last is raised to 0.06.
    assert holm(np.array([0.01, 0.04, 0.03, 0.005])) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm(np.array([0.5, 0.9])) == pytest.approx([1.0, 1.0])
    assert holm(np.array([0.02])) == pytest.approx([0.02])
    assert holm(np.array([0.02, np.nan, 0.01])) == pytest.approx([0.02, np.nan, 0.02], nan_ok=True)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12).map(np.array))
def test_holm_is_between_no_adjustment_and_bonferroni_and_keeps_the_order(p):
    adjusted = holm(p)
    assert (adjusted >= p).all()
    assert (adjusted <= np.minimum(len(p) * p, 1)).all()
    assert (np.diff(adjusted[np.argsort(p, kind="stable")]) >= 0).all()


def test_without_overlap_the_corrected_t_test_is_the_usual_one():
    test = corrected_t_test(FOLDS, 0.0, 0.9)
    usual = stats.ttest_1samp(FOLDS, 0)
    assert test.p == pytest.approx(usual.pvalue, abs=1e-12)
    assert (test.low, test.high) == pytest.approx(tuple(usual.confidence_interval(0.9)), abs=1e-12)


def test_the_corrected_t_test_by_hand():
    error = FOLDS.std(ddof=1) * np.sqrt(1 / 8 + 1)
    test = corrected_t_test(FOLDS, 1.0, 0.95)
    assert test.p == pytest.approx(2 * stats.t(7).sf(FOLDS.mean() / error), abs=1e-12)
    assert test.high - FOLDS.mean() == pytest.approx(stats.t(7).ppf(0.975) * error, abs=1e-12)


@given(differences, st.sampled_from([0.1, 0.25, 1.0]))
def test_p_is_small_exactly_when_the_interval_excludes_zero(folds, ratio):
    test = corrected_t_test(folds, ratio, 0.95)
    if abs(test.p - 0.05) > 1e-9:
        assert (test.p < 0.05) == (not test.low <= 0 <= test.high)


@pytest.mark.parametrize("ratio", [0.0, 1 / 9, 1.0])
@pytest.mark.parametrize("rope", [0.0, 0.01, 0.05])
def test_the_posterior_is_the_integral_of_its_density(ratio, rope):
    # Corani & Benavoli (2015): with the correlation rho the precision's factor is 1 / k + rho / (1 - rho).
    rho, count = ratio / (1 + ratio), len(FOLDS)
    variance = ((FOLDS - FOLDS.mean()) ** 2).sum() / (count - 1)
    scale = np.sqrt((1 / count + rho / (1 - rho)) * variance)

    def density(x):
        return (1 + ((x - FOLDS.mean()) / scale) ** 2 / (count - 1)) ** (-count / 2)

    ends = (-np.inf, -rope, rope, np.inf)
    parts = [integrate.quad(density, low, high)[0] for low, high in pairwise(ends)]
    found = correlated_t_posterior(FOLDS, ratio, rope)
    assert found == pytest.approx(np.array(parts) / sum(parts), abs=1e-6)


@given(differences, st.sampled_from([0.1, 1.0]), st.sampled_from([0.0, 0.01, 0.3]))
def test_the_posterior_sums_to_one_and_swaps_with_the_runs(folds, ratio, rope):
    below, within, above = correlated_t_posterior(folds, ratio, rope)
    assert below + within + above == pytest.approx(1)
    assert correlated_t_posterior(-folds, ratio, rope) == pytest.approx((above, within, below), abs=1e-9)


def test_equal_differences_in_all_folds_leave_no_doubt():
    assert correlated_t_posterior(np.full(5, 0.02), 1.0, 0.01) == (0.0, 0.0, 1.0)
    assert correlated_t_posterior(np.full(5, -0.005), 1.0, 0.01) == (0.0, 1.0, 0.0)
    assert t_test(0.0, 0.0, 5, 0.95).p == 1.0


def test_replicability_by_hand():
    assert sign_replicability(np.array([0.1, 0.2, 0.3])) == 1.0
    # Pairs of equal sign among +, +, -, 0: one of six.
    assert sign_replicability(np.array([0.1, 0.2, -0.1, 0.0])) == pytest.approx(1 / 6)
    assert sign_replicability(np.zeros(4)) == 1.0


@given(differences)
def test_replicability_counts_pairs(folds):
    signs = np.sign(folds)
    equal = [signs[i] == signs[j] for i in range(len(signs)) for j in range(i)]
    assert sign_replicability(folds) == pytest.approx(np.mean(equal))


def test_one_fold_is_no_test():
    one = np.array([0.3])
    assert corrected_t_test(one, 1.0, 0.95) is None
    assert correlated_t_posterior(one, 1.0, 0.01) is None
    assert sign_replicability(one) is None
