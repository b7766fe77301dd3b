"""Figures of strategies of two thresholds: those of a plain loop, in every replicate, and no others."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from raylab2f.errors import UserError
from raylab2f.evaluation import evaluate
from raylab2f.evaluation.comparison.planning import estimate_clustering
from raylab2f.evaluation.comparison.runs import compare_scores
from raylab2f.evaluation.decisions.object_scores import parse_object_score
from raylab2f.evaluation.decisions.strategies import parse_strategy
from raylab2f.evaluation.decisions.two_thresholds import choose_pair
from raylab2f.evaluation.intervals.bootstrap import object_weights, weighted_means
from raylab2f.evaluation.outcomes.judging import Estimate, build_problem, judge
from raylab2f.evaluation.outcomes.metrics import (
    AUTOMATIC_RATES,
    REVIEW_METRICS,
    REVIEW_PREVALENCE_METRICS,
    Costs,
    Counts,
)
from raylab2f.evaluation.outcomes.reviewing import review_metrics
from raylab2f.evaluation.scores import prepare_scores

TEXTS = ("two-sided:0.1,0.15", "review-cost:8,2,0.5", "two-sided:0.5,0.5")
COSTS = Costs(escape=8, overkill=2, review=0.5, prevalence=0.03)
QUICK = {"replicates": 60, "methods": ("object-bootstrap", "clopper-pearson", "corrected-t"), "prevalence": 0.03}


def slow(score, anomalous, low, high):
    """Figures of some rows; NaN where there are no rows of a class, or none that was decided."""
    share = lambda rows: rows.mean() if len(rows) else np.nan  # noqa: E731
    bad, good = score[anomalous], score[~anomalous]
    seen = (score >= low) & (score < high)
    errors = 8 * (bad < low).sum() + 2 * (good >= high).sum() + 0.5 * seen.sum()
    looked_at = 0.03 * share((bad >= low) & (bad < high)) + 0.97 * share((good >= low) & (good < high))
    return {
        "review_rate": share(seen),
        "defective_review_rate": share((bad >= low) & (bad < high)),
        "good_review_rate": share((good >= low) & (good < high)),
        "recall": share(bad >= low),
        "specificity": share(good < high),
        "escape_rate": share(bad < low),
        "overkill_rate": share(good >= high),
        "automatic_escape_rate": share(bad[(bad < low) | (bad >= high)] < low),
        "automatic_overkill_rate": share(good[(good < low) | (good >= high)] >= high),
        "expected_cost": 1000 * errors / len(score),
        "review_rate_at_prevalence": looked_at,
        "cost_at_prevalence": 1000 * (8 * 0.03 * share(bad < low) + 2 * 0.97 * share(good >= high) + 0.5 * looked_at),
    }


def rows_of(scores, fold, judged, weight, level):
    """Scores, labels and defect types of a partition, every object's rows repeated by its weight."""
    rows = np.flatnonzero((scores.fold == fold) & (scores.judged == judged))
    if level == "image":
        times = weight[scores.object[rows]]
        return scores.score[rows].repeat(times), scores.label[rows].repeat(times), scores.defect[rows].repeat(times)
    owners = np.unique(scores.object[rows])
    best = np.array([scores.score[rows[scores.object[rows] == owner]].max() for owner in owners])
    kind = np.array([scores.defect[rows[scores.object[rows] == owner]].max() for owner in owners])
    times = weight[owners]
    return best.repeat(times), scores.object_anomalous[owners].repeat(times), kind.repeat(times)


