"""Comparison of runs on the same folds."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from raylab2f.errors import UserError
from raylab2f.evaluation import evaluate
from raylab2f.evaluation.comparison.runs import compare_scores

METRICS = ("balanced_accuracy", "recall", "escape_rate", "auroc")
QUICK = {"metrics": METRICS, "levels": ("image", "object"), "replicates": 300}


def rescored(table, separation=0.0, noise=0.0, seed=0):
    """The same folds, judged by a detector with other scores."""
    rng = np.random.default_rng(seed)
    score = table["score"].to_numpy() + separation * table["label"].to_numpy() + noise * rng.standard_normal(len(table))
    return table.set_column(table.column_names.index("score"), "score", pa.array(score))


@pytest.fixture(scope="module")
def runs(simulate):
    table = simulate(anomalous=16, nominal=20, folds=5)
    return {"plain": table, "better": rescored(table, separation=1.5, noise=0.2), "other": rescored(table, noise=1.0)}


def test_identical_runs_do_not_differ_at_all(runs):
    comparison = compare_scores({"a": runs["plain"], "b": runs["plain"]}, **QUICK)
    for row in comparison.differences:
        assert row.difference == 0
        assert (row.bootstrap.low, row.bootstrap.high, row.bootstrap.p) == (0, 0, 1)
        assert (row.corrected_t.low, row.corrected_t.high, row.corrected_t.p) == (0, 0, 1)
        assert row.equivalent == 1
        assert row.replicability == 1


def test_row_order_and_names_of_rows_do_not_matter(runs):
    table = runs["better"]
    shuffled = table.take(np.random.default_rng(1).permutation(len(table)))
    first = compare_scores({"a": runs["plain"], "b": table}, **QUICK)
    second = compare_scores({"a": runs["plain"], "b": shuffled}, **QUICK)
    assert first == second


def test_swapping_the_runs_changes_the_sign_and_nothing_else(runs):
    there = compare_scores({"a": runs["plain"], "b": runs["better"]}, **QUICK).differences
    back = compare_scores({"b": runs["better"], "a": runs["plain"]}, **QUICK).differences
    assert len(there) == len(back) == 8
    for one, other in zip(there, back, strict=True):
        assert (one.metric, one.level) == (other.metric, other.level)
        assert one.difference == -other.difference
        for test, mirrored in ((one.bootstrap, other.bootstrap), (one.corrected_t, other.corrected_t)):
            assert (test.low, test.high) == pytest.approx((-mirrored.high, -mirrored.low), abs=1e-12)
            assert test.p == pytest.approx(mirrored.p)
        assert (one.first_better, one.equivalent) == pytest.approx((other.second_better, other.equivalent), abs=1e-9)
        assert one.replicability == other.replicability


def test_means_are_those_of_the_summary(runs):
    rows = compare_scores({"a": runs["plain"], "b": runs["other"]}, strategies=("cost",), **QUICK).differences
    summaries = [evaluate(runs[name], strategies=("cost",), replicates=2) for name in ("plain", "other")]
    for row in rows:
        means = [summary.find(row.metric, level=row.level).mean for summary in summaries]
        assert (row.first_mean, row.second_mean) == pytest.approx(means, abs=1e-12)
        assert row.difference == pytest.approx(means[0] - means[1], abs=1e-12)


def test_ratios_at_a_prevalence_are_those_of_the_summary_and_have_no_tests_over_folds(runs):
    metrics = ("precision_at_prevalence", "npv_at_prevalence", "cost_at_prevalence")
    options = {"prevalence": 0.02, "replicates": 50}
    rows = compare_scores({"a": runs["plain"], "b": runs["better"]}, metrics=metrics, **options).differences
    summaries = [evaluate(runs[name], **options) for name in ("plain", "better")]
    for row in rows:
        means = [summary.find(row.metric).mean for summary in summaries]
        assert (row.first_mean, row.second_mean) == pytest.approx(means, abs=1e-12)
        assert row.difference == pytest.approx(means[0] - means[1], abs=1e-12)
        assert row.folds == 5
        assert row.bootstrap is not None
        over_folds = (row.corrected_t, row.corrected_t_p_holm, row.first_better, row.replicability)
        assert [value is None for value in over_folds] == [row.metric != "cost_at_prevalence"] * 4


def test_the_better_detector_is_found_also_where_lower_is_better(runs):
    rows = compare_scores({"plain": runs["plain"], "better": runs["better"]}, **QUICK).differences
    found = {(row.metric, row.level): row for row in rows}
    assert found["auroc", "image"].difference < 0
    assert found["auroc", "image"].bootstrap.high < 0
    assert found["escape_rate", "object"].difference == pytest.approx(-found["recall", "object"].difference)
    for metric in ("recall", "escape_rate"):
        row = found[metric, "object"]
        assert row.second_better > row.first_better


def test_paired_replicates_are_narrower_than_the_runs_own_intervals(runs):
    # Both runs see the same objects, so what the objects have in common cancels.
    near = rescored(runs["plain"], noise=0.05)
    row = compare_scores({"a": runs["plain"], "b": near}, metrics=("auroc",), replicates=300).differences[0]
    own = evaluate(runs["plain"], replicates=300).find("auroc").interval
    assert row.bootstrap.high - row.bootstrap.low < (own.high - own.low) / 2


def test_three_runs_make_three_pairs_adjusted_together(runs):
    comparison = compare_scores(runs, metrics=("auroc", "recall"), replicates=300)
    assert [(row.first, row.second) for row in comparison.differences][::2] == [
        ("plain", "better"),
        ("plain", "other"),
        ("better", "other"),
    ]
    assert comparison.settings["comparisons"] == 6
    smallest = min(comparison.differences, key=lambda row: row.bootstrap.p)
    assert smallest.bootstrap_p_holm == pytest.approx(min(6 * smallest.bootstrap.p, 1))
    assert all(row.bootstrap_p_holm >= row.bootstrap.p for row in comparison.differences)


def test_no_p_is_smaller_than_an_exact_test_could_give(simulate):
    table = simulate(anomalous=6, nominal=6, folds=1)
    label = table["label"].to_numpy()
    scores = {"a": label * 1.0, "b": -label * 1.0}
    tables = {k: table.set_column(table.column_names.index("score"), "score", pa.array(v)) for k, v in scores.items()}
    row = compare_scores(tables, metrics=("auroc",), replicates=50).differences[0]
    assert row.difference == 1
    # Three judged objects of each class; the others have no part in the AUROC.
    assert row.bootstrap.p == 2.0**-5


@pytest.mark.parametrize("kind", [pa.bool_(), pa.float64(), pa.int64()])
def test_how_labels_are_written_does_not_matter(runs, kind):
    table = runs["other"]
    table = table.set_column(table.column_names.index("label"), "label", table["label"].cast(kind))
    options = {"metrics": ("recall",), "replicates": 20}
    assert compare_scores({"a": runs["plain"], "b": table}, **options) == compare_scores(
        {"a": runs["plain"], "b": runs["other"]}, **options
    )


def test_everything_is_plain_json(runs):
    comparison = compare_scores({"a": runs["plain"], "b": runs["other"]}, **QUICK)
    values = json.loads(json.dumps(comparison.to_dict(), allow_nan=False))
    assert values["differences"][0]["bootstrap"]["p"] == comparison.differences[0].bootstrap.p


def test_a_single_fold_has_no_tests_over_folds_and_says_so(runs):
    one = {name: table.filter(pc.equal(table["fold"], 0)) for name, table in list(runs.items())[:2]}
    comparison = compare_scores(one, metrics=("auroc",), replicates=100)
    assert comparison.differences[0].corrected_t is None
    assert comparison.differences[0].corrected_t_p_holm is None
    assert comparison.differences[0].bootstrap_p_holm is not None
    assert any("one fold" in warning for warning in comparison.warnings)


def test_other_partitions_are_refused_by_naming_the_first_fold(runs):
    table = runs["plain"]
    swapped = pc.if_else(pc.equal(table["partition"], "threshold"), "inference", "threshold")
    changed = pc.if_else(pc.equal(table["fold"], 3), swapped, table["partition"])
    other = table.set_column(table.column_names.index("partition"), "partition", changed)
    with pytest.raises(UserError, match="fold 3"):
        compare_scores({"a": table, "b": other})


def test_a_missing_fold_is_refused(runs):
    with pytest.raises(UserError, match="fold 4"):
        compare_scores({"a": runs["plain"], "b": runs["plain"].filter(pc.less(runs["plain"]["fold"], 4))})


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"metrics": ("nonsense",)}, "Unknown metric"),
        ({"metrics": ()}, "at least one metric"),
        ({"levels": ("part",)}, "level"),
        ({"rope": -1.0}, "equivalence"),
        ({"confidence": 1.0}, "confidence"),
        ({"replicates": 1}, "replicates"),
    ],
)
def test_options_that_make_no_sense(runs, options, sentence):
    with pytest.raises(UserError, match=sentence):
        compare_scores({"a": runs["plain"], "b": runs["other"]}, **options)


def test_one_run_is_nothing_to_compare(runs):
    with pytest.raises(UserError, match="two runs"):
        compare_scores({"a": runs["plain"]})
