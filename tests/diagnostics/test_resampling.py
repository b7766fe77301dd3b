import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics import roc_auc_score

from raylab2f.diagnostics.resampling import auroc, auroc_difference, mean, mean_difference, resample
from raylab2f.evaluation import evaluate


@pytest.fixture
def rows():
    rng = np.random.default_rng(3)
    labels = np.repeat([0, 1], [60, 30])
    objects = np.array([f"o{i // 3}" for i in range(90)])
    scores = labels + np.repeat(rng.normal(0, 1, 30), 3) + rng.normal(0, 0.3, 90)
    return objects, labels, scores


def test_values_are_the_plain_ones(rows):
    objects, labels, scores = rows
    draws = resample(objects, labels, seed=0)
    folds = np.tile([0, 1, 2], 30)
    expected = np.mean([roc_auc_score(labels[folds == f], scores[folds == f]) for f in range(3)])
    estimate = auroc(draws, scores, labels, folds)
    assert estimate.value == pytest.approx(expected)
    assert estimate.low < estimate.value < estimate.high
    high = (scores > 0).astype(float)
    assert mean(draws, high, labels == 1).value == pytest.approx(high[labels == 1].mean())
    difference = mean_difference(draws, high, labels == 1, labels == 0)
    assert difference.value == pytest.approx(high[labels == 1].mean() - high[labels == 0].mean())


@pytest.mark.parametrize("separation", [1.0, 2.0, 50.0])
@pytest.mark.parametrize("nominal", [15, 40])
def test_the_interval_of_an_auroc_is_the_evaluations(separation, nominal):
    """But for the draws of the bootstrap: same objects, same rule."""
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], [3 * nominal, 45])
    objects = np.array([f"o{i // 3}" for i in range(len(labels))])
    scores = separation * labels + rng.normal(0, 1, len(labels))
    rows = {"image_id": [str(i) for i in range(len(labels))], "object_id": objects, "label": labels, "score": scores}
    judged = pa.table({**rows, "fold": labels * 0, "partition": ["inference"] * len(labels)})
    # The same objects choose the threshold, on which an AUROC does not depend.
    choosing = {"partition": ["threshold"] * len(labels), "image_id": [f"{i}t" for i in range(len(labels))]}
    table = pa.concat_tables([judged, pa.table({**rows, "fold": labels * 0, **choosing}).select(judged.column_names)])
    expected = evaluate(table, methods=(), replicates=4000).find("auroc", level="image").interval
    found = auroc(resample(objects, labels, seed=0, replicates=4000), scores, labels, labels * 0)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=0.006)


def test_the_interval_of_an_auroc_is_the_evaluations_where_every_object_is_mixed():
    rng = np.random.default_rng(0)
    objects = np.repeat([f"o{i}" for i in range(40)], 4)
    labels = np.tile([1, 0, 0, 0], 40)
    scores = 1.5 * labels + np.repeat(rng.normal(0, 1, 40), 4) + rng.normal(0, 1, 160)
    half = np.where(np.arange(160) % 8 < 4, "threshold", "inference")
    rows = {"image_id": [str(i) for i in range(160)], "object_id": objects, "label": labels, "score": scores}
    table = pa.table({**rows, "fold": labels * 0, "partition": half})
    expected = evaluate(table, methods=(), replicates=4000).find("auroc", level="image").interval
    part = half == "inference"
    draws = resample(objects[part], labels[part], seed=0, replicates=4000)
    found = auroc(draws, scores[part], labels[part], labels[part] * 0)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=0.015)


def test_ties_count_half(rows):
    objects, labels, _ = rows
    assert auroc(resample(objects, labels, seed=0), np.zeros(90), labels, np.zeros(90)).value == 0.5


def test_pictures_of_one_object_are_no_independent_evidence(rows):
    objects, labels, scores = rows
    high = (scores > 0).astype(float)
    by_object = mean(resample(objects, labels, seed=0), high)
    by_picture = mean(resample(np.arange(90).astype(str), labels, seed=0), high)
    assert by_object.high - by_object.low > 1.3 * (by_picture.high - by_picture.low)


def test_equal_scores_differ_by_nothing(rows):
    objects, labels, scores = rows
    estimate = auroc_difference(resample(objects, labels, seed=0), scores, scores, labels, np.zeros(90))
    assert (estimate.value, estimate.low, estimate.high) == (0, 0, 0)


def test_rows_without_a_value_do_not_count(rows):
    objects, labels, _ = rows
    draws = resample(objects, labels, seed=0)
    values = np.where(labels == 1, np.nan, 0.25)
    assert mean(draws, values).value == 0.25
    assert np.isnan(mean(draws, np.full(90, np.nan)).value)


def test_the_seed_decides_and_nothing_else(rows):
    objects, labels, scores = rows
    one, other = (auroc(resample(objects, labels, seed=s), scores, labels, np.zeros(90)) for s in (1, 1))
    assert one == other
