"""Curves of the probability of detection: the likeliest one, those that the data leave, and what they do not say."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta

from raylab2f.evaluation.detection.curve import Curves, fit_curve, integrate_curve


def _likelihood(curves, z, hits, misses):
    probability = np.clip(curves.at(z)[0], 1e-12, 1 - 1e-12)
    penalty = -0.5 * (np.log(curves.width[0]) - np.log(0.1)) ** 2
    return float(np.log(probability) @ hits + np.log1p(-probability) @ misses + penalty)


@settings(max_examples=15)
@given(st.integers(0, 1000))
def test_no_other_curve_is_likelier(seed):
    rng = np.random.default_rng(seed)
    z = np.sort(rng.uniform(size=60))
    truth = Curves(np.array([0.4]), np.array([0.08]), np.array([0.05]), np.array([0.97]))
    hits = (rng.uniform(size=60) < truth.at(z)[0]).astype(float)
    best = fit_curve(z, hits, 1 - hits)
    most = _likelihood(best, z, hits, 1 - hits)
    for _ in range(300):
        ceiling = rng.uniform(0.5, 1)
        other = Curves(
            np.array([rng.uniform(-0.5, 1.5)]),
            np.exp(rng.uniform(np.log(0.01), 0, 1)),
            np.array([ceiling * rng.uniform(0, 0.6) ** 2]),
            np.array([ceiling]),
        )
        assert _likelihood(other, z, hits, 1 - hits) <= most + 1e-6


def test_a_curve_reaches_what_it_says_it_reaches():
    curves = Curves(np.array([0.3, 0.3, 0.3]), np.full(3, 0.1), np.array([0.1, 0.95, 0.0]), np.array([0.99, 1.0, 0.85]))
    reached = curves.reach(0.9)
    assert curves.at(reached[:1])[0, 0] == pytest.approx(0.9)
    assert reached[1] == -np.inf
    assert reached[2] == np.inf


def test_a_size_that_separates_gives_a_steep_curve_and_no_overflow():
    z = np.linspace(0, 1, 40)
    hits = (z > 0.5).astype(float)
    with np.errstate(all="raise", under="ignore"):
        best = fit_curve(z, hits, 1 - hits)
    assert 0.4 < best.reach(0.9)[0] < 0.65
    posterior = integrate_curve(z, hits, 1 - hits)
    assert best.reach(0.9)[0] < posterior.reach_quantile(0.9, 0.95)


def test_bounds_of_hits_alone_are_the_binomial_ones_of_one_hit_more():
    # Where size says nothing, what is left is how often something is found.
    z = np.full(13, 1.0)
    low, high = integrate_curve(z, np.ones(13), np.zeros(13)).band(np.array([1.0]), 0.95)
    assert low[0] == pytest.approx(beta.ppf(0.05, 14, 1), abs=0.03)
    assert high[0] > 0.99


@settings(max_examples=10)
@given(st.integers(0, 100), st.integers(2, 4))
def test_more_of_the_same_data_narrows_the_band(seed, times):
    rng = np.random.default_rng(seed)
    z = np.sort(rng.uniform(size=40))
    hits = (rng.uniform(size=40) < 1 / (1 + np.exp(-(z - 0.4) / 0.1))).astype(float)
    points = np.array([0.3, 0.6])
    once = integrate_curve(z, hits, 1 - hits).band(points, 0.95)
    often = integrate_curve(z, times * hits, times * (1 - hits)).band(points, 0.95)
    assert (often[1] - often[0] < once[1] - once[0] + 1e-3).all()


def _expected_hits(middle, width, floor, parts=300):
    """Sizes, and at each the share of hits that a curve expects."""
    z = (np.arange(parts) + 0.5) / parts
    truth = Curves(np.array([middle]), np.array([width]), np.array([floor]), np.array([1.0]))
    return z, truth.at(z)[0]


def test_what_small_defects_hide_of_the_floor_does_not_make_curves_steeper():
    # At the smallest size 12 % are found, floor or not: hits as the curve expects them must give its width back.
    z, hits = _expected_hits(0.2, 0.1, 0.0)
    posterior = integrate_curve(z, hits, 1 - hits)
    assert posterior.weights @ posterior.curves.width == pytest.approx(0.1, rel=0.1)
    assert posterior.weights @ posterior.curves.floor < 0.06


def test_a_floor_that_is_seen_is_kept():
    z, hits = _expected_hits(0.5, 0.05, 0.3)
    posterior = integrate_curve(z, hits, 1 - hits)
    assert posterior.weights[posterior.curves.floor == 0].sum() < 1e-3
    low, high = posterior.band(np.array([0.0]), 0.95)
    assert 0.2 < low[0] < 0.3 < high[0] < 0.4


def test_curves_with_and_without_a_floor_share_the_weight_where_nothing_was_judged():
    z = np.linspace(0, 1, 5)
    posterior = integrate_curve(z, np.zeros(5), np.zeros(5))
    assert posterior.weights.sum() == pytest.approx(1)
    # A curve that finds nothing at all has no room for a floor.
    some = posterior.curves.ceiling > 0
    without = posterior.weights[some & (posterior.curves.floor == 0)].sum()
    assert without / posterior.weights[some].sum() == pytest.approx(0.5, abs=1e-6)
