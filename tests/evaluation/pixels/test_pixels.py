"""Pixel metrics against scikit-learn and a plain implementation that ranks all pixels at once."""

import numpy as np
import pyarrow as pa
import pytest
import sklearn.metrics as sk
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from scipy.integrate import quad

from raylab2f.evaluation import evaluate
from raylab2f.evaluation.pixels.pixel_curves import PIXELS_SCHEMA, PixelBatch, judge_pixels
from raylab2f.evaluation.pixels.pixel_level import judge_pixel_level
from raylab2f.evaluation.pixels.pixel_metrics import (
    PIXEL_METRICS,
    build_pixel_problem,
    judge_pixel_problem,
    pixel_replicates,
)


def draw_pictures(seed, *, pictures=8, size=(24, 20), decimals=None, separation=1.5):
    """Half of them anomalous with two square regions; two pictures an object."""
    rng = np.random.default_rng(seed)
    maps = rng.standard_normal((pictures, *size)).astype(np.float32)
    defects = np.zeros(maps.shape, bool)
    for number in range(0, pictures, 2):
        for _ in range(2):
            row, column = rng.integers(0, size[0] - 5), rng.integers(0, size[1] - 5)
            defects[number, row : row + 5, column : column + 4] = True
        maps[number][defects[number]] += separation
    if decimals is not None:
        maps = maps.round(decimals)
    names = [f"{number}.png" for number in range(pictures)]
    known = {
        name: {"object_id": f"part {number % 2}.{number // 4}", "label": 1 - number % 2}
        for number, name in enumerate(names)
    }
    return names, maps, defects, known


def judge(names, maps, defects, known, portion=3):
    def batches():
        for start in range(0, len(names), portion):
            part = slice(start, start + portion)
            yield PixelBatch(tuple(names[part]), maps[part], defects[part])

    return judge_pixels(batches, known)


def with_fold(table, fold=0):
    return table.append_column("fold", pa.array([fold] * table.num_rows, pa.int32()))


def metrics_of(table):
    problem = build_pixel_problem(with_fold(table))
    values = judge_pixel_problem(problem, np.ones((len(problem.strata), 1)))[:, 0, 0]
    return dict(zip(PIXEL_METRICS, values.tolist(), strict=True))


def plain_area(x, y, low, high, weight=lambda x: 1.0):
    """Integral of straight lines between points, cut off at the ends, segment by segment."""
    area = 0.0
    for x0, x1, y0, y1 in zip(x[:-1], x[1:], y[:-1], y[1:], strict=True):
        start, stop = min(max(x0, low), high), min(max(x1, low), high)
        if stop > start:
            part, _ = quad(
                lambda at, x0=x0, x1=x1, y0=y0, y1=y1: np.interp(at, (x0, x1), (y0, y1)) * weight(at), start, stop
            )
            area += part
    return area


def plain_metrics(maps, defects, label):
    """Every distinct value is a threshold."""
    thresholds = np.unique(maps)[::-1]
    nominal_pixels = np.concatenate([m[~d] for m, d in zip(maps, defects, strict=True)])
    good_pixels = maps[~label].ravel()
    rate = np.array([0.0] + [(nominal_pixels >= t).mean() for t in thresholds])
    good_rate = np.array([0.0] + [(good_pixels >= t).mean() for t in thresholds])
    overlaps, recalls, peaks = [], [], []
    for scores, defect in zip(maps[label], defects[label], strict=True):
        regions, count = ndimage.label(defect, np.ones((3, 3)))
        overlaps += [
            np.array([0.0] + [(scores[regions == r + 1] >= t).mean() for t in thresholds]) for r in range(count)
        ]
        recalls.append(np.array([0.0] + [(scores[defect] >= t).mean() for t in thresholds]))
        peaks.append(defect[scores == scores.max()].mean())
    pro = np.mean(overlaps, axis=0)
    return {
        "auroc": sk.roc_auc_score(defects.ravel(), maps.ravel()),
        "aupro_30": plain_area(rate, pro, 0, 0.3) / 0.3,
        "aupro_05": plain_area(rate, pro, 0, 0.05) / 0.05,
        "aupimo": plain_area(good_rate, np.mean(recalls, axis=0), 1e-5, 1e-4, lambda x: 1 / x) / np.log(10),
        "peak_in_defect": np.mean(peaks),
    }


