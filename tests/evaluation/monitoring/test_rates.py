"""The confidence sequence holds the rate at all times at once: the tree of all outcomes, exactly."""

from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from raylab2f.evaluation.intervals.methods import clopper_pearson_interval
from raylab2f.evaluation.monitoring.rates import confidence_sequence, log10_rate_evidence

PARTS = 60


def ever(rate, leaves):
    """Probability that a path of hits meets a node (n, x) that `leaves`, within PARTS parts."""
    mass, gone = np.array([1.0]), 0.0
    for seen in range(1, PARTS + 1):
        mass = np.append(mass * (1 - rate), 0.0) + np.append(0.0, mass * rate)
        out = np.array([leaves(seen, found) for found in range(seen + 1)])
        gone += mass[out].sum()
        mass = np.where(out, 0.0, mass)
    return gone


@cache
def ends_at(seen, found, alpha):
    low, high = confidence_sequence(np.array([found]), np.array([seen]), alpha)
    return low[0], high[0]


def evidence_at(seen, found, low, high):
    return log10_rate_evidence(np.arange(seen) < found, low, high)[-1]


@pytest.mark.parametrize("rate", [0.0, 0.02, 0.1, 0.5, 0.83, 1.0])
@pytest.mark.parametrize("alpha", [0.2, 0.05])
def test_the_truth_is_ever_left_out_with_a_probability_of_at_most_alpha(rate, alpha):
    def leaves(seen, found):
        low, high = ends_at(seen, found, alpha)
        return not low <= rate <= high

    assert ever(rate, leaves) <= alpha


@pytest.mark.parametrize("rate", [0.05, 0.3, 0.5])
def test_a_rate_as_in_the_reference_alarms_with_a_probability_of_at_most_alpha(rate):
    alpha, known = 0.3, 6
    total = 0.0
    for hits in range(known + 1):
        low, high = map(float, clopper_pearson_interval(np.array(hits / known), known, 1 - alpha / 2))
        alarm = ever(rate, lambda n, x, low=low, high=high: evidence_at(n, x, low, high) >= np.log10(2 / alpha))
        total += binom.pmf(hits, known, rate) * alarm
    assert total <= alpha


@given(hits=st.lists(st.booleans(), min_size=1, max_size=80), alpha=st.sampled_from([0.5, 0.05, 0.001]))
def test_evidence_passes_the_bound_where_the_intervals_part(hits, alpha):
    hits = np.array(hits)
    found, seen = np.cumsum(hits), np.arange(1, len(hits) + 1)
    for low, high in ((0.0, 0.2), (0.4, 0.6), (0.9, 1.0)):
        passed = log10_rate_evidence(hits, low, high) >= np.log10(1 / alpha)
        for place in range(len(hits)):
            ends = confidence_sequence(found[place : place + 1], seen[place : place + 1], alpha)
            parted = ends[0][0] > high or ends[1][0] < low
            assert passed[place] == parted


@given(hits=st.lists(st.booleans(), min_size=1, max_size=80))
def test_ends_hold_the_observed_rate_at_first_and_only_close_in(hits):
    found, seen = np.cumsum(hits), np.arange(1, len(hits) + 1)
    low, high = confidence_sequence(found, seen, 0.05)
    assert (np.diff(low) >= 0).all()
    assert (np.diff(high) <= 0).all()
    assert 0 <= low[0] <= found[0] <= high[0] <= 1
    # The same after fewer looks, but for what was seen in between.
    every_third = confidence_sequence(found[2::3], seen[2::3], 0.05)
    assert (every_third[0] <= low[2::3]).all()
    assert (every_third[1] >= high[2::3]).all()
