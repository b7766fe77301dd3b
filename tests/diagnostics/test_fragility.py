import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from raylab2f.diagnostics import diagnose_fragility
from raylab2f.diagnostics.fragility import outcome_curves
from raylab2f.evaluation import evaluate


def test_well_separated_scores_leave_nothing_to_the_threshold(make_scores):
    finding = diagnose_fragility(make_scores(12.0), "youden", seed=0)
    assert finding.verdict == "pass"
    assert finding.measure("decision-flips").estimate.value < 0.1
    assert finding.measure("fold-flips").estimate.value < 0.1


def test_scores_that_know_nothing_leave_everything_to_it(make_scores):
    finding = diagnose_fragility(make_scores(0.0, objects=10), "youden", seed=0)
    assert finding.verdict == "fail"
    assert finding.measure("decision-flips").estimate.value > 0.2
    assert finding.measure("threshold-spread").estimate.value > 0.2


def test_escapes_that_cost_more_move_the_cheapest_threshold(make_scores):
    scores = make_scores(1.5)
    dear, even = (
        diagnose_fragility(scores, "youden", cost_escape=cost, seed=0).measure("youden-from-cost").estimate.value
        for cost in (50.0, 1.0)
    )
    assert dear > even


def test_every_interval_hangs_on_the_seed(make_scores):
    one, again, other = (diagnose_fragility(make_scores(1.0), "youden", seed=seed) for seed in (1, 1, 2))
    for name in ("decision-flips", "fold-flips"):
        low, high = (one.measure(name).estimate.low, one.measure(name).estimate.high)
        assert (again.measure(name).estimate.low, again.measure(name).estimate.high) == (low, high)
        assert (other.measure(name).estimate.low, other.measure(name).estimate.high) != (low, high)


def test_a_strategy_without_threshold_is_skipped(make_scores):
    finding = diagnose_fragility(make_scores(objects=6), "guaranteed-recall:0.01,0.01", seed=0)
    assert finding.verdict == "skip"


def test_where_every_object_is_mixed_pictures_choose_and_objects_do_not(make_scores):
    scores = make_scores(2.0)
    # Every object gets a defective picture.
    owners = scores["object_id"].to_pylist()
    first = [owner not in owners[:place] for place, owner in enumerate(owners)]
    names = {i for i, is_first in zip(scores["image_id"].to_pylist(), first, strict=True) if is_first}
    label = [
        int(i in names or old)
        for i, old in zip(scores["image_id"].to_pylist(), scores["label"].to_pylist(), strict=True)
    ]
    scores = scores.set_column(scores.column_names.index("label"), "label", pa.array(label, scores["label"].type))
    assert diagnose_fragility(scores, "youden", seed=0).verdict != "skip"
    skipped = diagnose_fragility(scores, "guaranteed-recall", seed=0)
    assert (skipped.verdict, "chooses on objects" in skipped.why) == ("skip", True)


@pytest.mark.parametrize(
    ("strategy", "rules"),
    [
        ("youden", {}),
        ("guaranteed-recall", {"object_score": "mean"}),
        ("guaranteed-recall", {}),
        ("cost", {"prevalence": 0.02}),
        ("cost", {"prevalence": 0.02, "cost_escape": 500.0, "cost_overkill": 2.0}),
        ("fbeta", {"beta": 8.0}),
        ("conformal:0.2", {}),
        ("target-fpr", {}),
    ],
)
def test_the_threshold_is_the_runs(make_scores, strategy, rules):
    """Whatever the run is evaluated with: object scores, costs at the factory's prevalence, beta."""
    scores = make_scores(1.5, objects=80, views=5)
    metrics = evaluate(scores, strategies=(strategy,), methods=(), replicates=1, **rules).metrics
    metrics = metrics.filter(pc.and_(pc.equal(metrics["level"], "image"), pc.equal(metrics["metric"], "recall")))
    thresholds = dict(zip(metrics["fold"].to_pylist(), metrics["threshold"].to_pylist(), strict=True))
    decided = {
        (row["fold"], row["image_id"]): row["flagged"]
        for row in diagnose_fragility(scores, strategy, seed=0, **rules).evidence.to_pylist()
    }
    expected = {
        (row["fold"], row["image_id"]): row["score"] >= thresholds[row["fold"]]
        for row in scores.to_pylist()
        if row["partition"] == "inference"
    }
    assert decided == expected


def test_pictures_are_no_parts_for_a_guarantee_on_parts(make_scores):
    # Ten defective parts in the threshold partition are too few, however many pictures they have.
    assert diagnose_fragility(make_scores(objects=20, views=5), "guaranteed-recall", seed=0).verdict == "skip"


def test_curves_fall_and_rise(make_scores):
    curves = outcome_curves(make_scores(2.0))
    assert (np.diff(curves["recall"], axis=1) <= 0).all()
    assert (np.diff(curves["specificity"], axis=1) >= 0).all()
    assert curves["recall"].shape == (4, len(curves["position"]))
    middle = np.searchsorted(curves["position"], 1.0)
    assert curves["specificity"][:, middle].mean() == pytest.approx(0.84, abs=0.06)


def test_a_review_is_a_decision_of_its_own(make_scores):
    scores = make_scores(1.5)
    pair, low, high = (
        diagnose_fragility(scores, text, seed=0).measure("decision-flips").estimate.value
        for text in ("two-sided:0.1,0.1", "target-recall:0.9", "target-fpr:0.1")
    )
    # Both thresholds are those of the other two, so either may move over a picture.
    assert max(low, high) <= pair + 1e-12
    assert pair <= low + high + 1e-12
    finding = diagnose_fragility(scores, "review-cost", cost_review=0.1, seed=0)
    assert finding.verdict != "skip"
    # A review that costs too much is never asked for.
    dear = diagnose_fragility(scores, "review-cost", cost_review=50.0, seed=0).measure("decision-flips")
    assert dear == diagnose_fragility(scores, "cost", seed=0).measure("decision-flips")