@settings(max_examples=25)
@given(seed=st.integers(0, 10**6), decimals=st.sampled_from([0, 1]), separation=st.sampled_from([0.0, 1.5, 4.0]))
def test_with_few_distinct_values_all_metrics_are_exact(seed, decimals, separation):
    names, maps, defects, known = draw_pictures(seed, decimals=decimals, separation=separation)
    label = np.array([known[name]["label"] == 1 for name in names])
    ours = metrics_of(judge(names, maps, defects, known))
    assert ours == pytest.approx(plain_metrics(maps, defects, label), abs=1e-6)


def ranked_metrics(maps, defects, label):
    """For maps without ties: every defect pixel counts for the false-alarm rates above its own."""
    every, good = (np.sort(values) for values in (maps[~defects], maps[~label].ravel()))
    rate = (len(every) - np.searchsorted(every, maps)) / len(every)
    good_rate = (len(good) - np.searchsorted(good, maps)) / len(good)
    regions = []
    for number in np.flatnonzero(label):
        labelled, count = ndimage.label(defects[number], np.ones((3, 3)))
        regions += [rate[number][labelled == r + 1] for r in range(count)]
    decades = [
        np.clip(-4 - np.log10(np.maximum(good_rate[i][defects[i]], 1e-5)), 0, 1).mean() for i in np.flatnonzero(label)
    ]
    return {
        "auroc": 1 - rate[defects].mean(),
        "aupro_30": np.mean([np.clip(1 - region / 0.3, 0, 1).mean() for region in regions]),
        "aupro_05": np.mean([np.clip(1 - region / 0.05, 0, 1).mean() for region in regions]),
        "aupimo": np.mean(decades),
    }


@pytest.mark.parametrize("seed", range(4))
def test_with_many_values_they_are_exact_to_a_thousandth(seed):
    names, maps, defects, known = draw_pictures(seed, pictures=40, size=(128, 130), separation=2.0)
    maps = ndimage.gaussian_filter(maps, (0, 1, 1)).astype(np.float32)
    label = np.array([known[name]["label"] == 1 for name in names])
    ours, ranked = metrics_of(judge(names, maps, defects, known)), ranked_metrics(maps, defects, label)
    for metric, value in ranked.items():
        # A false-alarm rate of 1e-5 is a step of three pixels here.
        assert ours[metric] == pytest.approx(value, abs=1e-2 if metric == "aupimo" else 1e-3), metric


@pytest.mark.parametrize("transform", [np.exp, np.arctan, lambda m: 3 * m - 7])
def test_monotone_transforms_and_portions_change_nothing(transform):
    names, maps, defects, known = draw_pictures(1, decimals=1)
    one = judge(names, maps, defects, known)
    assert judge(names, transform(maps.astype(np.float64)).astype(np.float32), defects, known).equals(one)
    for portion in (1, 8):
        assert judge(names, maps, defects, known, portion).equals(one)
    order = np.random.default_rng(0).permutation(len(names))
    assert judge([names[i] for i in order], maps[order], defects[order], known).equals(one)


def test_perfect_and_blind_maps():
    names, maps, defects, known = draw_pictures(2)
    perfect = metrics_of(judge(names, defects.astype(np.float32), defects, known))
    assert perfect == pytest.approx(dict.fromkeys(PIXEL_METRICS, 1.0))
    blind = metrics_of(judge(names, np.zeros_like(maps), defects, known))
    share = defects[::2].mean(axis=(1, 2)).mean()
    assert blind == pytest.approx(
        {"auroc": 0.5, "aupro_30": 0.15, "aupro_05": 0.025, "aupimo": 9e-5 / np.log(10), "peak_in_defect": share}
    )


