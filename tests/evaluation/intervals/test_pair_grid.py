"""Every pair of thresholds at once: what `evaluate` gives for each of them."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raylab2f.errors import UserError
from raylab2f.evaluation import evaluate
from raylab2f.evaluation.intervals.pair_grid import PAIR_METRICS, pair_grid


def _table(seed, parts=24, folds=3):
    rng = np.random.default_rng(seed)
    rows = [
        {
            "fold": fold,
            "image_id": f"{part}/{view}",
            "object_id": str(part),
            "label": int(part % 3 == 0),
            "partition": "threshold" if (part // 3 + fold) % 2 else "inference",
            "score": float(np.round(rng.normal(part % 3 == 0), 1)),
        }
        for fold in range(folds)
        for part in range(parts)
        for view in range(2)
    ]
    return pa.Table.from_pylist(rows)


@settings(max_examples=25)
@given(
    seed=st.integers(0, 50),
    level=st.sampled_from(["object", "image"]),
    prevalence=st.sampled_from([None, 0.02]),
    review=st.sampled_from([0.25, 20.0]),
    replicates=st.sampled_from([40, 700]),
)
def test_means_and_intervals_are_those_of_evaluate(seed, level, prevalence, review, replicates):
    table, thresholds = _table(seed), np.array([-1.0, 0.2, 0.25, 1.1, 9.0])
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
    rows = _table(1).to_pylist()
    [lonely, *_] = [row["object_id"] for row in rows if row["partition"] == "inference" and row["label"]]
    kept = [row for row in rows if row["partition"] != "inference" or not row["label"] or row["object_id"] == lonely]
    kept += [row for row in rows if row["fold"] == 1 and row not in kept]
    table = pa.Table.from_pylist(kept)
    found = pair_grid(table, np.array([0.0, 1.0]), replicates=60)
    row = evaluate(table, strategies=["fixed-pair:0,1"], methods=(), replicates=60).find("review_rate")
    assert found["review_rate"][:, 0, 1] == pytest.approx((row.mean, row.interval.low, row.interval.high))


def test_scores_without_that_level_are_refused():
    table = _table(0)
    table = table.set_column(table.column_names.index("label"), "label", pa.array([1, 0] * (len(table) // 2)))
    with pytest.raises(UserError, match="have no object level"):
        pair_grid(table, np.array([0.0]))
