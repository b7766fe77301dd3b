"""Probabilities of being defective are fitted on one partition and judged on another."""

import json

import numpy as np
import pyarrow as pa
import pytest
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import brier_score_loss, log_loss

from raylab2f.errors import UserError
from raylab2f.evaluation import evaluate
from raylab2f.evaluation.probabilities.reliability import (
    RELIABILITY_METRICS,
    Judged,
    chance_ece,
    equal_mass_bins,
    reliability_metrics,
)


def judged(probability, label, weight=None):
    probability, label = np.asarray(probability, float), np.asarray(label, float)
    weight = np.full(len(label), 1 / len(label)) if weight is None else weight / weight.sum()
    return Judged(probability, label, weight, np.arange(len(label)))


def test_metrics_agree_with_scikit_learn():
    rng = np.random.default_rng(0)
    p = rng.random(300).round(2).clip(0.01, 0.99)
    y = (rng.random(300) < p**1.5).astype(float)
    weight = rng.integers(1, 4, 300).astype(float)
    brier, loss, ece, off, told = reliability_metrics(judged(p, y, weight))
    assert brier == pytest.approx(brier_score_loss(y, p, sample_weight=weight))
    assert loss == pytest.approx(log_loss(y, p, sample_weight=weight))
    base = np.average(y, weights=weight)
    assert brier == pytest.approx(off - told + base * (1 - base))
    right = IsotonicRegression().fit(p, y, sample_weight=weight).predict(p)
    assert off == pytest.approx(brier - brier_score_loss(y, right, sample_weight=weight))
    assert 0 < ece < 0.3


def test_ece_of_equal_mass_bins_by_hand():
    p = np.repeat(np.arange(0.05, 1, 0.1), 10)
    y = np.zeros(100)
    y[np.arange(100) % 10 < np.repeat([0, 1, 3, 3, 4, 6, 6, 8, 8, 10], 10)] = 1
    assert equal_mass_bins(p, np.full(100, 0.01)).tolist() == np.repeat(np.arange(10), 10).tolist()
    shares = np.array([0, 1, 3, 3, 4, 6, 6, 8, 8, 10]) / 10
    assert reliability_metrics(judged(p, y))[2] == pytest.approx(np.abs(shares - np.arange(0.05, 1, 0.1)).mean())
    # One probability for all is one bin.
    assert len(set(equal_mass_bins(np.full(50, 0.3), np.full(50, 0.02)).tolist())) == 1


def test_a_certainty_that_was_wrong_costs_everything():
    assert np.isinf(reliability_metrics(judged([0.0, 1.0], [1, 1]))[1])
    assert reliability_metrics(judged([0.0, 1.0], [0, 1]))[:3] == pytest.approx([0, 0, 0])


def test_what_chance_alone_gives():
    rng = np.random.default_rng(1)
    p = rng.random(500)
    drawn = [reliability_metrics(judged(p, rng.random(500) < p))[2] for _ in range(200)]
    assert chance_ece(judged(p, p)) == pytest.approx(np.mean(drawn), rel=0.1)


def rows_of(summary, level="object"):
    return {row.metric: row for row in summary.estimates if row.level == level and row.metric in RELIABILITY_METRICS}


@pytest.mark.parametrize("calibrator", ["isotonic", "venn-abers"])
def test_a_summary_says_how_far_probabilities_can_be_relied_on(simulate, calibrator):
    table = simulate(anomalous=30, nominal=30, folds=4)
    summary = evaluate(table, probabilities=calibrator, replicates=200)
    for level in ("image", "object"):
        rows = rows_of(summary, level)
        assert tuple(rows) == RELIABILITY_METRICS
        brier = rows["brier_score"]
        assert brier.interval.low < brier.mean < brier.interval.high
        assert {one.method for one in brier.intervals} >= {"object-bootstrap", "corrected-t"}
        assert {one.method for one in rows["ece"].intervals} == {"object-bootstrap", "object-bootstrap-percentile"}
        bins = summary.reliability["levels"][level]["bins"]
        assert 2 <= len(bins) <= 10
        assert sum(row["weight"] for row in bins) == pytest.approx(1)
        assert all(row["low"] <= row["share"] <= row["high"] for row in bins)
    assert (rows["log_loss"].mean is None) == (calibrator == "isotonic")
    values = summary.to_dict()
    json.dumps(values, allow_nan=False)
    assert values["settings"]["probabilities"] == calibrator
    of_folds = [row for row in summary.metrics.to_pylist() if row["metric"] == "brier_score"]
    assert len(of_folds) == 8
    folds = [row["value"] for row in of_folds if row["level"] == "object"]
    assert np.mean(folds) == pytest.approx(rows_of(summary)["brier_score"].mean)