def test_the_table_has_a_row_for_every_picture_and_says_what_has_no_mask():
    names, maps, defects, known = draw_pictures(3)
    defects[2] = False
    table = judge(names, maps, defects, known)
    assert table.schema == PIXELS_SCHEMA
    assert table["image_id"].to_pylist() == sorted(names)
    row = {row["image_id"]: row for row in table.to_pylist()}
    assert row["2.png"]["nominal_pixels"] is None
    assert row["1.png"]["hits"] is None
    assert row["1.png"]["nominal_pixels"] == maps[1].size
    assert row["0.png"]["defect_pixels"] == defects[0].sum()
    for name in ("0.png", "1.png"):
        curve = np.array(row[name]["false_alarms"])
        assert curve[0] == 0
        assert curve[-1] == 1
        assert (np.diff(curve) >= 0).all()
    level = level_of([table])
    assert level.warnings[0] == "1 of 4 anomalous pictures have no defect mask; pixel metrics rest on the others."
    assert level.warnings[1:2] == (
        "Pixel metrics rest on 2 anomalous objects with a defect mask and 2 nominal ones; with fewer than 20 of either "
        "their intervals may be too narrow.",
    )


def test_without_masks_or_without_nominal_pictures_nothing_is_said():
    names, maps, defects, known = draw_pictures(3)
    assert judge(names, maps, np.zeros_like(defects), known) is None
    assert judge(names[::2], maps[::2], defects[::2], {name: known[name] for name in names[::2]}) is None
    assert level_of(None).estimates == ()
    empty = PIXELS_SCHEMA.append(pa.field("fold", pa.int32())).empty_table()
    assert judge_pixel_level(empty, **OPTIONS).estimates == ()


OPTIONS = {
    "ratio": 1.0,
    "methods": ("object-bootstrap", "object-bootstrap-percentile", "corrected-t", "naive-t", "wilson"),
    "default": "object-bootstrap",
    "confidence": 0.95,
    "replicates": 200,
    "seed": 0,
}


def level_of(tables):
    pixels = None if tables is None else pa.concat_tables(with_fold(table, k) for k, table in enumerate(tables))
    return judge_pixel_level(pixels, **OPTIONS)


def test_where_every_object_is_mixed_both_classes_are_counted_by_their_pictures():
    names, maps, defects, known = draw_pictures(4, pictures=48)
    mixed = {name: row | {"object_id": f"part {number // 2}"} for number, (name, row) in enumerate(known.items())}
    apart, together = (level_of([judge(names, maps, defects, rows)]) for rows in (known, mixed))
    for one, other in zip(apart.estimates, together.estimates, strict=True):
        assert one.mean == other.mean
        if other.mean is not None:
            assert other.interval.low < other.mean < other.interval.high
    assert not any("may be too" in warning for warning in together.warnings)


def test_weights_count_like_repeated_pictures():
    names, maps, defects, known = draw_pictures(4, pictures=12, decimals=1)
    problem = build_pixel_problem(with_fold(judge(names, maps, defects, known)))
    objects = sorted({row["object_id"] for row in known.values()})
    rng = np.random.default_rng(0)
    for _ in range(5):
        weights = rng.integers(0, 3, len(objects)).astype(float)
        copies = [
            (f"{name} {copy}", maps[i], defects[i], known[name])
            for i, name in enumerate(names)
            for copy in range(int(weights[objects.index(known[name]["object_id"])]))
        ]
        repeated, their_maps, their_defects, rows = zip(*copies, strict=True)
        if len({row["label"] for row in rows}) < 2:
            continue
        table = judge(repeated, np.stack(their_maps), np.stack(their_defects), dict(zip(repeated, rows, strict=True)))
        weighted = judge_pixel_problem(problem, weights[:, None])[:, 0, 0]
        assert dict(zip(PIXEL_METRICS, weighted, strict=True)) == pytest.approx(metrics_of(table), abs=1e-6)


def test_replicates_vary_as_much_as_new_samples():
    """The standard deviation of the bootstrap is that of the estimate over samples."""

    def sample(seed):
        rng = np.random.default_rng(seed)
        pictures = 60
        names = [f"{number}.png" for number in range(pictures)]
        known = {name: {"object_id": name, "label": int(number < 30)} for number, name in enumerate(names)}
        maps = rng.standard_normal((pictures, 12, 12)).astype(np.float32)
        # Defects differ in how clear they are, good parts in how noisy.
        maps += rng.standard_normal((pictures, 1, 1)).astype(np.float32) * 0.5
        defects = np.zeros(maps.shape, bool)
        defects[:30, 3:8, 4:9] = True
        maps[defects] += np.repeat(rng.normal(1.5, 1.0, 30), 25)
        return build_pixel_problem(with_fold(judge(names, maps.round(2), defects, known, 60)))

    estimates = np.array([judge_pixel_problem(sample(s), np.ones((60, 1)))[:, 0, 0] for s in range(60)])
    deviations = np.mean([pixel_replicates(sample(s), 300, 0).std(axis=1) for s in range(10)], axis=0)
    ratio = deviations / estimates.std(axis=0)
    assert np.all((ratio > 0.7) & (ratio < 1.4)), dict(zip(PIXEL_METRICS, ratio, strict=True))


