"""Interval methods against references and by their coverage."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from raylab2f.evaluation.intervals.methods import (
    bca_interval,
    clopper_pearson_interval,
    corrected_t_interval,
    delong_components,
    delong_interval,
    logit_interval,
    naive_t_interval,
    odds_interval,
    percentile_interval,
    score_interval,
    wilson_interval,
)


@pytest.mark.parametrize("hits", [0, 1, 7, 19, 20])
@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_binomial_intervals_agree_with_scipy(hits, confidence):
    rate = np.array([hits / 20])
    for ours, name in ((clopper_pearson_interval, "exact"), (wilson_interval, "wilson")):
        expected = stats.binomtest(hits, 20).proportion_ci(confidence, method=name)
        low, high = ours(rate, 20, confidence)
        assert (low[0], high[0]) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_the_score_interval_is_wilsons_for_independent_objects():
    # With the binomial standard error and many degrees of freedom nothing is left of the generalisation.
    rate, size = np.array([0.3, 0.9, 0.5]), 40.0
    deviation = np.sqrt(rate * (1 - rate) / size)
    ours = score_interval(rate, deviation, np.full(3, size), np.full(3, 1e9), 0.95)
    assert np.array(ours) == pytest.approx(np.array(wilson_interval(rate, size, 0.95)), abs=1e-6)


def test_the_score_interval_of_no_errors_counts_objects():
    for deviation in (0.0, 0.01):
        low, high = score_interval(np.array([1.0]), np.array([deviation]), np.array([20.0]), np.array([1e9]), 0.95)
        expected = wilson_interval(np.array([1.0]), 20, 0.95)
        assert (low[0], high[0]) == pytest.approx((expected[0][0], expected[1][0]), abs=1e-6)


def test_few_errors_do_not_make_the_score_interval_narrower_than_no_errors():
    ends = [
        score_interval(np.array([rate]), np.array([1e-3]), np.array([20.0]), np.array([50.0]), 0.95)[0][0]
        for rate in (1.0, 0.995, 0.98, 0.96)
    ]
    assert ends == sorted(ends, reverse=True)


def test_the_score_interval_widens_with_the_standard_error_and_keeps_the_estimate():
    rate = np.full(5, 0.8)
    low, high = score_interval(rate, np.array([0.01, 0.02, 0.05, 0.1, 0.3]), np.full(5, 30.0), np.full(5, 28.0), 0.95)
    assert (np.diff(high - low) > 0).all()
    assert ((low < 0.8) & (high > 0.8)).all()
    assert np.isnan(score_interval(np.array([np.nan]), np.array([0.1]), np.array([9.0]), np.array([8.0]), 0.9)).all()


def test_logit_interval_is_symmetric_on_its_scale():
    low, high = logit_interval(np.array([0.9, 1.0]), np.array([0.03, 0.0]), np.array([20.0, 20.0]), 0.95)
    odds = [np.log(x / (1 - x)) for x in (low[0], 0.9, high[0])]
    assert odds[1] - odds[0] == pytest.approx(odds[2] - odds[1])
    assert odds[2] - odds[1] == pytest.approx(stats.t(20).ppf(0.975) * 0.03 / 0.09)
    assert np.isnan(low[1])


def test_percentiles_are_numpys_and_ignore_missing_replicates():
    replicates = np.random.default_rng(0).standard_normal((3, 501))
    replicates[1, ::7] = np.nan
    replicates[2] = np.nan
    low, high = percentile_interval(replicates, 0.9)
    for row in (0, 1):
        expected = np.nanquantile(replicates[row], [0.05, 0.95])
        assert (low[row], high[row]) == pytest.approx(expected, abs=1e-12)
    assert np.isnan(low[2])


def test_bca_agrees_with_scipy_on_one_sample():
    rng = np.random.default_rng(3)
    sample = rng.exponential(size=40)
    drawn = stats.bootstrap(
        (sample,), np.mean, n_resamples=4000, method="BCa", rng=np.random.default_rng(1), confidence_level=0.9
    )
    left_out = np.array([np.delete(sample, i).mean() for i in range(40)])
    low, high = bca_interval(
        np.array([sample.mean()]), drawn.bootstrap_distribution[None], left_out[None], np.zeros(40, dtype=bool), 0.9
    )
    expected = drawn.confidence_interval
    assert (low[0], high[0]) == pytest.approx((expected.low, expected.high), abs=2e-3)


def test_t_intervals_over_folds():
    folds = np.random.default_rng(0).normal(0.8, 0.05, (2, 10))
    folds[1, 3] = np.nan
    low, high = naive_t_interval(folds, 0.95)
    for row, values in enumerate((folds[0], np.delete(folds[1], 3))):
        expected = stats.t.interval(0.95, len(values) - 1, values.mean(), stats.sem(values))
        assert (low[row], high[row]) == pytest.approx(expected, abs=1e-12)
    wide_low, wide_high = corrected_t_interval(folds, 1.0, 0.95)
    assert (wide_high - wide_low)[0] == pytest.approx((high - low)[0] * np.sqrt((0.1 + 1) / 0.1))
    assert np.isnan(naive_t_interval(folds[:, :1], 0.95)).all()


def test_delong_is_the_published_variance():
    rng = np.random.default_rng(0)
    label = np.arange(50) < 20
    score = (rng.standard_normal(50) + label).round(1)
    placement = delong_components(score, label)
    kernel = (score[label][:, None] > score[~label]) + 0.5 * (score[label][:, None] == score[~label])
    assert placement[label] == pytest.approx(kernel.mean(axis=1), abs=1e-14)
    assert placement[~label] == pytest.approx(kernel.mean(axis=0), abs=1e-14)
    auroc = kernel.mean()
    variance = kernel.mean(axis=1).var(ddof=1) / 20 + kernel.mean(axis=0).var(ddof=1) / 30
    influence = np.where(label, (placement - auroc) / 20, (placement - auroc) / 30)
    low, high = delong_interval(auroc, influence, label, 0.95)
    assert high - auroc == pytest.approx(stats.norm.ppf(0.975) * np.sqrt(variance), abs=1e-12)
    assert low == pytest.approx(2 * auroc - high, abs=1e-12)


def test_clopper_pearson_covers_at_least_as_promised():
    for rate in (0.02, 0.1, 0.5):
        hits = np.arange(26)
        low, high = clopper_pearson_interval(hits / 25, 25, 0.95)
        inside = (low <= rate) & (rate <= high)
        assert stats.binom(25, rate).pmf(hits)[inside].sum() >= 0.95


RATES = st.lists(st.one_of(st.sampled_from([0.0, 1.0]), st.floats(0.001, 0.999)), min_size=3, max_size=3).map(sorted)


@given(first=RATES, second=RATES, odds=st.floats(1e-4, 1e4))
def test_odds_intervals_hold_the_estimate_and_mirror_each_other(first, second, odds):
    (a_low, a, a_high), (b_low, b, b_high) = first, second
    low, high = odds_interval((a, a_low, a_high), (b, b_low, b_high), odds)
    assert 0 <= low <= high <= 1
    if a or b:
        assert low - 1e-9 <= odds * a / (odds * a + b) <= high + 1e-9
    mirrored = odds_interval((b, b_low, b_high), (a, a_low, a_high), 1 / odds)
    assert mirrored == pytest.approx((1 - high, 1 - low), abs=1e-9)


def test_odds_intervals_with_one_rate_known_are_those_of_the_other():
    low, high = odds_interval((0.8, 0.6, 0.9), (0.1, 0.1, 0.1), 0.25)
    assert (low, high) == pytest.approx((0.15 / (0.15 + 0.1), 0.225 / (0.225 + 0.1)))


def test_odds_intervals_cover_as_promised():
    # Independent rates, each with Wilson's interval; the precision at a prevalence of 0.02.
    rng = np.random.default_rng(0)
    odds = 0.02 / 0.98
    for recall, overkill, size in ((0.9, 0.05, 60), (0.7, 0.2, 30), (0.95, 0.01, 200)):
        true = odds * recall / (odds * recall + overkill)
        covered = []
        for _ in range(1000):
            first, second = rng.binomial(size, recall) / size, rng.binomial(size, overkill) / size
            a, b = ((rate, *(float(end) for end in wilson_interval(rate, size, 0.95))) for rate in (first, second))
            low, high = odds_interval(a, b, odds)
            covered.append(low <= true <= high)
        assert 0.93 <= np.mean(covered) <= 0.985
