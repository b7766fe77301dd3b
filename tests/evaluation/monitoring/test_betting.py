"""The capital is a martingale, exactly; Shiryaev-Roberts is what its recursion says."""

from itertools import permutations, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raylab2f.evaluation.monitoring.betting import log10_capital, log10_shiryaev_roberts
from raylab2f.evaluation.monitoring.ranks import conformal_p_values


def test_over_all_p_values_the_mean_capital_is_1_at_every_step():
    # All bets are linear between multiples of 0.02, so that the midpoints between them give the exact mean.
    middle = (np.arange(50) + 0.5) / 50
    p = np.array(list(product(middle, repeat=3))).T
    np.testing.assert_allclose((10 ** log10_capital(p)).mean(axis=1), 1.0, rtol=1e-12)


@pytest.mark.parametrize("values", [[1, 2, 3, 4], [1, 1, 2, 3], [1, 1, 2, 2]])
def test_over_all_orders_of_reference_and_stream_the_mean_capital_is_1(values):
    # Of at most two equal values, p-values pass a multiple of 0.02 only where the draw passes one of 0.01.
    middle = (np.arange(100) + 0.5) / 100
    draws = np.array(list(product(middle, repeat=2)))
    p = []
    for order in permutations(np.array(values, dtype=float)):
        at = [conformal_p_values(np.array(order[:2]), np.array(order[2:]), np.full(2, u)) for u in (0.0, 1.0)]
        p.append(at[0] + draws * (at[1] - at[0]))
    mean = (10 ** log10_capital(np.concatenate(p).T)).mean(axis=1)
    np.testing.assert_allclose(mean, 1.0, rtol=1e-12)


@given(p=st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_capital_stays_above_0_and_streams_side_by_side_are_each_for_themselves(p):
    p = np.array(p)
    alone = log10_capital(p)
    assert np.isfinite(alone).all()
    together = log10_capital(np.stack([p[::-1], p], axis=1))
    np.testing.assert_allclose(together[:, 1], alone, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    "changed",
    [
        lambda u: u**1.5,  # higher values
        lambda u: 1 - u**1.5,  # lower ones
        lambda u: 0.5 + 0.5 * np.sign(u - 0.5) * np.abs(2 * u - 1) ** 0.5,  # wider spread
        lambda u: 0.5 + 0.5 * np.sign(u - 0.5) * np.abs(2 * u - 1) ** 2,  # narrower
        lambda u: np.where(u < 0.06, u / 3, u),  # more of the highest
    ],
)
def test_capital_grows_where_the_world_has_changed(changed):
    rng = np.random.default_rng(0)
    calm = rng.random((2000, 20))
    late = np.concatenate([calm[:1000], changed(rng.random((2000, 20)))])
    assert np.median(log10_capital(calm)[-1]) < 0.5
    assert (log10_capital(late)[-1] > 2).mean() > 0.8


def test_false_alarms_are_at_most_as_many_as_promised():
    p = np.random.default_rng(1).random((1000, 3000))
    alarmed = (log10_capital(p) >= np.log10(20)).any(axis=0).mean()
    assert alarmed <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 3000)


@given(logs=st.lists(st.floats(-3, 3), min_size=1, max_size=30))
def test_shiryaev_roberts_is_its_recursion(logs):
    capital = 10 ** np.array(logs)
    statistic, before, expected = 0.0, 1.0, []
    for now in capital:
        statistic = (1 + statistic) * now / before
        before = now
        expected.append(statistic)
    np.testing.assert_allclose(10 ** log10_shiryaev_roberts(np.array(logs)), expected, rtol=1e-9)


def test_the_mean_of_shiryaev_roberts_is_the_number_of_parts():
    middle = (np.arange(50) + 0.5) / 50
    p = np.array(list(product(middle, repeat=3))).T
    statistic = 10 ** log10_shiryaev_roberts(log10_capital(p))
    np.testing.assert_allclose(statistic.mean(axis=1), [1, 2, 3], rtol=1e-12)


def test_nothing_gives_nothing():
    assert log10_capital(np.empty(0)).shape == (0,)
    assert log10_shiryaev_roberts(np.empty(0)).shape == (0,)
