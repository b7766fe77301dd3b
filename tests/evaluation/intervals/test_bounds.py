"""Bounds for verdicts: against formulas, and by how often they are wrong where the default's ends are."""

import numpy as np
import pytest
from scipy import stats

from raylab2f.evaluation.intervals.bounds import outer_skewed_bounds, skewed_interval
from raylab2f.evaluation.intervals.methods import score_interval

MANY = np.array([1e9])


def test_with_the_skewness_of_a_binomial_rate_it_is_nearly_the_score_interval():
    # Both take the variance from its tangent at the estimate; the score interval adds a term of second order.
    rate, trials = np.array([0.1]), np.array([1e4])
    deviation = np.sqrt(rate * (1 - rate) / trials)
    skewness = (1 - 2 * rate) / np.sqrt(trials * rate * (1 - rate))
    score = score_interval(rate, deviation, trials, MANY, 0.9)
    ours = skewed_interval(rate, deviation, skewness, MANY, 0.9)
    assert np.array(ours) == pytest.approx(np.array(score), abs=1e-2 * deviation[0])


def test_its_ends_solve_the_equation_that_defines_them():
    estimate, deviation, skewness = np.array([0.2]), np.array([0.05]), np.array([0.4])
    t = stats.t(19).ppf(0.95)
    for end in skewed_interval(estimate, deviation, skewness, np.array([19.0]), 0.9):
        assert (end - 0.2) ** 2 == pytest.approx(t**2 * 0.05**2 * (1 + 0.4 * (end - 0.2) / 0.05))


def test_without_skewness_it_is_students_t_and_it_is_symmetric():
    zero = np.array([0.0])
    low, high = skewed_interval(np.array([0.3]), np.array([0.1]), zero, np.array([9.0]), 0.9)
    assert (high[0] - 0.3, 0.3 - low[0]) == pytest.approx((stats.t(9).ppf(0.95) * 0.1,) * 2)
    left = skewed_interval(np.array([0.3]), np.array([0.1]), np.array([0.7]), np.array([9.0]), 0.9)
    right = skewed_interval(np.array([0.7]), np.array([0.1]), np.array([-0.7]), np.array([9.0]), 0.9)
    assert (left[0][0], left[1][0]) == pytest.approx((1 - right[1][0], 1 - right[0][0]))


def test_ends_only_move_outwards_and_only_where_pictures_add_to_objects():
    replicates = np.random.default_rng(0).gamma(2, 0.03, (2, 4000))
    estimate, ends = replicates.mean(axis=1), (np.array([0.03, 0.03]), np.array([0.1, 0.1]))
    # Of 20 objects this deviation is that of more trials, of 2,000 that of fewer.
    low, high = outer_skewed_bounds(ends, estimate, replicates, np.array([20.0, 2000.0]), 0.9)
    assert low[0] <= 0.03
    assert high[0] > 0.1
    assert (low[1], high[1]) == (0.03, 0.1)


def test_what_has_no_value_or_no_deviation_stays_as_it_is():
    nothing = np.full((2, 10), np.nan)
    nothing[1] = 0.2
    ends = (np.array([np.nan, 0.1]), np.array([np.nan, 0.4]))
    low, high = outer_skewed_bounds(ends, np.array([np.nan, 0.2]), nothing, np.array([5.0, 1.0]), 0.9)
    assert np.isnan((low[0], high[0])).all()
    assert (low[1], high[1]) == (0.1, 0.4)