@pytest.mark.parametrize("decimals", [0, 1, 9])
def test_every_replicate_equals_the_plain_loop_with_both_thresholds_chosen_anew(simulate, decimals):
    scores = prepare_scores(simulate(decimals=decimals, seed=decimals))
    problem = build_problem(scores, [parse_strategy(text) for text in TEXTS], parse_object_score("max"), COSTS)
    weights = object_weights(problem.strata, 6, np.random.default_rng(0))
    outcomes = judge(problem, weights)
    place = {estimate: row for row, estimate in enumerate(problem.estimates)}
    compared = 0
    for number, text in enumerate(TEXTS):
        for at, level in enumerate(("image", "object")):
            for fold, replicate in np.ndindex(3, 6):
                weight = weights[:, replicate].astype(int)
                pair = choose_pair(text, *rows_of(scores, fold, False, weight, level)[:2])
                found = outcomes.low_thresholds[at, number, fold, replicate]
                assert (found, outcomes.thresholds[at, number, fold, replicate]) == (pair.low, pair.high)
                score, anomalous, kind = rows_of(scores, fold, True, weight, level)
                expected = slow(score, anomalous, pair.low, pair.high)
                for which, name in enumerate(scores.defect_types):
                    mine = score[kind == which]
                    expected[f"recall[{name}]"] = (mine >= pair.low).mean() if len(mine) else np.nan
                for metric, value in expected.items():
                    ours = outcomes.values[place[Estimate(text, level, metric)], fold, replicate]
                    assert ours == pytest.approx(value, abs=1e-12, nan_ok=True), metric
                    compared += 1
    assert compared == len(TEXTS) * 2 * 3 * 6 * 14


def test_metrics_of_two_decisions_are_left_out_and_all_others_are_there(simulate):
    summary = evaluate(simulate(), strategies=("two-sided", "youden"), **QUICK)
    found = {}
    for row in summary.estimates:
        found.setdefault((row.strategy, row.level), []).append(row.metric)
    expected = [*REVIEW_METRICS, *REVIEW_PREVALENCE_METRICS, "recall[dent]", "recall[scratch]"]
    assert found["two-sided", "image"] == found["two-sided", "object"] == expected
    assert not {"review_rate", *AUTOMATIC_RATES} & set(found["youden", "image"])
    assert "mcc" in found["youden", "object"]


def test_one_threshold_has_the_same_figures_beside_two(simulate):
    table = simulate(seed=3)
    alone, beside = (
        evaluate(table, strategies=texts, **QUICK) for texts in (("cost", "mcc"), ("cost", "two-sided", "mcc"))
    )
    assert [row for row in beside.estimates if row.strategy != "two-sided"] == list(alone.estimates)


def test_intervals_hold_the_estimates_and_know_how_few_were_decided(simulate):
    rows = evaluate(simulate(anomalous=40, nominal=40, separation=2.0), strategies=TEXTS, **QUICK).estimates
    by_key = {(row.strategy, row.level, row.metric): row for row in rows}
    for row in rows:
        assert row.interval.low <= row.mean <= row.interval.high, row
        methods = {interval.method for interval in row.intervals}
        assert ("corrected-t" in methods) == (row.metric not in AUTOMATIC_RATES)
        exact = row.metric in ("escape_rate", "overkill_rate", "recall", "specificity") or "_review_rate" in row.metric
        exact |= row.metric.startswith("recall[")
        assert ("clopper-pearson" in methods) == (row.level == "object" and exact)
    for text in TEXTS:
        for level in ("image", "object"):
            for metric, (errors, reviewed) in AUTOMATIC_RATES.items():
                share, wrong, seen = (by_key[text, level, name] for name in (metric, errors, reviewed))
                assert share.mean == pytest.approx(wrong.mean / (1 - seen.mean), abs=1e-12)
                # Fewer parts say less; where hardly any is reviewed, as much.
                assert share.interval.high >= wrong.interval.high - 1e-3