def test_certainties_that_were_all_right_are_judged():
    rows = [
        {"image_id": f"{i}", "object_id": f"{i}", "label": i % 4 == 0, "score": float(i % 4 == 0), "fold": fold}
        for fold in range(2)
        for i in range(40)
    ]
    table = [
        row | {"label": int(row["label"]), "partition": ("threshold", "inference")[k // 4 % 2]}
        for k, row in enumerate(rows)
    ]
    summary = evaluate(pa.Table.from_pylist(table), probabilities="isotonic", replicates=50)
    found = rows_of(summary)
    assert found["brier_score"].mean == 0
    assert found["brier_score"].interval.high > 0
    assert str(found["log_loss"].mean) == "0.0"
    # What a wrong certainty would cost is without bound, and no replicate has one.
    assert found["log_loss"].interval is None
    json.dumps(summary.to_dict(), allow_nan=False)


def test_every_probability_is_written_and_learnt_from_the_threshold_partition_alone(simulate):
    table = simulate(anomalous=20, nominal=24, folds=2, pictures=2)
    found = evaluate(table, probabilities="isotonic", replicates=20).probabilities.to_pandas()
    rows = table.to_pandas()
    assert set(found["level"]) == {"image", "object"}
    for fold in (0, 1):
        own = rows[rows["fold"] == fold]
        chose, was_judged = own[own["partition"] == "threshold"], own[own["partition"] == "inference"]
        fit = IsotonicRegression(out_of_bounds="clip").fit(chose["score"], chose["label"])
        written = found[(found["fold"] == fold) & (found["level"] == "image")].set_index("id")
        expected = fit.predict(was_judged["score"])
        assert written.loc[was_judged["image_id"], "probability"].to_numpy() == pytest.approx(expected)
        assert written["low"].isna().all()
        objects = found[(found["fold"] == fold) & (found["level"] == "object")].set_index("id")
        assert set(objects.index) == set(was_judged["object_id"])
        assert objects["score"].to_dict() == pytest.approx(was_judged.groupby("object_id")["score"].max().to_dict())
    # Labels of the judged pictures change no probability.
    swapped = rows.copy()
    names = rows.loc[(rows["fold"] == 0) & (rows["partition"] == "inference"), "image_id"]
    only = swapped[swapped["fold"] == 0].copy()
    here = only["image_id"].isin(names)
    only.loc[here, "label"] = 1 - only.loc[here, "label"]
    again = evaluate(pa.Table.from_pandas(only, preserve_index=False), probabilities="isotonic", replicates=20)
    before = found[(found["fold"] == 0) & (found["level"] == "image")].set_index("id")["probability"].to_dict()
    after = again.probabilities.to_pandas()
    assert after[after["level"] == "image"].set_index("id")["probability"].to_dict() == before


def test_venn_abers_writes_both_probabilities(simulate):
    found = evaluate(simulate(), probabilities="venn-abers", replicates=20).probabilities.to_pandas()
    low, high, value = (found[name].to_numpy() for name in ("low", "high", "probability"))
    assert np.all((low <= value) & (value <= high))
    assert value == pytest.approx(high / (1 - low + high))


def test_a_prevalence_moves_probabilities_and_what_they_are_judged_by(simulate):
    table = simulate(anomalous=30, nominal=30, folds=3)
    usual, rare = (evaluate(table, probabilities="venn-abers", prevalence=p, replicates=50) for p in (None, 0.02))
    assert rare.reliability["prevalence"] == 0.02
    one, other = (np.array(found.probabilities["probability"]) for found in (usual, rare))
    assert np.all(other < one)
    # Where few are defective, saying so is nearly right for everyone.
    assert rows_of(rare)["brier_score"].mean < 0.02 < rows_of(usual)["brier_score"].mean
    assert rows_of(rare)["ece"].mean < 0.1


def test_nothing_is_said_without_being_asked(simulate):
    summary = evaluate(simulate(), replicates=20)
    assert summary.probabilities is None
    assert not rows_of(summary)
    assert "reliability" not in summary.to_dict()
    assert "probabilities" not in summary.to_dict()["settings"]


def test_the_same_seed_gives_the_same_intervals(simulate):
    one, other = (evaluate(simulate(), probabilities="isotonic", replicates=50, seed=4) for _ in range(2))
    assert rows_of(one) == rows_of(other)


def test_mistakes_are_one_sentence(simulate):
    with pytest.raises(UserError, match="--probabilities platt: choose from isotonic, venn-abers"):
        evaluate(simulate(), probabilities="platt")
    table = simulate(folds=1).to_pandas()
    table = table[(table["partition"] == "inference") | (table["label"] == 0)]
    with pytest.raises(UserError, match="--probabilities: the threshold partition of fold 0 has no defective pictures"):
        evaluate(
            pa.Table.from_pandas(table, preserve_index=False),
            strategies=("nominal-quantile",),
            probabilities="isotonic",
        )
