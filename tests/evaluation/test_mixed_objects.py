"""Tables in which nearly every object is defective and has good pictures: pictures are judged, objects resampled."""

import warnings

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from scipy.stats import norm

from raylab2f.errors import UserError
from raylab2f.evaluation import evaluate, plan_fold
from raylab2f.evaluation.comparison.planning import estimate_clustering
from raylab2f.evaluation.comparison.runs import compare_scores
from raylab2f.evaluation.scores import prepare_scores

PICTURES = 6
QUICK = {"replicates": 300}


def simulate_mixed(*, objects=24, good_objects=0, folds=3, alike=1.0, separation=2.0, seed=0):
    """Objects whose first picture is defective, and a few without a defect; `alike`: what pictures of one share."""
    rng = np.random.default_rng(seed)
    owner = np.repeat(np.arange(objects + good_objects), PICTURES)
    label = (np.arange(len(owner)) % PICTURES == 0) & (owner < objects)
    manifest = pa.table(
        {
            "image_id": [f"part {o}/{i}.png" for i, o in enumerate(owner)],
            "object_id": [f"part {o}" for o in owner],
            "label": pa.array(label.astype(int), pa.int8()),
            "given_split": ["train"] * len(owner),
        }
    )
    base = separation * label + alike * rng.standard_normal(owner.max() + 1)[owner] + rng.standard_normal(len(owner))
    blocks = []
    for fold in range(folds):
        score = dict(zip(manifest["image_id"].to_pylist(), base + 0.3 * rng.standard_normal(len(owner)), strict=True))
        split = plan_fold(manifest, fold=fold, seed=0, train_on="good-pictures")
        split = split.filter(pc.not_equal(split["partition"], "train"))
        names = split["image_id"].to_pylist()
        known = dict(zip(manifest["image_id"].to_pylist(), label.tolist(), strict=True))
        split = split.append_column("fold", pa.array([fold] * len(names), pa.int32()))
        split = split.append_column("label", pa.array([int(known[name]) for name in names], pa.int8()))
        blocks.append(split.append_column("score", pa.array([score[name] for name in names])))
    return pa.concat_tables(blocks)


def texts(summary, code):
    return [warning for warning in summary.warnings if warning.code == code]


@pytest.mark.parametrize(
    ("good_objects", "reason"),
    [(0, "all 24 objects have an anomalous picture"), (1, "only 1 of 25 objects is without an anomalous picture")],
)
def test_the_object_level_is_left_out_and_pictures_keep_their_intervals(good_objects, reason):
    table = simulate_mixed(good_objects=good_objects, folds=6)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        summary = evaluate(table, strategies=("youden", "guaranteed-recall", "conformal:0.2"), prevalence=0.02, **QUICK)
    assert {row.level for row in summary.estimates} == {"image"}
    assert set(summary.metrics["level"].to_pylist()) == {"image"}
    assert [reason in text for text in texts(summary, "RL305")] == [True]
    assert [reason in text and "'guaranteed-recall'" in text for text in texts(summary, "RL306")] == [True]
    for metric in ("recall", "specificity", "balanced_accuracy", "auroc", "precision_at_prevalence", "expected_cost"):
        row = summary.find(metric, level="image")
        assert row.interval.low < row.mean < row.interval.high
    methods = {interval.method for interval in summary.find("auroc", level="image").intervals}
    assert {"object-bootstrap", "object-bootstrap-bca", "delong", "corrected-t"} <= methods
    assert summary.to_dict()["version"] == 2


def test_two_objects_without_a_defect_keep_the_object_level():
    summary = evaluate(simulate_mixed(good_objects=6), **QUICK)
    assert {row.level for row in summary.estimates} == {"image", "object"}
    assert not any("left out" in text for text in texts(summary, "RL305"))


def test_only_strategies_on_objects_leave_metrics_that_need_no_threshold():
    summary = evaluate(simulate_mixed(), strategies=("guaranteed-recall",), **QUICK)
    assert {row.strategy for row in summary.estimates} == {"any"}


