"""SegF1 against scikit-learn's F1 on all pixels at once."""

import numpy as np
import pyarrow as pa
import pytest
import sklearn.metrics as sk
from hypothesis import given, settings
from hypothesis import strategies as st

from raylab2f.evaluation import evaluate
from raylab2f.evaluation.pixels.pixel_curves import PixelBatch, judge_pixels
from raylab2f.evaluation.pixels.pixel_level import judge_pixel_level
from raylab2f.evaluation.pixels.segmentation import (
    SEGMENTATION_METRICS,
    SEGMENTATION_SCHEMA,
    build_segmentation_problem,
    judge_segmentation,
    judge_segmentation_problem,
)


def draw(seed, *, pictures=16, size=(20, 16), decimals=None, separation=2.0):
    """Every second picture anomalous with a square; two pictures an object; the first half chooses."""
    rng = np.random.default_rng(seed)
    maps = rng.standard_normal((pictures, *size))
    defects = np.zeros(maps.shape, bool)
    for number in range(0, pictures, 2):
        row, column = rng.integers(0, size[0] - 6), rng.integers(0, size[1] - 6)
        defects[number, row : row + 6, column : column + 5] = True
    maps += separation * defects
    maps = (maps if decimals is None else maps.round(decimals)).astype(np.float32)
    known = {
        f"{number:02}.png": {
            "object_id": f"part {number % 2}.{number // 4}",
            "label": 1 - number % 2,
            "partition": "threshold" if number < pictures // 2 else "inference",
        }
        for number in range(pictures)
    }
    return maps, defects, known


def judge(maps, defects, known):
    names = list(known)

    def batches(partition):
        rows = [row for row, name in enumerate(names) if partition in (None, known[name]["partition"])]
        for start in range(0, len(rows), 3):
            part = rows[start : start + 3]
            yield PixelBatch(tuple(names[row] for row in part), maps[part], defects[part])

    table = judge_segmentation(batches, known)
    return None if table is None else table.append_column("fold", pa.array([0] * table.num_rows, pa.int32()))


def metrics_of(table):
    problem = build_segmentation_problem(table)
    values = judge_segmentation_problem(problem, np.ones((len(problem.strata), 1)))[:, 0, 0]
    return dict(zip(SEGMENTATION_METRICS, values.tolist(), strict=True))


def plain(maps, defects, known):
    chooses = np.array([row["partition"] == "threshold" for row in known.values()])
    good = np.array([row["label"] == 0 for row in known.values()])

    def f1(part, threshold):
        return sk.f1_score(defects[part].ravel(), (maps[part] >= threshold).ravel(), zero_division=0)

    precision, recall, values = sk.precision_recall_curve(defects[chooses].ravel(), maps[chooses].ravel())
    reached = 2 * precision * recall / np.maximum(precision + recall, 1e-300)
    # Of equal ones the highest threshold; the last point flags nothing.
    best = values[len(values) - 1 - reached[-2::-1].round(12).argmax()]
    normal = maps[chooses & good].astype(np.float64)
    three = normal.mean() + 3 * normal.std()
    return {"seg_f1": f1(~chooses, best), "seg_f1_3std": f1(~chooses, three)}


@settings(max_examples=30)
@given(seed=st.integers(0, 10**6), separation=st.sampled_from([0.0, 2.0, 5.0]))
def test_with_few_distinct_values_it_is_exact(seed, separation):
    drawn = draw(seed, decimals=0, separation=separation)
    assert metrics_of(judge(*drawn)) == pytest.approx(plain(*drawn), abs=1e-12)


@pytest.mark.parametrize("seed", range(6))
def test_with_many_values_the_published_one_is_exact_and_ours_near(seed):
    drawn = draw(seed, size=(64, 60))
    ours, expected = metrics_of(judge(*drawn)), plain(*drawn)
    assert ours["seg_f1_3std"] == pytest.approx(expected["seg_f1_3std"], abs=1e-12)
    assert ours["seg_f1"] == pytest.approx(expected["seg_f1"], abs=0.02)


