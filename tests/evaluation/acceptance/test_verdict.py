"""Verdicts on limits, and how many more parts would bring one."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.stats import binomtest

from raylab2f.errors import UserError
from raylab2f.evaluation.acceptance.agreement import agreement_row
from raylab2f.evaluation.acceptance.limits import Limit, check_limits
from raylab2f.evaluation.acceptance.verdict import (
    NOT_YET_SHOWN,
    REFUTED,
    SHOWN,
    judge_limit,
    more_by_binomial,
    more_by_interval,
    together,
)


@pytest.mark.parametrize(
    ("metric", "bounds", "verdict"),
    [
        ("escape_rate", (0.0, 0.1), SHOWN),
        ("escape_rate", (0.05, 0.11), NOT_YET_SHOWN),
        ("escape_rate", (0.1, 0.2), NOT_YET_SHOWN),
        ("escape_rate", (0.11, 0.2), REFUTED),
        ("recall", (0.1, 0.2), SHOWN),
        ("recall", (0.09, 0.2), NOT_YET_SHOWN),
        ("recall", (0.0, 0.09), REFUTED),
        ("escape_rate", (None, None), NOT_YET_SHOWN),
    ],
)
def test_one_bound_shows_the_other_one_refutes(metric, bounds, verdict):
    assert judge_limit(Limit(metric, 0.1), *bounds) == verdict


def test_all_limits_together():
    assert together([SHOWN, SHOWN]) == SHOWN
    assert together([SHOWN, NOT_YET_SHOWN]) == NOT_YET_SHOWN
    assert together([SHOWN, NOT_YET_SHOWN, REFUTED]) == REFUTED


def upper(errors, parts, confidence):
    return binomtest(errors, parts, alternative="less").proportion_ci(confidence).high


@given(
    errors=st.integers(0, 8),
    judged=st.integers(10, 80),
    most=st.floats(0.02, 0.6),
    confidence=st.sampled_from([0.8, 0.95, 0.99]),
)
def test_more_parts_are_the_fewest_that_scipys_exact_bound_asks_for(errors, judged, most, confidence):
    assume(upper(errors, judged, confidence) > most)
    more = more_by_binomial(Limit("escape_rate", most, confidence=confidence), "defective", errors, judged)
    wanted = judged + more.without_errors
    assert upper(errors, wanted, confidence) <= most + 1e-9
    assert upper(errors, wanted - 1, confidence) > most - 1e-9
    if errors / judged >= most:
        assert more.as_seen is None
    else:
        assert more.as_seen >= more.without_errors


def test_a_recall_is_planned_as_the_escape_rate_that_it_leaves():
    recall = more_by_binomial(Limit("recall", 0.9), "defective", 2, 30)
    escape = more_by_binomial(Limit("escape_rate", 0.1), "defective", 2, 30)
    assert (recall.as_seen, recall.without_errors) == pytest.approx((escape.as_seen, escape.without_errors), abs=1)


@given(rate=st.floats(0, 0.3), width=st.floats(0.01, 0.3), share=st.floats(0.05, 0.95), judged=st.integers(5, 500))
def test_more_parts_narrow_a_score_interval_as_it_is(rate, width, share, judged):
    """With as many trials a part as the interval at hand, its bound reaches the limit with the planned parts."""
    bound = rate + width
    most = rate + share * width
    more = more_by_interval(Limit("escape_rate", most), "defective", rate, bound, judged)
    trials = bound * (1 - bound) / width**2
    for extra, seen in ((more.as_seen, rate), (more.without_errors, None)):
        if extra is None:
            continue
        parts = judged + extra
        now = rate * judged / parts if seen is None else seen
        assert most * (1 - most) / (most - now) ** 2 <= trials * parts / judged * (1 + 1e-9)
    assert more.without_errors is None or more.as_seen is None or more.without_errors <= more.as_seen


def test_a_rate_that_looks_worse_than_its_limit_has_no_number():
    more = more_by_interval(Limit("recall", 0.9), "defective", 0.8, 0.7, 50)
    assert more.as_seen is None
    assert more.without_errors > 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("escape_rate", 0.0), "can never be shown"),
        (("escape_rate", 1.5), "can never be shown"),
        (("escape_rate", float("nan")), "can never be shown"),
        (("cost_at_prevalence", -1.0), "no cost of 1,000 parts"),
        (("auroc", 0.9), "no such figure can be limited; there are recall, escape_rate"),
        (("escape_rate", 0.1, "pixel"), "the level is object or image"),
        (("escape_rate", 0.1, "object", 1.0), "a confidence of 1 cannot be"),
    ],
)
def test_limits_that_cannot_be(arguments, words):
    with pytest.raises(UserError, match=words):
        Limit(*arguments)


def test_no_limits_and_double_ones():
    with pytest.raises(UserError, match="--max-escape"):
        check_limits([])
    check_limits([Limit("escape_rate", 0.1), Limit("escape_rate", 0.1, "image")])
    with pytest.raises(UserError, match="set twice at object level"):
        check_limits([Limit("escape_rate", 0.1), Limit("escape_rate", 0.2)])


@pytest.mark.parametrize(
    ("metric", "ends", "judged"),
    [
        ("accuracy", (0.9, 0.99), "acceptable"),
        ("accuracy", (0.85, 0.95), None),
        ("accuracy", (0.8, 0.89), "marginal"),
        ("accuracy", (0.5, 0.79), "unacceptable"),
        ("escape_rate", (0.0, 0.02), "acceptable"),
        ("escape_rate", (0.03, 0.05), "marginal"),
        ("escape_rate", (0.0, 0.1), None),
        ("overkill_rate", (0.11, 0.2), "unacceptable"),
        ("kappa", (0.8, 0.9), "acceptable"),
    ],
)
def test_a_class_is_named_only_if_the_interval_lies_in_it(metric, ends, judged):
    assert agreement_row(metric, sum(ends) / 2, *ends).judged == judged
