"""`evaluate`: invariances, determinism, the shape of summary.json, warnings, and what shortcuts would have claimed."""

import json
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raylab2f.errors import UserError
from raylab2f.evaluation import evaluate
from raylab2f.evaluation.decisions.thresholds import STRATEGIES
from raylab2f.evaluation.intervals.bootstrap import bootstrap_chunks
from raylab2f.evaluation.intervals.methods import INTERVALS
from raylab2f.evaluation.summary import METRICS_SCHEMA, SUMMARY_VERSION
from raylab2f.pitfalls import Caution

QUICK = {"replicates": 60}


def replaced(table, **columns):
    for name, values in columns.items():
        table = table.set_column(table.column_names.index(name), name, pa.array(values))
    return table


def outcome(table, **options):
    """Everything but the thresholds themselves, which a transform of the scores transforms."""
    summary = evaluate(table, **{**QUICK, **options})
    return summary.to_dict()["estimates"], summary.to_dict()["shortcuts"]


TRANSFORMS = {
    "affine": lambda s: 3 * s - 7,
    "exp": np.exp,
    "arctan": lambda s: np.arctan(s / 4),
    "cube": lambda s: s**3,
    "rank": lambda s: np.unique(s, return_inverse=True)[1].astype(float),
}


@settings(max_examples=5)
@given(seed=st.integers(0, 10**6), decimals=st.sampled_from([0, 1, 3]))
def test_monotone_transforms_change_nothing(simulate, seed, decimals):
    table = simulate(seed=seed, decimals=decimals, folds=2)
    strategies = list(STRATEGIES)
    plain = outcome(table, strategies=strategies)
    for name, transform in TRANSFORMS.items():
        scores = transform(table["score"].to_numpy())
        assert outcome(replaced(table, score=scores), strategies=strategies) == plain, name


@settings(max_examples=8)
@given(seed=st.integers(0, 10**6), partition=st.booleans())
def test_row_order_and_names_change_nothing(simulate, seed, partition):
    table = simulate(decimals=1, folds=2)
    if not partition:
        table = table.drop_columns(["partition"])
    rng = np.random.default_rng(seed)
    names = {name: f"thing {i}" for i, name in enumerate(rng.permutation(np.unique(table["object_id"])))}
    pictures = {name: f"{i}.jpg" for i, name in enumerate(rng.permutation(np.unique(table["image_id"])))}
    renamed = replaced(
        table,
        object_id=[names[name] for name in table["object_id"].to_pylist()],
        image_id=[pictures[name] for name in table["image_id"].to_pylist()],
    )
    shuffled = renamed.take(rng.permutation(table.num_rows))
    for rule in ("max", "mean"):
        assert outcome(table, object_score=rule) == outcome(shuffled, object_score=rule)


def test_the_same_seed_gives_the_same_summary(simulate):
    table = simulate()
    first, second, other = (evaluate(table, seed=seed, **QUICK).to_dict() for seed in (3, 3, 4))
    assert first == second
    assert first["estimates"] != other["estimates"]
    means = [[row["mean"] for row in summary["estimates"]] for summary in (first, other)]
    assert means[0] == means[1]


def test_mean_and_deviation_are_over_folds(simulate):
    summary = evaluate(simulate(), **QUICK)
    row = summary.find("recall", level="image", strategy="youden")
    mask = pc.and_(pc.equal(summary.metrics["metric"], "recall"), pc.equal(summary.metrics["level"], "image"))
    values = summary.metrics.filter(mask)["value"].to_numpy()
    assert row.folds == 3
    assert row.mean == pytest.approx(values.mean(), abs=1e-15)
    assert row.std == pytest.approx(values.std(ddof=1), abs=1e-15)


