"""Strategies of two thresholds: the best of all pairs by direct enumeration, with ties and weights, well placed."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raylab2f.errors import UserError
from raylab2f.evaluation.decisions.curves import rank_scores, sweep
from raylab2f.evaluation.decisions.strategies import REVIEW_STRATEGIES, STRATEGIES, parse_strategy
from raylab2f.evaluation.decisions.thresholds import choose_threshold, threshold_values
from raylab2f.evaluation.decisions.two_thresholds import choose_pair, cut_pairs

# Small integers as scores: many ties, and every comparison is exact. The third number is how often the row counts.
rows = st.lists(st.tuples(st.integers(0, 12), st.booleans(), st.integers(0, 3)), min_size=2, max_size=25).filter(
    lambda rows: {label for _, label, weight in rows if weight} == {True, False}
)
SHARES = st.sampled_from(["0", "0.01", "0.1", "0.2", "0.5", "0.9"])
COSTS = st.sampled_from(["0.25", "0.5", "1", "2", "3", "10"])
SUITES = [*REVIEW_STRATEGIES, "two-sided:0.1,0.1", "two-sided:0,0", "review-cost:4,2,1", "review-cost:20,3,0.5,0.05"]


def columns(rows):
    return (np.array(column, dtype=float) for column in zip(*rows, strict=True))


def choose(text, rows):
    """The pair on weighted rows, which is that on repeated rows."""
    scores, labels, weights = columns(rows)
    repeats = weights.astype(int)
    found = choose_pair(text, scores, labels, weights)
    assert found == choose_pair(text, scores.repeat(repeats), labels.repeat(repeats))
    return found.low, found.high


def shares(rows, low, high):
    """Of the anomalous and of the nominal rows: accepted, reviewed, rejected."""
    found = []
    for wanted in (True, False):
        mine = [(score, weight) for score, label, weight in rows if label == wanted]
        whole = sum(weight for _, weight in mine)
        accepted = Fraction(sum(weight for score, weight in mine if score < low), whole)
        rejected = Fraction(sum(weight for score, weight in mine if score >= high), whole)
        found.append((accepted, 1 - accepted - rejected, rejected))
    return found


def candidates(rows):
    """All thresholds that differ in what they flag, highest first; rows of no weight are none."""
    scores = sorted({float(score) for score, _, weight in rows if weight}, reverse=True)
    return [math.nextafter(scores[0], math.inf), *scores]


def placed(rows, low, high):
    """The same decisions, at the documented place."""
    reviewed = [score for score in candidates(rows)[1:] if low <= score < high]
    return (min(reviewed), math.nextafter(max(reviewed), math.inf)) if reviewed else (low, low)


@given(rows=rows, escape=SHARES, overkill=SHARES)
def test_two_sided_keeps_both_limits_and_reviews_no_more_than_that(rows, escape, overkill):
    low, high = choose(f"two-sided:escape={escape},overkill={overkill}", rows)
    thresholds = candidates(rows)
    lowest = next(t for t in thresholds if shares(rows, t, t)[0][0] <= Fraction(escape))
    highest = [t for t in thresholds if shares(rows, t, t)[1][2] <= Fraction(overkill)][-1]
    assert low <= high
    assert shares(rows, low, high)[0][0] <= Fraction(escape)
    assert shares(rows, low, high)[1][2] <= Fraction(overkill)
    if lowest < highest:
        assert (low, high) == placed(rows, lowest, highest)
    else:
        between = [t for t in thresholds if highest <= t <= lowest]
        youden = {t: shares(rows, t, t)[0][2] - shares(rows, t, t)[1][2] for t in between}
        assert low == high == max(between, key=lambda t: (youden[t], t))


@given(rows=rows, escape=COSTS, overkill=COSTS, review=COSTS, prevalence=st.sampled_from([None, "0.25", "0.5"]))
def test_review_cost_is_the_cheapest_of_all_pairs(rows, escape, overkill, review, prevalence):
    text = f"review-cost:escape={escape},overkill={overkill},review={review}"
    if prevalence is not None:
        text += f",prevalence={prevalence}"
    low, high = choose(text, rows)
    anomalous, nominal = (sum(weight for _, label, weight in rows if label == wanted) for wanted in (True, False))
    q = Fraction(anomalous, anomalous + nominal) if prevalence is None else Fraction(prevalence)

    def cost(low, high):
        (escaped, looked_at, _), (_, seen, lost) = shares(rows, low, high)
        reviewed = q * looked_at + (1 - q) * seen
        return Fraction(escape) * q * escaped + Fraction(overkill) * (1 - q) * lost + Fraction(review) * reviewed

    thresholds = candidates(rows)
    pairs = [(one, other) for one in thresholds for other in thresholds if one <= other]
    best = min(pairs, key=lambda pair: (cost(*pair), -pair[0], pair[1]))
    assert low <= high
    assert cost(low, high) == cost(*best)
    if Fraction(review) < min(Fraction(escape), Fraction(overkill)):
        assert (low, high) == placed(rows, *best)
    else:
        assert low == high == choose(text.replace("review-cost", "cost").replace(f",review={review}", ""), rows)[0]


@given(rows=rows, review=st.sampled_from([1.0, 10.0, 1e6, 1e100]))
def test_a_review_that_costs_too_much_is_never_asked_for(rows, review):
    scores, labels, weights = columns(rows)
    only = choose_threshold("cost:10,1", scores, labels, weights).threshold
    assert choose(f"review-cost:10,1,{review}", rows) == (only, only)


@given(rows=rows)
def test_a_review_that_costs_next_to_nothing_is_asked_for_wherever_scores_overlap(rows):
    low, high = choose("review-cost:10,1,1e-6", rows)
    (escaped, looked_at, _), (_, seen, lost) = shares(rows, low, high)
    assert escaped == lost == 0
    lowest = min(score for score, label, weight in rows if label and weight)
    highest = max(score for score, label, weight in rows if not label and weight)
    if lowest > highest:
        assert looked_at == seen == 0
    else:
        assert (low, high) == (lowest, math.nextafter(highest, math.inf))


@pytest.mark.parametrize("text", SUITES)
def test_all_replicates_at_once_are_the_pairs_of_repeated_rows(text):
    rng = np.random.default_rng(4)
    labels = np.arange(60) < 35
    for decimals in (1, 8):
        scores = (rng.standard_normal(60) + labels).round(decimals)
        owner = rng.integers(0, 25, 60)
        weights = rng.poisson(1.0, (25, 40)).astype(float)
        ranking = rank_scores(scores, owner, labels)
        values = threshold_values(ranking)
        low, high = cut_pairs(parse_strategy(text), sweep(ranking, weights))
        # In another layout of memory, as wide blocks of replicates have it.
        wide = cut_pairs(parse_strategy(text), sweep(ranking, np.tile(weights, 7)))
        np.testing.assert_array_equal(np.tile((low, high), 7), wide)
        for replicate in range(40):
            repeats = weights[owner, replicate].astype(int)
            expected = choose_pair(text, scores.repeat(repeats), labels.repeat(repeats))
            assert (values[low[replicate]], values[high[replicate]]) == (expected.low, expected.high)


@pytest.mark.parametrize("text", SUITES)
@given(data=st.data())
def test_neither_monotone_transforms_nor_the_order_of_rows_change_a_decision(text, data):
    found = data.draw(rows)
    scores, labels, weights = columns(found)
    order = np.array(data.draw(st.permutations(range(len(found)))))
    low, high = choose(text, found)
    again = choose_pair(text, scores[order], labels[order], weights[order])
    assert (again.low, again.high) == (low, high)
    stretched = choose_pair(text, np.exp(scores), labels, weights)
    heavy = weights > 0
    np.testing.assert_array_equal((scores >= low)[heavy], (np.exp(scores) >= stretched.low)[heavy])
    np.testing.assert_array_equal((scores >= high)[heavy], (np.exp(scores) >= stretched.high)[heavy])


@pytest.mark.parametrize("text", STRATEGIES)
def test_strategies_of_one_threshold_give_it_twice(text):
    rng = np.random.default_rng(0)
    labels = np.arange(90) < 50
    scores = rng.standard_normal(90) + labels
    only = choose_threshold(text, scores, labels).threshold
    pair = choose_pair(text, scores, labels)
    assert (pair.low, pair.high) == (only, only)


def test_without_one_class_there_is_a_reason_and_no_pair():
    for text in REVIEW_STRATEGIES:
        assert (
            choose_pair(text, np.arange(5.0), np.zeros(5)).reason == "The threshold partition has no anomalous scores."
        )
        assert choose_pair(text, np.arange(5.0), np.ones(5)).low is None


def test_a_pair_is_not_asked_for_as_one_threshold():
    with pytest.raises(UserError, match="'two-sided' has two thresholds; choose them with choose_pair"):
        choose_threshold("two-sided", np.arange(4.0), np.arange(4) > 1)


def test_shares_of_two_sided_are_not_taken_for_costs():
    costs = {"escape": 200.0, "overkill": 3.0, "review": 2.0, "prevalence": 0.1}
    assert parse_strategy("two-sided", costs).parameters == {"escape": 0.01, "overkill": 0.02}
    assert parse_strategy("review-cost", costs).parameters == costs
    assert parse_strategy("review-cost:7,review=1", costs).parameters == costs | {"escape": 7, "review": 1}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("two-sided:escape=1", "escape is a share from 0 up, below 1"),
        ("two-sided:escape=-0.1", "escape is a share from 0 up, below 1"),
        ("two-sided:0.01,nan", "overkill is a share from 0 up, below 1"),
        ("two-sided:escape=0.1,escape=0.2", "escape is given twice"),
        ("two-sided:0.1,escape=0.2", "escape is given twice"),
        # Once the share of escapes, though it stands in the place of overkill.
        ("two-sided:,0.02", "there is nothing at a comma"),
        ("two-sided:0.1,", "there is nothing at a comma"),
        ("two-sided:review=0.1", "parameters of two-sided are: escape, overkill"),
        ("review-cost:review=0", "review is a number above 0"),
        ("review-cost:review=-3", "review is a number above 0"),
        ("review-cost:escape=inf", "escape is a number above 0"),
        ("review-cost:prevalence=2", "prevalence is a number between 0 and 1"),
    ],
)
def test_bad_parameters_are_refused(text, message):
    with pytest.raises(UserError, match=message):
        parse_strategy(text)
