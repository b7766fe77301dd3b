"""`fixed:T`, `fixed-pair:LOW,HIGH`: thresholds that the user gives, in every fold and at either level."""

import numpy as np
import pytest
from alternating_scores import alternating_scores
from hypothesis import given
from hypothesis import strategies as st

from raylab2f.errors import UserError
from raylab2f.evaluation import choose_threshold, evaluate, parse_strategy
from raylab2f.evaluation.decisions.two_thresholds import choose_pair


@given(st.integers(0, 50), st.floats(-3, 3), st.floats(-3, 3))
def test_rates_are_those_of_the_judged_rows_at_that_threshold(seed, one, other):
    table = alternating_scores(seed)
    names = [f"fixed:{threshold!r}" for threshold in dict.fromkeys((one, other))]
    found = evaluate(table, strategies=["youden", *names], methods=(), replicates=20)
    rows = table.to_pandas()
    rows = rows[rows["partition"] == "inference"]
    parts = rows.groupby(["fold", "object_id"]).agg({"score": "max", "label": "max"}).reset_index()
    for name in names:
        threshold = float(name.partition(":")[2])
        for level, judged in (("image", rows), ("object", parts)):
            by_fold = [fold for _, fold in judged.groupby("fold")]
            escapes = np.mean([(fold["score"][fold["label"] == 1] < threshold).mean() for fold in by_fold])
            overkill = np.mean([(fold["score"][fold["label"] == 0] >= threshold).mean() for fold in by_fold])
            assert found.find("escape_rate", level=level, strategy=name).mean == pytest.approx(escapes)
            assert found.find("overkill_rate", level=level, strategy=name).mean == pytest.approx(overkill)
    thresholds = {row["strategy"]: row["threshold"] for row in found.metrics.to_pylist() if row["metric"] == "recall"}
    assert [thresholds[name] for name in names] == [float(name.partition(":")[2]) for name in names]


def test_other_strategies_do_not_notice():
    alone = evaluate(alternating_scores(1), strategies=["youden"], methods=(), replicates=50)
    beside = evaluate(alternating_scores(1), strategies=["fixed:0.5", "youden"], methods=(), replicates=50)
    kept = [row for row in beside.estimates if row.strategy == "youden"]
    assert kept == [row for row in alone.estimates if row.strategy == "youden"]


def test_it_is_chosen_whatever_the_scores():
    assert choose_threshold("fixed:0.25", [0.1, 0.2], [0, 0]).threshold == 0.25


@pytest.mark.parametrize("text", ["fixed", "fixed:", "fixed:nan", "fixed:inf"])
def test_a_threshold_has_to_be_given(text):
    with pytest.raises(UserError, match=r"give the score from which parts are rejected"):
        parse_strategy(text)


@given(st.integers(0, 50), st.floats(-3, 3), st.floats(-3, 3))
def test_between_two_thresholds_a_person_looks(seed, one, other):
    table, (low, high) = alternating_scores(seed), sorted((one, other))
    # Beside others, so that each finds its own thresholds.
    names = [f"fixed:{high!r}", f"fixed-pair:{low!r},{high!r}", f"fixed:{low!r}"]
    found = evaluate(table, strategies=names, methods=(), replicates=20)
    rows = table.to_pandas()
    rows = rows[rows["partition"] == "inference"]
    by_fold = [fold for _, fold in rows.groupby("fold")]
    between = np.mean([((fold["score"] >= low) & (fold["score"] < high)).mean() for fold in by_fold])
    figure = {
        name: {row.metric: row.mean for row in found.estimates if (row.strategy, row.level) == (name, "image")}
        for name in names
    }
    pair = figure[names[1]]
    assert pair["review_rate"] == pytest.approx(between)
    assert pair["escape_rate"] == figure[names[2]]["escape_rate"]
    assert pair["overkill_rate"] == figure[names[0]]["overkill_rate"]
    values = {
        (row["low_threshold"], row["threshold"]) for row in found.metrics.to_pylist() if row["strategy"] == names[1]
    }
    assert values == {(low, high)}


def test_a_pair_is_chosen_whatever_the_scores():
    pair = choose_pair("fixed-pair:0.25,0.5", [0.1, 0.2], [0, 0])
    assert (pair.low, pair.high) == (0.25, 0.5)
    with pytest.raises(UserError, match="two thresholds"):
        choose_threshold("fixed-pair:0.25,0.5", [0.1, 0.2], [0, 1])


@pytest.mark.parametrize("text", ["fixed-pair", "fixed-pair:0.5", "fixed-pair:0.5,nan", "fixed-pair:0.5,0.4"])
def test_both_thresholds_have_to_be_given(text):
    with pytest.raises(UserError, match=r"give the score below which parts are accepted and the one, not lower"):
        parse_strategy(text)