def test_thresholds_in_the_metrics_table_reproduce_the_recall(simulate):
    table = simulate()
    metrics = evaluate(table, strategies=("youden", "cost"), **QUICK).metrics
    for row in metrics.to_pylist():
        if row["metric"] == "recall" and row["level"] == "image":
            here = table.filter(
                pc.and_(
                    pc.and_(pc.equal(table["fold"], row["fold"]), pc.equal(table["partition"], "inference")),
                    pc.equal(table["label"], 1),
                )
            )
            assert (here["score"].to_numpy() >= row["threshold"]).mean() == row["value"]


def test_the_summary_has_the_documented_shape(simulate):
    summary = evaluate(
        simulate(),
        strategies=("youden", "target-recall:0.9"),
        prevalence=0.02,
        dataset={"name": "parts"},
        detector="glass",
        preset="fast",
        planned_folds=4,
        warnings=(Caution("RL206", "From before."),),
        **QUICK,
    )
    content = json.loads(json.dumps(summary.to_dict(), allow_nan=False))
    assert content["version"] == SUMMARY_VERSION
    assert content["dataset"] == {"name": "parts"}
    assert (content["detector"], content["preset"], content["seed"]) == ("glass", "fast", 0)
    assert content["folds"] == {"planned": 4, "finished": 3}
    assert content["warnings"][0] == {"code": "RL206", "text": "From before."}
    assert any("Only 3 of 4 folds" in warning["text"] for warning in content["warnings"])
    keys = {"strategy", "level", "metric", "mean", "std", "folds", "interval", "intervals"}
    seen = set()
    for row in content["estimates"]:
        assert set(row) == keys
        assert (row["strategy"], row["level"], row["metric"]) not in seen
        seen.add((row["strategy"], row["level"], row["metric"]))
        assert row["interval"]["method"] == "object-bootstrap"
        assert row["interval"] in row["intervals"]
        for interval in row["intervals"]:
            assert set(interval) == {"method", "confidence", "low", "high"}
            assert interval["method"] in INTERVALS
            assert interval["low"] <= interval["high"]
        assert row["interval"]["low"] <= row["mean"] <= row["interval"]["high"]
    assert ("any", "image", "auroc") in seen
    assert ("target-recall:0.9", "object", "precision_at_prevalence") in seen
    assert ("youden", "object", "recall[dent]") in seen
    assert summary.metrics.schema == METRICS_SCHEMA
    assert summary.metrics.num_rows == 3 * len(seen)


def test_methods_appear_where_they_apply(simulate):
    rows = {(r.level, r.metric): {i.method for i in r.intervals} for r in evaluate(simulate(), **QUICK).estimates}
    everywhere = {
        "object-bootstrap",
        "object-bootstrap-percentile",
        "object-bootstrap-bca",
        "corrected-t",
        "naive-t",
    }
    assert rows["image", "f1"] == everywhere | {"naive-picture-bootstrap"}
    assert rows["object", "f1"] == everywhere
    assert rows["object", "escape_rate"] == everywhere | {"clopper-pearson", "wilson"}
    assert rows["object", "auroc"] == everywhere | {"delong"}


def test_one_method_alone_and_the_one_asked_for(simulate):
    summary = evaluate(simulate(), interval="clopper-pearson", methods=(), **QUICK)
    assert summary.find("recall", level="object").interval.method == "clopper-pearson"
    assert summary.find("recall", level="image").interval is None
    assert any("does not apply to all estimates" in warning for warning in summary.warnings)


def test_rates_that_mirror_each_other_have_mirrored_intervals(simulate):
    summary = evaluate(simulate(), **QUICK)
    for level in ("image", "object"):
        for one, other in (("recall", "escape_rate"), ("specificity", "overkill_rate")):
            first, second = summary.find(one, level=level), summary.find(other, level=level)
            assert first.mean == pytest.approx(1 - second.mean)
            assert first.interval.low == pytest.approx(1 - second.interval.high, abs=1e-9)


def test_few_objects_single_folds_and_perfect_scores_are_warned_of(simulate):
    warnings = " ".join(evaluate(simulate(separation=30, folds=1), **QUICK).warnings)
    assert "only one fold" in warnings
    assert "All folds together judge 6 anomalous objects only" in warnings
    assert "Too few errors were seen to know how they vary, for recall of 'youden' at image level" in warnings
    assert "auroc at object level" in warnings
    assert evaluate(simulate(anomalous=40, nominal=40, separation=1.0), **QUICK).warnings == ()