def test_automatic_rates_are_those_of_the_mean_rates_in_every_replicate(simulate):
    scores = prepare_scores(simulate(folds=5))
    problem = build_problem(scores, [parse_strategy(TEXTS[0])], parse_object_score("max"), COSTS)
    drawn = weighted_means(problem, object_weights(problem.strata, 40, np.random.default_rng(1)))
    place = {estimate: row for row, estimate in enumerate(problem.estimates)}
    for metric, rates in AUTOMATIC_RATES.items():
        share, wrong, seen = (drawn[place[Estimate(TEXTS[0], "object", name)]] for name in (metric, *rates))
        np.testing.assert_allclose(share, wrong / (1 - seen), rtol=1e-12)


def test_where_a_class_is_reviewed_as_a_whole_nothing_is_said_of_its_automatic_decisions():
    rejected = Counts(*(np.array(value) for value in (0.0, 0.0, 4.0, 10.0)))
    unaccepted = Counts(*(np.array(value) for value in (4.0, 5.0, 4.0, 10.0)))
    found = review_metrics(rejected, unaccepted, Costs(review=0.5))
    assert np.isnan(found["automatic_escape_rate"])
    assert found["automatic_overkill_rate"] == 0
    assert (found["defective_review_rate"], found["review_rate"]) == (1, 9 / 14)
    assert found["expected_cost"] == pytest.approx(1000 * 0.5 * 9 / 14)


def test_perfectly_separated_scores_need_no_review():
    table = pa.table(
        {"image_id": [f"{i}" for i in range(80)], "label": [0] * 40 + [1] * 40, "score": np.arange(80) / 80}
    )
    summary = evaluate(table, strategies=("two-sided", "review-cost"), **QUICK)
    for text in ("two-sided", "review-cost"):
        assert summary.find("review_rate", strategy=text).mean == 0
        assert summary.find("review_rate", strategy=text).interval.high < 0.1
    columns = summary.metrics.filter(pc.equal(summary.metrics["metric"], "review_rate"))
    assert columns["threshold"].to_pylist() == columns["low_threshold"].to_pylist()


def test_both_thresholds_are_in_the_metrics_table_and_reproduce_the_rates(simulate):
    table = simulate()
    judged = table.filter(pc.equal(table["partition"], "inference")).to_pylist()
    metrics = evaluate(table, strategies=(TEXTS[0], "youden"), **QUICK).metrics.to_pylist()
    for row in metrics:
        assert (row["low_threshold"] is None) == (row["strategy"] != TEXTS[0])
        if row["metric"] == "good_review_rate" and row["level"] == "image":
            good = np.array([one["score"] for one in judged if one["fold"] == row["fold"] and not one["label"]])
            assert row["low_threshold"] <= row["threshold"]
            assert ((good >= row["low_threshold"]) & (good < row["threshold"])).mean() == row["value"]


def test_runs_are_compared_by_their_reviews(simulate):
    tables = {"weak": simulate(separation=1.0), "strong": simulate(separation=4.0)}
    options = {"strategies": ("two-sided:0.1,0.1",), "replicates": 60}
    rows = {row.metric: row for row in compare_scores(tables, **options).differences}
    assert set(rows) == {"recall", "specificity", "auroc", "review_rate"}
    assert rows["review_rate"].difference > 0
    assert rows["review_rate"].second_better > rows["review_rate"].first_better
    [one] = compare_scores(tables, metrics=("automatic_escape_rate",), **options).differences
    assert one.corrected_t is None
    with pytest.raises(UserError, match="Unknown metric 'mcc'"):
        compare_scores(tables, metrics=("mcc",), **options)


def test_pictures_of_a_part_are_alike_in_being_rejected(simulate):
    # Where scores overlap that far, the high threshold is that of `target-fpr`.
    table = simulate(anomalous=20, nominal=20)
    assert estimate_clustering(table, "two-sided:0,0.05") == estimate_clustering(table, "target-fpr:0.05")


@pytest.mark.parametrize("review", [0.0, -1.0, float("nan"), float("inf")])
def test_a_review_costs_something(review):
    with pytest.raises(UserError, match="cost of a review is a number above 0"):
        Costs(review=review)