@pytest.mark.parametrize(("nominal", "masked"), [(40, 1), (1, 40), (1, 1)])
def test_a_class_of_one_object_makes_no_pixel_metric_sure(nominal, masked):
    rng = np.random.default_rng(0)
    names = [f"{number}.png" for number in range(nominal + masked)]
    known = {name: {"object_id": name, "label": int(number < masked)} for number, name in enumerate(names)}
    maps = rng.standard_normal((len(names), 12, 12)).astype(np.float32)
    defects = np.zeros(maps.shape, bool)
    defects[:masked, 3:8, 4:9] = True
    # One class hardly varies; what the one object of the other would have been is not known.
    maps[defects] += 1.5
    level = level_of([judge(names, maps, defects, known)])
    for row in level.estimates:
        if row.metric in ("auroc", "aupro_30"):
            assert row.interval.high - row.interval.low > 0.5
            assert row.interval.low <= row.mean <= row.interval.high
    assert f"rest on {masked} anomalous object" in level.warnings[0]


def test_enough_masked_objects_and_pixels_are_not_warned_of():
    names, maps, defects, known = draw_pictures(0, pictures=80, size=(50, 50))
    level = level_of([judge(names, maps, defects, known)])
    assert level.warnings == ()
    aupimo = {row.metric: row for row in level.estimates}["aupimo"]
    assert aupimo.interval.low < aupimo.mean < aupimo.interval.high


def test_aupimo_is_left_out_where_a_fold_cannot_show_its_false_alarm_rates():
    # The second fold has one nominal picture of 2,500 pixels less than the 100,000 that are needed.
    names, maps, defects, known = draw_pictures(0, pictures=80, size=(50, 50))
    whole = judge(names, maps, defects, known)
    level = level_of([whole, judge(names[:-1], maps[:-1], defects[:-1], {name: known[name] for name in names[:-1]})])
    rows = {row.metric: row for row in level.estimates}
    assert (rows["aupimo"].mean, rows["aupimo"].folds, rows["aupimo"].intervals) == (None, 0, ())
    assert all(row.folds == 2 for metric, row in rows.items() if metric != "aupimo")
    metrics = [row["value"] for row in level.metrics.to_pylist() if row["metric"] == "aupimo"]
    assert metrics == [None, None]
    assert level.warnings == (
        "aupimo is left out: it needs 100,000 pixels of nominal pictures in every fold to see a false-alarm rate of "
        "1e-5, and one has 97,500.",
    )


def test_the_summary_holds_the_level_pixel(simulate):
    tables = [with_fold(judge(*draw_pictures(seed)), fold) for fold, seed in enumerate((0, 0, 1))]
    scores = simulate(folds=3)
    without = evaluate(scores, replicates=50)
    summary = evaluate(scores, replicates=50, pixels=pa.concat_tables(tables))
    assert summary.estimates[: len(without.estimates)] == without.estimates
    assert [(row.strategy, row.level, row.metric) for row in summary.estimates[len(without.estimates) :]] == [
        ("any", "pixel", metric) for metric in PIXEL_METRICS
    ]
    row = summary.find("aupro_05", level="pixel")
    assert row.folds == 3
    assert row.interval.method == "object-bootstrap"
    assert row.interval.low <= row.mean <= row.interval.high
    assert {interval.method for interval in row.intervals} == {
        "object-bootstrap",
        "object-bootstrap-percentile",
        "corrected-t",
        "naive-t",
    }
    metrics = summary.metrics.filter(pa.compute.equal(summary.metrics["level"], "pixel")).to_pylist()
    assert len(metrics) == 3 * len(PIXEL_METRICS)
    assert {m["threshold"] for m in metrics} == {None}
    values = [m["value"] for m in metrics if m["metric"] == "aupro_05"]
    assert row.mean == pytest.approx(np.mean(values))
