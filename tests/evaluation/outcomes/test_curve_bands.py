"""Curves of a page: means over folds, inside their bands."""

import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics import roc_curve

from raylab2f.evaluation.outcomes.curve_bands import curve_bands
from raylab2f.evaluation.outcomes.score_histogram import level_scores, score_histogram
from raylab2f.evaluation.outcomes.wrong_parts import judged_parts
from raylab2f.evaluation.scores import prepare_scores


@pytest.fixture
def table():
    """Three folds of 40 parts with two pictures each; some scores are equal."""
    rng = np.random.default_rng(3)
    rows = []
    for fold in range(3):
        for part in range(40):
            label = int(part < 14)
            partition = "inference" if (part + fold) % 2 else "threshold"
            rows += [
                {
                    "fold": fold,
                    "image_id": f"{part}/{view}",
                    "object_id": f"part {part}",
                    "label": label,
                    "partition": partition,
                    "defect_type": ("dent" if part % 3 else "scratch") if label else None,
                    "score": float(np.round(rng.normal(1.2 * label), 1)),
                }
                for view in range(2)
            ]
    return pa.Table.from_pylist(rows)


def test_the_roc_curve_is_the_mean_of_the_folds(table):
    found = curve_bands(table, levels=("image",), replicates=50).to_pandas()
    roc = found[found["curve"] == "roc"]
    rows = table.to_pandas()
    rows = rows[rows["partition"] == "inference"]
    expected = np.zeros(len(roc))
    for _, fold in rows.groupby("fold"):
        fpr, tpr, _ = roc_curve(fold["label"], fold["score"], drop_intermediate=False)
        expected += [_recall_at(x, fpr, tpr) / 3 for x in roc["x"]]
    np.testing.assert_allclose(roc["y"], expected, atol=1e-12)


def _recall_at(x, fpr, tpr):
    """On the line from the highest point at the false-alarm rate before to the lowest at the next."""
    before = fpr[fpr <= x].max()
    start = tpr[fpr == before].max()
    if not (fpr > x).any():
        return start
    after = fpr[fpr > x].min()
    return start + (tpr[fpr == after].min() - start) * (x - before) / (after - before)


def test_precision_is_that_of_the_highest_threshold_with_the_recall(table):
    found = curve_bands(table, levels=("object",), replicates=50).to_pandas()
    curve = found[found["curve"] == "precision-recall"]
    rows = table.to_pandas()
    parts = rows[rows["partition"] == "inference"].groupby(["fold", "object_id"]).agg({"score": "max", "label": "max"})
    for x, y in zip(curve["x"], curve["y"], strict=True):
        values = []
        for _, fold in parts.groupby("fold"):
            for threshold in sorted(fold["score"].unique(), reverse=True):
                flagged = fold[fold["score"] >= threshold]
                if flagged["label"].sum() / fold["label"].sum() >= x - 1e-12:
                    values.append(flagged["label"].mean())
                    break
        assert y == pytest.approx(np.mean(values))


def test_bands_hold_their_curves_and_are_the_same_for_rows_in_any_order(table):
    found = curve_bands(table, replicates=200, seed=5)
    assert found["level"].to_pylist().count("object") == found["level"].to_pylist().count("image") > 0
    values = found.to_pandas()
    inside = (values["low"] <= values["y"] + 1e-12) & (values["y"] <= values["high"] + 1e-12)
    assert inside.mean() > 0.9
    order = np.random.default_rng(0).permutation(len(table))
    assert curve_bands(table.take(order), replicates=200, seed=5).equals(found)


def test_a_histogram_counts_every_score_once(table):
    score, label, fold = level_scores(prepare_scores(table), "object")
    assert len(score) == 60
    assert set(fold) == {0, 1, 2}
    found = score_histogram(score, label)
    for name in ("good", "defective"):
        assert sum(found[name].to_pylist()) == pytest.approx(1)
    assert found["low"].to_pylist()[1:] == found["high"].to_pylist()[:-1]


@pytest.mark.parametrize("label", [[True] * 4, [False] * 4, [True, True, False, False]])
def test_a_histogram_of_equal_scores_or_of_one_class(label):
    found = score_histogram(np.full(4, 2.5), np.array(label))
    assert sum(found["good"].to_pylist()) == pytest.approx(float(not all(label)))
    assert sum(found["defective"].to_pylist()) == pytest.approx(float(any(label)))


def test_parts_are_listed_with_how_many_folds_judge_them_wrongly(table):
    thresholds = {0: 0.7, 2: 1.1}
    found = judged_parts(prepare_scores(table), thresholds).to_pylist()
    rows = table.to_pandas()
    rows = rows[rows["partition"] == "inference"]
    for part in found:
        own = rows[(rows["object_id"] == part["object_id"]) & rows["fold"].isin(thresholds)]
        scores = own.groupby("fold")["score"].max()
        wrong = [(score >= thresholds[fold]) != bool(part["label"]) for fold, score in scores.items()]
        assert (part["folds"], part["wrong"]) == (len(scores), sum(wrong))
    shares = [part["wrong"] / part["folds"] for part in found]
    assert shares == sorted(shares, reverse=True)
    assert {part["defect_type"] for part in found} == {"dent", "scratch", None}


def test_how_far_beyond_is_a_share_of_the_other_class():
    rows = [("a", 1, 0.2), ("b", 1, 0.9), ("c", 0, 0.1), ("d", 0, 0.2), ("e", 0, 0.95), ("f", 0, 0.05)]
    table = pa.table(
        {
            "fold": [0] * 12,
            "partition": ["inference"] * 6 + ["threshold"] * 6,
            "image_id": [name for name, _, _ in rows] + [f"{name}2" for name, _, _ in rows],
            "object_id": [name for name, _, _ in rows] + [f"{name}2" for name, _, _ in rows],
            "label": [label for _, label, _ in rows] * 2,
            "score": [score for _, _, score in rows] * 2,
        }
    )
    found = {part["object_id"]: part for part in judged_parts(prepare_scores(table), {0: 0.5}).to_pylist()}
    assert {name: part["beyond"] for name, part in found.items()} == {
        "a": 0.5, "b": 0.25, "c": 0.0, "d": 0.5, "e": 1.0, "f": 0.0,
    }  # fmt: skip
    assert [name for name, part in found.items() if part["wrong"]] == ["e", "a"]