@pytest.mark.filterwarnings("error")
def test_a_defect_type_that_no_fold_judges_has_no_figure(simulate):
    table = simulate(folds=1)
    chosen = pc.and_(pc.equal(table["partition"], "threshold"), pc.equal(table["label"], 1))
    kinds = pc.if_else(chosen, "only to choose by", table["defect_type"])
    summary = evaluate(replaced(table, defect_type=kinds.to_pylist()), **QUICK)
    metrics = {row["metric"]: row for row in summary.to_dict()["estimates"] if row["level"] == "object"}
    assert "recall[dent]" in metrics
    assert all(row["mean"] is None for name, row in metrics.items() if "only to choose by" in name)


def test_a_perfect_detector_is_not_certain(simulate):
    table = simulate()
    summary = evaluate(replaced(table, score=table["label"].cast(pa.float64()).to_pylist()), **QUICK)
    for metric in ("recall", "specificity", "balanced_accuracy", "auroc"):
        row = summary.find(metric, level="object")
        assert (row.mean, row.interval.high) == (1.0, 1.0)
        assert 0.65 < row.interval.low < 0.9


def one_fold(choosing, judged):
    """One picture an object, no errors; so many objects of each class choose the threshold and are judged."""
    rows = [
        (part, label)
        for part, size in (("threshold", choosing), ("inference", judged))
        for label in (0, 1)
        for _ in range(size)
    ]
    part, label = zip(*rows, strict=True)
    names = [f"part {i}" for i in range(len(rows))]
    score = np.array(label) + np.arange(len(rows)) / 1e4
    columns = {"image_id": names, "object_id": names, "label": label, "score": score, "partition": part}
    return pa.table({**columns, "fold": [0] * len(rows)})


@pytest.mark.parametrize("choosing", [4, 200])
def test_objects_that_only_choose_the_threshold_make_no_figure_surer(choosing):
    summary = evaluate(one_fold(choosing, 20), **QUICK)
    for metric in ("recall", "specificity", "auroc", "balanced_accuracy"):
        assert summary.find(metric).interval.low == pytest.approx(0.8299, abs=1e-4)
    # Beside it Wilson's, with normal quantiles in place of Student's.
    assert {i.method: i.low for i in summary.find("recall").intervals}["wilson"] == pytest.approx(0.8389, abs=1e-4)
    assert not any("All folds together judge" in warning for warning in summary.warnings)
    few = evaluate(one_fold(choosing, 19), **QUICK).warnings
    assert any("All folds together judge 19 anomalous objects only" in warning for warning in few)


def test_even_one_judged_object_of_each_class_has_an_interval():
    row = evaluate(one_fold(4, 1), **QUICK).find("recall")
    assert (row.mean, row.interval.high) == (1.0, 1.0)
    assert 0 < row.interval.low < 0.05


def test_a_strategy_without_a_threshold_says_why(simulate):
    summary = evaluate(simulate(), strategies=("guaranteed-recall", "youden"), **QUICK)
    row = summary.find("recall", strategy="guaranteed-recall")
    assert (row.mean, row.std, row.folds, row.interval, row.intervals) == (None, None, 0, None, ())
    assert any(
        "no threshold in 3 of 3 folds: Not enough defective parts, 23 more needed." in w for w in summary.warnings
    )
    json.dumps(summary.to_dict(), allow_nan=False)


