"""Detectors without epochs go through a whole run, and every run is set beside the nearest neighbour."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from in_process import raylab2f

from raylab2f.detectors.base import Batch
from raylab2f.detectors.checkpoint import load_detector
from raylab2f.features import FeatureStore

FITTED = ("dfm", "mahalanobis", "padim", "patchcore")


@pytest.fixture(scope="module")
def fitted(pictures, cache, shared_ray, tmp_path_factory):
    """The folder of the runs, and what the program said."""
    out = tmp_path_factory.mktemp("runs") / "fitted"
    options = ["--data", pictures, "--size", 64, "--replicates", 200, "--folds", 2, "--cache", cache, "--out", out]
    chosen = [word for name in FITTED for word in ("--detector", name)]
    done = raylab2f("run-cv", *options, *chosen, "--max-parallel-folds", 1)
    assert done.returncode == 0, done.stdout + done.stderr
    return out, done.stdout


@pytest.mark.parametrize("name", FITTED)
def test_obvious_spots_are_found_without_epochs(fitted, name, read_summary):
    folder = fitted[0] / f"{name}-seed0"
    found = {(row["level"], row["metric"]): row["mean"] for row in read_summary(folder)["estimates"]}
    assert found["image", "auroc"] > 0.9
    record = json.loads((folder / "folds" / "0" / "fold.json").read_text(encoding="utf-8"))
    assert record["epochs"] == 0
    assert record["history"] == []


@pytest.mark.parametrize("name", FITTED)
def test_a_loaded_detector_gives_the_scores_of_its_fold(fitted, cache, name):
    fold = fitted[0] / f"{name}-seed0" / "folds" / "1"
    scores = pq.read_table(fold / "scores.parquet").to_pylist()[:5]
    detector = load_detector(fold)
    [store] = [
        store
        for store in map(FeatureStore.open, (cache / "features").iterdir())
        if [list(store.shapes[layer]) for layer in store.layers]
        == json.loads((fold / "model.json").read_text(encoding="utf-8"))["feature_shapes"]
    ][:1]
    image_ids = [row["image_id"] for row in scores]
    features = [torch.from_numpy(store.read(image_ids, layer)).float() for layer in store.layers]
    again = detector.predict(Batch(torch.arange(5), features)).scores
    np.testing.assert_allclose(again, [row["score"] for row in scores], rtol=1e-4)


def test_the_nearest_neighbour_stands_beside_a_run_and_not_beside_itself(fitted, read_summary):
    folder, said = fitted
    rows = read_summary(folder / "padim-seed0")["baseline"]
    assert [row["level"] for row in rows] == ["image", "object"]
    assert all(0.5 < row["mean"] <= 1 for row in rows)
    assert read_summary(folder / "patchcore-seed0")["baseline"] == []
    assert "nearest neighbour on the same features: image auroc" in said
    assert "padim minus it: " in said


def test_its_scores_are_kept_for_every_judged_picture(fitted):
    fold = fitted[0] / "padim-seed0" / "folds" / "0"
    baseline, scores = (pq.read_table(fold / name) for name in ("baseline.parquet", "scores.parquet"))
    assert baseline["image_id"].to_pylist() == scores["image_id"].to_pylist()
    assert "baseline.parquet" in json.loads((fold / "fold.json").read_text(encoding="utf-8"))["files"]


def test_epochs_are_refused_before_anything_is_done(pictures, tmp_path):
    done = raylab2f("run-cv", "--data", pictures, "--detector", "padim", "--epochs", 3, "--out", tmp_path / "run")
    assert done.returncode == 2
    assert "fitted at once, without epochs" in done.stderr
    assert not (tmp_path / "run").exists()
