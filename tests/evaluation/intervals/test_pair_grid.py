"""Every pair of thresholds at once: what `evaluate` gives for each of them."""

import numpy as np
import pyarrow as pa
import pytest
from alternating_scores import alternating_scores
from hypothesis import given, settings
from hypothesis import strategies as st

from raylab2f.errors import UserError
from raylab2f.evaluation import evaluate
from raylab2f.evaluation.intervals.pair_grid import PAIR_METRICS, pair_grid


@settings(max_examples=25)
@given(
    seed=st.integers(0, 50),
    level=st.sampled_from(["object", "image"]),
    prevalence=st.sampled_from([None, 0.02]),
    review=st.sampled_from([0.25, 20.0]),
    replicates=st.sampled_from([40, 700]),
)
def test_means_and_intervals_are_those_of_evaluate(seed, level, prevalence, review, replicates):
    table, thresholds = alternating_scores(seed, folds=3), np.array([-1.0, 0.2, 0.25, 1.1, 9.0])
    rules = {"prevalence": prevalence, "cost_review": review, "replicates": replicates, "seed": seed}
    found = pair_grid(table, thresholds, level=level, **rules)
    wanted = {*PAIR_METRICS, *(() if prevalence is None else ("review_rate_at_prevalence", "cost_at_prevalence"))}
    assert set(found) == wanted
    low, high = sorted(np.random.default_rng(seed).integers(0, len(thresholds), 2).tolist())
    name = f"fixed-pair:{thresholds[low].item()!r},{thresholds[high].item()!r}"
    summary = evaluate(table, strategies=[name], methods=(), **rules)
    for metric in wanted:
        row = summary.find(metric, level=level)
        expected = (row.mean, row.interval.low, row.interval.high)
        assert found[metric][:, low, high] == pytest.approx(expected, rel=1e-9, abs=1e-9), metric
        assert np.isnan(found[metric][:, high, low]).all() or low == high


def test_folds_that_lack_a_class_in_a_replicate_do_not_count_in_it():
    rows = alternating_scores(1, folds=3).to_pylist()
    [lonely, *_] = [row["object_id"] for row in rows if row["partition"] == "inference" and row["label"]]
    kept = [row for row in rows if row["partition"] != "inference" or not row["label"] or row["object_id"] == lonely]
    kept += [row for row in rows if row["fold"] == 1 and row not in kept]
    table = pa.Table.from_pylist(kept)
    found = pair_grid(table, np.array([0.0, 1.0]), replicates=60)
    row = evaluate(table, strategies=["fixed-pair:0,1"], methods=(), replicates=60).find("review_rate")
    assert found["review_rate"][:, 0, 1] == pytest.approx((row.mean, row.interval.low, row.interval.high))


def test_scores_without_that_level_are_refused():
    table = alternating_scores(0, folds=3)
    table = table.set_column(table.column_names.index("label"), "label", pa.array([1, 0] * (len(table) // 2)))
    with pytest.raises(UserError, match="have no object level"):
        pair_grid(table, np.array([0.0]))