def without_good_objects(partition):
    """Good pictures everywhere, but good objects in the other partition only; three pictures an object."""
    rows = []
    for place, first, count in (("threshold", 0, 20), ("inference", 20, 40)):
        for part in range(first, first + count):
            defective = place == partition or part % 2 == 0
            rows += [(f"{part}-{view}", f"{part}", int(defective and view == 0), place, 0) for view in range(3)]
    columns = dict(zip(("image_id", "object_id", "label", "partition", "fold"), zip(*rows, strict=True), strict=True))
    score = 2 * np.array(columns["label"]) + np.random.default_rng(0).standard_normal(len(rows))
    return pa.table({**columns, "score": score})


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("partition", "said"),
    [
        (
            "threshold",
            "Strategy 'youden' gives no threshold at object level in 1 of 1 folds: The threshold partition has no "
            "nominal objects.",
        ),
        (
            "inference",
            "1 of 1 folds judge no nominal objects and give no figures at object level; an object with one anomalous "
            "picture is anomalous.",
        ),
    ],
)
def test_a_level_without_objects_of_a_class_is_named(partition, said):
    summary = evaluate(without_good_objects(partition), **QUICK)
    assert summary.find("recall", level="image").mean is not None
    assert summary.find("recall", level="object").mean is None
    assert said in summary.warnings
    assert not any("bootstrap replicates" in warning for warning in summary.warnings)


def test_replicates_without_a_threshold_are_counted_where_they_are_lost():
    # Four good objects choose, just enough; at image level the good pictures of five defective ones help.
    table = without_good_objects("none")
    kept = pc.or_(pc.not_equal(table["partition"], "threshold"), pc.less(pc.cast(table["object_id"], pa.int64()), 9))
    warnings = evaluate(table.filter(kept), strategies=("conformal:0.2",), **QUICK).warnings
    assert any("gives no outcome at object level in" in warning for warning in warnings)


def test_strategies_on_nominal_scores_need_no_defects_to_choose(simulate):
    table = simulate()
    table = table.filter(pc.or_(pc.equal(table["partition"], "inference"), pc.equal(table["label"], 0)))
    summary = evaluate(table, strategies=("conformal:0.2", "nominal-quantile", "target-fpr"), **QUICK)
    assert summary.find("recall", strategy="conformal:0.2").folds == 3
    with pytest.raises(UserError, match="no anomalous pictures, which the strategy 'youden' needs"):
        evaluate(table, **QUICK)


def test_choosing_on_the_judged_partition_is_shown_to_be_optimistic(simulate):
    gains = []
    for seed in range(8):
        summary = evaluate(simulate(seed=seed), methods=("naive-t",), interval="naive-t", **QUICK)
        gains += [
            s.optimism
            for s in summary.shortcuts
            if s.metric == "balanced_accuracy" and s.shortcut == "threshold-on-inference"
        ]
    assert len(gains) == 16
    assert min(gains) >= 0
    assert np.mean(gains) > 0.02


def test_costs_and_prevalence_reach_the_strategy_and_the_metric(simulate):
    table = simulate()
    cheap, dear = (
        evaluate(table, strategies=("cost",), cost_escape=cost, prevalence=0.1, **QUICK) for cost in (1, 500)
    )
    assert dear.find("recall").mean > cheap.find("recall").mean
    row = dear.find("cost_at_prevalence")
    expected = 1000 * (0.1 * 500 * dear.find("escape_rate").mean + 0.9 * dear.find("overkill_rate").mean)
    assert row.mean == pytest.approx(expected)


def at_prevalence(recall, overkill_rate, prevalence):
    rejected, alarms = prevalence * recall, (1 - prevalence) * overkill_rate
    return rejected / (rejected + alarms), (1 - prevalence - alarms) / (1 - rejected - alarms)


