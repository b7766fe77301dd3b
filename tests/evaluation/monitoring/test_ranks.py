"""Conformal p-values: as defined, uniform and independent over all orders, and by ranks alone."""

from collections import Counter
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raylab2f.evaluation.monitoring.ranks import conformal_p_values

WHOLE = st.lists(st.integers(-5, 5), max_size=70)


def by_definition(reference, stream, uniform):
    found = []
    for place, value in enumerate(stream):
        bag = np.concatenate([reference, stream[: place + 1]])
        found.append(((bag > value).sum() + uniform[place] * (bag == value).sum()) / len(bag))
    return np.array(found)


@given(reference=WHOLE, stream=WHOLE, seed=st.integers(0, 9))
def test_they_are_the_ranks_in_the_growing_bag(reference, stream, seed):
    uniform = np.random.default_rng(seed).random(len(stream))
    given_values = np.array(reference, dtype=float), np.array(stream, dtype=float), uniform
    np.testing.assert_allclose(conformal_p_values(*given_values), by_definition(*given_values))


@pytest.mark.parametrize(("known", "new"), [(0, 4), (2, 3), (3, 2)])
def test_over_all_orders_their_intervals_are_independent_and_uniform(known, new):
    ranks = Counter()
    for order in permutations(range(known + new)):
        values = np.array(order, dtype=float)
        p = conformal_p_values(values[:known], values[known:], np.full(new, 0.5))
        # Of N equally long intervals of (0, 1), the one that the draw would spread the p-value over.
        ranks[tuple(int(each * (known + place + 1)) for place, each in enumerate(p))] += 1
    combinations = np.prod([known + place + 1 for place in range(new)])
    assert len(ranks) == combinations
    assert len(set(ranks.values())) == 1


@given(values=st.lists(st.integers(-20, 20), min_size=2, max_size=60), seed=st.integers(0, 9))
def test_only_the_order_of_values_counts_and_not_that_of_the_reference(values, seed):
    rng = np.random.default_rng(seed)
    known = len(values) // 2
    values, uniform = np.array(values, dtype=float), rng.random(len(values) - known)
    expected = conformal_p_values(values[:known], values[known:], uniform)
    for change in (lambda v: np.exp(v / 5), lambda v: v**3 - 7):
        np.testing.assert_array_equal(
            conformal_p_values(change(values[:known]), change(values[known:]), uniform), expected
        )
    shuffled = rng.permutation(values[:known])
    np.testing.assert_array_equal(conformal_p_values(shuffled, values[known:], uniform), expected)


def test_what_arrives_later_changes_nothing_before():
    rng = np.random.default_rng(0)
    reference, stream, uniform = rng.random(20), rng.random(300).round(2), rng.random(300)
    whole = conformal_p_values(reference, stream, uniform)
    for count in (1, 16, 17, 100):
        np.testing.assert_array_equal(conformal_p_values(reference, stream[:count], uniform[:count]), whole[:count])
