"""Recall and overkill rate of some rows: of a defect type, a condition, a view."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raylab2f.errors import UserError
from raylab2f.evaluation import evaluate

QUICK = {"replicates": 50, "methods": ("object-bootstrap",)}


def scored(seed=0, *, objects=40, views=3, condition=lambda o, v: "dark" if o % 3 == 0 else "light"):
    """A table of two folds in which all objects are judged once, with conditions and views."""
    generator = np.random.default_rng(seed)
    rows = [
        {
            "fold": fold,
            "partition": ("threshold", "inference")[(o + fold) % 2],
            "image_id": f"o{o}v{v}",
            "object_id": f"o{o}",
            "label": int(o >= objects // 2),
            "score": float(generator.normal() + 1.5 * (o >= objects // 2)),
            "view": f"v{v}",
            "condition": condition(o, v),
        }
        for fold in range(2)
        for o in range(objects)
        for v in range(views)
    ]
    return pa.Table.from_pylist(rows)


def counted(table, summary, column, value, label):
    """The share of judged pictures of one class that is flagged, fold by fold, counted one by one."""
    thresholds = {
        row["fold"]: row["threshold"]
        for row in summary.metrics.to_pylist()
        if (row["level"], row["metric"], row["strategy"]) == ("image", "recall", "youden")
    }
    shares = []
    for fold, threshold in thresholds.items():
        flags = [
            row["score"] >= threshold
            for row in table.to_pylist()
            if (row["fold"], row["partition"], row["label"]) == (fold, "inference", label) and row[column] == value
        ]
        shares += [np.mean(flags)] if flags else []
    return np.mean(shares)


@given(st.integers(0, 2**31))
@settings(max_examples=10)
def test_rates_are_those_counted_among_the_pictures(seed):
    table = scored(seed)
    summary = evaluate(table, by=("condition", "view"), **QUICK)
    for column, value in (("condition", "dark"), ("condition", "light"), ("view", "v1")):
        for label, rate in ((1, "recall"), (0, "overkill_rate")):
            row = summary.find(f"{rate}[{column}={value}]", level="image")
            assert row.mean == pytest.approx(counted(table, summary, column, value, label))
            assert row.interval.low <= row.mean <= row.interval.high


def test_figures_are_broken_down_by_condition_where_there_is_one():
    metrics = {row.metric for row in evaluate(scored(), **QUICK).estimates}
    assert {"recall[condition=dark]", "overkill_rate[condition=light]"} <= metrics
    assert not any("view=" in metric for metric in metrics)
    bare = evaluate(scored().drop_columns(["condition", "view"]), **QUICK)
    assert not any("[" in row.metric for row in bare.estimates)


def test_other_figures_do_not_depend_on_it():
    plain, parts = (evaluate(scored(), by=by, **QUICK) for by in ((), ("condition", "view")))
    kept = [row for row in parts.estimates if "=" not in row.metric]
    assert list(plain.estimates) == kept


def test_an_object_belongs_to_a_condition_if_all_of_its_pictures_do():
    whole = evaluate(scored(), **QUICK)
    assert whole.find("recall[condition=dark]", level="object").folds == 2
    torn = evaluate(scored(condition=lambda o, v: f"lamp{v}"), **QUICK)
    levels = {row.level for row in torn.estimates if "condition=" in row.metric}
    assert levels == {"image"}


def test_pictures_of_no_known_condition_are_in_none():
    summary = evaluate(scored(condition=lambda o, v: "" if v else "dark"), **QUICK)
    assert {row.metric for row in summary.estimates if "condition=" in row.metric} == {
        "recall[condition=dark]",
        "overkill_rate[condition=dark]",
    }


def test_values_of_every_fold_are_in_the_metrics_table():
    names = evaluate(scored(), **QUICK).metrics["metric"].to_pylist()
    assert names.count("recall[condition=dark]") == 4


@pytest.mark.parametrize(("by", "said"), [(("batch",), "--by batch"), (("view",), "--by view")])
def test_what_the_scores_do_not_say_is_refused(by, said):
    with pytest.raises(UserError, match=said):
        evaluate(scored().drop_columns(["view"]), by=by, **QUICK)