def test_folds_without_false_alarms_do_not_make_rejected_parts_defective(simulate):
    table = simulate(separation=3.0, folds=6)
    summary = evaluate(table, prevalence=0.02, **QUICK)
    rows = [row for row in summary.metrics.to_pylist() if row["level"] == "object"]
    folds = {name: [row["value"] for row in rows if row["metric"] == name] for name in {row["metric"] for row in rows}}
    assert folds["overkill_rate"].count(0) >= 3
    assert max(folds["overkill_rate"]) > 0
    for values in zip(
        *(folds[name] for name in ("recall", "overkill_rate", "precision_at_prevalence", "npv_at_prevalence")),
        strict=True,
    ):
        assert values[2:] == pytest.approx(at_prevalence(*values[:2], 0.02))
    precision, npv = at_prevalence(summary.find("recall").mean, summary.find("overkill_rate").mean, 0.02)
    assert summary.find("precision_at_prevalence").mean == pytest.approx(precision)
    assert summary.find("npv_at_prevalence").mean == pytest.approx(npv)
    # The mean of the folds, which was reported once, promises twice as much.
    assert np.mean(folds["precision_at_prevalence"]) > 2 * precision


def test_intervals_of_ratios_at_a_prevalence_come_from_those_of_the_rates(simulate):
    summary = evaluate(simulate(separation=1.0, folds=6), prevalence=0.02, **QUICK)
    for level in ("image", "object"):
        recall, overkill, precision, npv = (
            summary.find(name, level=level)
            for name in ("recall", "overkill_rate", "precision_at_prevalence", "npv_at_prevalence")
        )
        # Within what both rates at their worst and best would give, beyond what one alone would.
        worst, worst_npv = at_prevalence(recall.interval.low, overkill.interval.high, 0.02)
        alone, alone_npv = at_prevalence(recall.mean, overkill.interval.high, 0.02)
        assert worst < precision.interval.low < alone < precision.mean < precision.interval.high
        assert worst_npv < npv.interval.low < alone_npv < npv.mean < npv.interval.high


def test_without_false_alarms_a_precision_is_as_sure_as_the_overkill_rate(simulate):
    table = simulate()
    summary = evaluate(replaced(table, score=table["label"].cast(pa.float64()).to_pylist()), prevalence=0.02, **QUICK)
    precision, _ = at_prevalence(1.0, summary.find("overkill_rate").interval.high, 0.02)
    row = summary.find("precision_at_prevalence")
    assert (row.mean, row.interval.high) == (1.0, 1.0)
    assert row.interval.low == pytest.approx(precision)
    assert precision < 0.2


def test_methods_over_folds_do_not_apply_to_ratios_of_mean_rates(simulate):
    summary = evaluate(simulate(), prevalence=0.02, **QUICK)
    methods = {i.method for i in summary.find("precision_at_prevalence").intervals}
    assert methods == {"object-bootstrap", "object-bootstrap-percentile", "object-bootstrap-bca"}
    assert "corrected-t" in {i.method for i in summary.find("cost_at_prevalence").intervals}


def test_replicates_may_be_computed_elsewhere(simulate):
    calls = []

    def elsewhere(problem, replicates, seed):
        calls.append(replicates)
        return bootstrap_chunks(problem, replicates, seed)

    table = simulate()
    assert evaluate(table, replicator=elsewhere, **QUICK).to_dict() == evaluate(table, **QUICK).to_dict()
    assert calls == [60, 60]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"interval": "bayes"}, "Unknown interval method 'bayes'"),
        ({"methods": ("t",)}, "Unknown interval method 't'"),
        ({"confidence": 95}, "between 0 and 1, not 95"),
        ({"replicates": 0}, "at least 1, not 0"),
        ({"prevalence": 2.0}, "prevalence is a share"),
        ({"cost_escape": -1}, "cost of an escape"),
        ({"max_fpr": 0}, "false-alarm rate"),
        ({"object_score": "median"}, "Unknown object score"),
        ({"strategies": ("best",)}, "Unknown threshold strategy 'best'"),
        ({"strategies": ()}, "at least one threshold strategy"),
    ],
)
def test_options_that_make_no_sense_are_refused(simulate, options, message):
    with pytest.raises(UserError, match=message):
        evaluate(simulate(), **{**QUICK, **options})


def test_importing_the_evaluation_needs_nothing_heavy():
    heavy = ("torch", "ray", "pandas", "matplotlib", "sklearn")
    code = f"import sys, raylab2f.evaluation; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
