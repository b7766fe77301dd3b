"""A finished model with two thresholds: its bounds are those of its decisions, and hold as often as they say."""

import numpy as np
import pyarrow as pa
import pytest
from scipy.stats import binomtest

from raylab2f.evaluation.acceptance.finished import judge_finished
from raylab2f.evaluation.acceptance.limits import Limit

LOW, HIGH = 0.3, 0.8


def _table(defective, good):
    """Scores of parts, of one picture each; (n,) of either class."""
    score = np.concatenate([defective, good])
    names = [str(number) for number in range(len(score))]
    label = np.arange(len(score)) < len(defective)
    return pa.table({"image_id": names, "object_id": names, "label": label.astype(int), "score": score})


def _judged(table, *limits, **rules):
    rules = {"low_threshold": LOW, "prevalence": 0.1, **rules}
    return {row.limit.metric: row for row in judge_finished(table, HIGH, limits, **rules).limits}


def _upper(count, parts, confidence=0.95):
    return binomtest(count, parts).proportion_ci(2 * confidence - 1, "exact").high


@pytest.fixture
def table():
    """Of 40 defective parts 2 are accepted and 6 reviewed, of 60 good ones 3 rejected and 9 reviewed."""
    return _table(np.repeat([0.1, 0.3, 0.9], [2, 6, 32]), np.repeat([0.9, 0.79, 0.0], [3, 9, 48]))


def test_rates_of_a_class_have_exact_bounds(table):
    counts = {
        "escape_rate": (2, 40),
        "overkill_rate": (3, 60),
        "defective_review_rate": (6, 40),
        "good_review_rate": (9, 60),
        "automatic_escape_rate": (2, 34),
        "automatic_overkill_rate": (3, 51),
    }
    found = _judged(table, *(Limit(metric, 0.5) for metric in counts))
    for metric, (count, parts) in counts.items():
        assert found[metric].estimate == pytest.approx(count / parts)
        assert found[metric].high == pytest.approx(_upper(count, parts))
        assert found[metric].verdict == "shown"


def test_figures_of_both_classes_share_the_risk(table):
    found = _judged(table, Limit("review_rate_at_prevalence", 0.5), Limit("review_rate", 0.5), cost_review=0.5)
    assert found["review_rate"].estimate == pytest.approx(0.15)
    assert found["review_rate_at_prevalence"].estimate == pytest.approx(0.1 * 6 / 40 + 0.9 * 9 / 60)
    high = 0.1 * _upper(6, 40, 0.975) + 0.9 * _upper(9, 60, 0.975)
    assert found["review_rate_at_prevalence"].high == pytest.approx(high)
    [cost] = _judged(table, Limit("cost_at_prevalence", 1e4), cost_review=0.5).values()
    expected = 1000 * (0.1 * (10 * 2 / 40 + 0.5 * 6 / 40) + 0.9 * (3 / 60 + 0.5 * 9 / 60))
    assert cost.estimate == pytest.approx(expected)


def test_where_all_of_a_class_is_reviewed_nothing_is_said_of_automatic_errors():
    found = _judged(_table(np.full(10, 0.5), np.zeros(10)), Limit("automatic_escape_rate", 0.5))
    row = found["automatic_escape_rate"]
    assert (row.estimate, row.high, row.verdict) == (None, None, "not yet shown")


def test_two_equal_thresholds_judge_as_one_does(table):
    one = judge_finished(table, HIGH, [Limit("escape_rate", 0.3), Limit("overkill_rate", 0.2)])
    two = judge_finished(table, HIGH, [Limit("escape_rate", 0.3), Limit("overkill_rate", 0.2)], low_threshold=HIGH)
    assert one.limits == two.limits


@pytest.mark.parametrize("metric", ["review_rate_at_prevalence", "cost_at_prevalence", "automatic_escape_rate"])
def test_shown_is_rarely_said_of_a_figure_that_is_the_limit(metric):
    rng = np.random.default_rng(0)
    # Probabilities of being accepted, reviewed, rejected; the limit is the true figure.
    chances = {True: (0.1, 0.2, 0.7), False: (0.75, 0.2, 0.05)}
    truth = {
        "review_rate_at_prevalence": 0.2,
        "cost_at_prevalence": 1000 * (0.1 * (10 * 0.1 + 0.25 * 0.2) + 0.9 * (0.05 + 0.25 * 0.2)),
        "automatic_escape_rate": 0.1 / 0.8,
    }[metric]
    shown = 0
    for _ in range(300):
        drawn = [rng.choice([0.0, 0.5, 1.0], size=60, p=chances[kind]) for kind in (True, False)]
        shown += _judged(_table(*drawn), Limit(metric, truth))[metric].verdict == "shown"
    # A standard error of 0.013 beyond 0.05, twice.
    assert shown / 300 <= 0.076


def test_parts_seen_again_are_alike_if_all_three_decisions_are():
    seen = {"a": (0.9, 0.95), "b": (0.2, 0.5), "c": (0.5, 0.6), "d": (0.7, 0.8)}
    rows = [
        {"image_id": f"{part}/{time}", "object_id": part, "label": int(part in "ab"), "repeat": time, "score": score}
        for part, scores in seen.items()
        for time, score in enumerate(scores)
    ]
    limits = [Limit("escape_rate", 0.9)]
    found = judge_finished(pa.Table.from_pylist(rows), HIGH, limits, low_threshold=LOW).repeats
    assert (found.parts, found.alike, found.grey_zone) == (4, 2, (0.2, 0.8))
    assert {part["object_id"]: part["reviewed"] for part in found.grey_parts} == {"b": 1, "d": 1}