def test_pictures_of_one_object_are_no_independent_evidence():
    table = simulate_mixed(objects=60, alike=2.0, separation=4.0)
    row = evaluate(table, strategies=("nominal-quantile:0.8",), replicates=2000).find("specificity", level="image")
    width = {interval.method: interval.high - interval.low for interval in row.intervals}
    assert width["object-bootstrap"] > 1.3 * width["naive-picture-bootstrap"]


def test_the_interval_counts_objects_as_they_are_simulated():
    """One fold, a threshold known: the standard error of the specificity is that of independent objects."""
    rng = np.random.default_rng(4)
    owner = np.repeat(np.arange(400), PICTURES)
    label = np.arange(len(owner)) % PICTURES == 0
    # Pictures of one object are wholly alike, so an object is one trial.
    score = np.where(label, 9.0, rng.standard_normal(400)[owner])
    table = pa.table(
        {
            "image_id": [str(i) for i in range(len(owner))],
            "object_id": owner.astype(str),
            "label": label.astype(int),
            "score": score,
            "fold": owner * 0,
            "partition": np.where(owner < 200, "threshold", "inference"),
        }
    )
    row = evaluate(table, strategies=("nominal-quantile:0.8",), replicates=2000).find("specificity", level="image")
    # Of the rate itself and of the threshold, which as many objects chose.
    error = np.sqrt(2 * row.mean * (1 - row.mean) / 200)
    assert row.interval.high - row.interval.low == pytest.approx(2 * norm.ppf(0.975) * error, rel=0.2)


@pytest.mark.parametrize("good_objects", [0, 1])
def test_a_table_without_partition_is_halved_by_object_with_both_classes(good_objects):
    table = simulate_mixed(folds=1, good_objects=good_objects).drop_columns(["fold", "partition"])
    scores = prepare_scores(table, folds=5)
    for fold in range(5):
        here = scores.fold == fold
        assert not np.intersect1d(scores.object[here & scores.judged], scores.object[here & ~scores.judged]).size
        for judged in (True, False):
            assert set(scores.label[here & (scores.judged == judged)].tolist()) == {True, False}
        assert (here & scores.judged).sum() == pytest.approx(here.sum() / 2, abs=PICTURES)
    assert len({tuple(scores.judged[scores.fold == fold]) for fold in range(5)}) > 1
    shuffled = table.take(np.random.default_rng(0).permutation(len(table)))
    first, second = (evaluate(t, folds=3, **QUICK).to_dict()["estimates"] for t in (table, shuffled))
    assert first == second


def test_good_pictures_of_a_single_object_are_refused():
    table = pa.table(
        {
            "image_id": list("abcdef"),
            "object_id": list("112233"),
            "label": [0, 1, 1, 1, 1, 1],
            "score": np.arange(6.0),
        }
    )
    with pytest.raises(UserError, match="Fold 0 has 1 object with nominal pictures; at least 2"):
        prepare_scores(table, folds=1)
    given = table.append_column("partition", pa.array(["inference"] * 4 + ["threshold"] * 2))
    with pytest.raises(UserError, match="1 object with nominal pictures; at least 2"):
        prepare_scores(given)


def test_runs_are_compared_by_pictures_and_the_missing_level_is_named():
    table = simulate_mixed()
    noise = np.random.default_rng(1).standard_normal(len(table))
    worse = table.set_column(
        table.column_names.index("score"), "score", pa.array(table["score"].to_numpy() + 2 * noise)
    )
    comparison = compare_scores({"a": table, "b": worse}, levels=("image", "object"), metrics=("auroc",), **QUICK)
    assert [(row.level, row.difference > 0) for row in comparison.differences] == [("image", True)]
    assert comparison.differences[0].bootstrap.low < comparison.differences[0].difference
    assert [warning.code for warning in comparison.warnings] == ["RL305"]
    with pytest.raises(UserError, match=r"no object level to compare at, for all .* compare pictures"):
        compare_scores({"a": table, "b": worse}, **QUICK)


def test_good_pictures_of_defective_objects_say_how_alike_pictures_are():
    alike, different = (estimate_clustering(simulate_mixed(objects=60, alike=a))[False] for a in (3.0, 0.0))
    assert alike.pictures == different.pictures == PICTURES - 1
    assert alike.correlation > 0.4 > 0.1 > different.correlation