def test_judged_pictures_choose_nothing():
    maps, defects, known = draw(3)
    one = judge(maps, defects, known)
    changed = maps.copy()
    changed[8:] = changed[8:] * 7 - 3
    other = judge(changed, defects, known)
    assert one["thresholds"][0] == other["thresholds"][0]
    kept = [row["image_id"] < "08" for row in one.to_pylist()]
    assert one.filter(pa.array(kept)).equals(other.filter(pa.array(kept)))


def test_weights_are_repetitions():
    maps, defects, known = draw(5)
    table = judge(maps, defects, known)
    problem = build_segmentation_problem(table)
    names = np.unique(table["object_id"].to_pylist())
    rng = np.random.default_rng(0)
    for _ in range(5):
        weights = rng.integers(0, 3, len(names)).astype(float)
        found = judge_segmentation_problem(problem, weights[:, None])[:, 0, 0]
        rows = [
            {**row, "object_id": f"{row['object_id']} {copy}"}
            for row in table.to_pylist()
            for copy in range(int(weights[list(names).index(row["object_id"])]))
        ]
        again = build_segmentation_problem(pa.Table.from_pylist(rows, schema=table.schema))
        expected = judge_segmentation_problem(again, np.ones((len(again.strata), 1)))[:, 0, 0]
        # Counts for a mean and deviation of their own are interpolated alike.
        assert found == pytest.approx(expected, abs=1e-9, nan_ok=True)


def test_without_masks_in_the_threshold_partition_the_published_one_is_left():
    maps, defects, known = draw(1)
    unmasked = defects.copy()
    unmasked[:8] = False
    found = metrics_of(judge(maps, unmasked, known))
    assert np.isnan(found["seg_f1"])
    assert 0 < found["seg_f1_3std"] < 1
    nothing = defects.copy()
    nothing[8:] = False
    assert judge(maps, nothing, known) is None
    only = {name: row for name, row in known.items() if row["label"]}
    places = [number for number, row in enumerate(known.values()) if row["label"]]
    assert judge(maps[places], defects[places], only) is None


def test_perfect_maps_and_maps_that_say_nothing():
    maps, defects, known = draw(2)
    share = defects[8:].mean()
    everything = pytest.approx(2 * share / (1 + share))
    found = metrics_of(judge(defects.astype(np.float32), defects, known))
    # Good pixels that do not vary are all at their mean, and so cut.
    assert found == {"seg_f1": 1.0, "seg_f1_3std": everything}
    assert metrics_of(judge(np.zeros_like(maps), defects, known))["seg_f1"] == everything


def test_a_summary_has_it_with_intervals_and_older_runs_load_without(simulate):
    tables, pixels = [], []
    for fold in range(2):
        maps, defects, known = draw(fold, pictures=40)
        table = judge(maps, defects, known).drop_columns("fold")
        tables.append(table.append_column("fold", pa.array([fold] * table.num_rows, pa.int32())))
        judged = {name: row for name, row in known.items() if row["partition"] == "inference"}
        batch = PixelBatch(tuple(judged), maps[20:], defects[20:])
        own = judge_pixels(lambda batch=batch: [batch], judged)
        pixels.append(own.append_column("fold", pa.array([fold] * own.num_rows, pa.int32())))
    given_tables = pa.concat_tables(pixels), pa.concat_tables(tables)
    summary = evaluate(simulate(), replicates=200, pixels=given_tables[0], segmentation=given_tables[1])
    for metric in SEGMENTATION_METRICS:
        row = summary.find(metric, level="pixel")
        assert row.folds == 2
        assert row.interval.low < row.mean < row.interval.high
        assert {one.method for one in row.intervals} >= {"object-bootstrap", "corrected-t"}
    before = evaluate(simulate(), replicates=20, pixels=given_tables[0])
    with pytest.raises(KeyError):
        before.find("seg_f1", level="pixel")
    options = {"ratio": 1.0, "methods": ["object-bootstrap"], "default": "object-bootstrap", "confidence": 0.95}
    one, other = (judge_pixel_level(*given_tables, **options, replicates=50, seed=1) for _ in range(2))
    assert one.estimates == other.estimates
    assert tables[0].drop_columns("fold").schema.equals(SEGMENTATION_SCHEMA)
