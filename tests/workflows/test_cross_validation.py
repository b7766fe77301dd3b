"""The main job as a user starts it: real pictures, real detectors, real Ray."""

import json
import os
import shutil
import signal
import subprocess
import time

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from listeners import watched_listeners
from sklearn.metrics import roc_auc_score

from raylab2f.datasets.pictures import read_mask
from raylab2f.detectors.checkpoint import load_detector
from raylab2f.evaluation import assert_exclusive
from raylab2f.preparation import Preparation, prepare


def scores_of(folder):
    tables = [pq.read_table(path) for path in sorted(folder.glob("folds/*/scores.parquet"))]
    return [table.sort_by("image_id") for table in tables]


def trained_at(folder):
    return {path.parent.name: path.stat().st_mtime_ns for path in folder.glob("folds/*/model.safetensors")}


def test_a_run_leaves_what_the_readme_promises(finished_run, read_summary):
    folder, process = finished_run
    shown = (folder / "summary.txt").read_text(encoding="utf-8")
    assert "threshold youden" in shown
    assert "diagnosis" in shown
    assert "\x1b" not in shown
    summary = read_summary(folder)
    assert summary["folds"] == {"planned": 3, "finished": 3}
    assert summary["detector"] == "glass"
    assert summary["dataset"]["objects"] == 24
    assert summary["dataset"]["anomalous_objects"] == 6
    found = {(e["strategy"], e["level"], e["metric"]) for e in summary["estimates"]}
    for level in ("image", "object"):
        assert ("any", level, "auroc") in found
        for metric in ("accuracy", "balanced_accuracy", "precision", "recall", "specificity", "f1"):
            assert ("youden", level, metric) in found
    for fold in ("0", "1", "2"):
        files = {path.name for path in (folder / "folds" / fold).iterdir()}
        expected = {"split", "scores", "baseline", "maps", "pixels", "segmentation"}
        assert files == {f"{name}.parquet" for name in expected} | {"model.safetensors", "model.json", "fold.json"}
    assert not (folder / ".raylab2f-tune").exists()
    assert "auroc" in process.stdout


def test_no_object_stands_on_two_sides(finished_run):
    folder, _ = finished_run
    for path in folder.glob("folds/*/split.parquet"):
        split = pq.read_table(path)
        assert_exclusive(split)
        assert set(split["partition"].to_pylist()) == {"train", "threshold", "inference"}


def test_obvious_spots_are_found(finished_run, read_summary):
    folder, _ = finished_run
    aurocs = [e["mean"] for e in read_summary(folder)["estimates"] if (e["level"], e["metric"]) == ("image", "auroc")]
    assert min(aurocs) > 0.8


def test_pixels_are_judged_where_there_are_masks(finished_run, pictures, read_summary):
    folder, _ = finished_run
    summary = read_summary(folder)
    metrics = [e["metric"] for e in summary["estimates"] if e["level"] == "pixel"]
    assert metrics == ["auroc", "aupro_30", "aupro_05", "aupimo", "peak_in_defect", "seg_f1", "seg_f1_3std"]
    assert "pixel level" in (folder / "summary.txt").read_text(encoding="utf-8")
    measured = pq.read_table(folder / "metrics.parquet").to_pylist()
    unmasked = set()
    for fold in range(3):
        here = folder / "folds" / str(fold)
        split = {row["image_id"]: row["partition"] for row in pq.read_table(here / "split.parquet").to_pylist()}
        pixels = {row["image_id"]: row for row in pq.read_table(here / "pixels.parquet").to_pylist()}
        assert set(pixels) == {name for name, partition in split.items() if partition == "inference"}
        unmasked |= {name for name, row in pixels.items() if row["nominal_pixels"] is None}
        # The maps once more, one by one, against the masks as they were painted.
        detector = load_detector(here)
        table = pq.read_table(here / "maps.parquet")
        maps = dict(zip(table["image_id"].to_pylist(), table["map"].combine_chunks().to_numpy_ndarray(), strict=True))
        scores, defects = [], []
        for name, row in pixels.items():
            if row["nominal_pixels"] is not None:
                scores.append(detector.upsample(torch.tensor(maps[name][None]), (64, 64))[0].numpy())
                mask = np.zeros((96, 96), bool)
                if row["label"]:
                    mask = read_mask(str(pictures.parent / name.replace("plate", "mask")))
                blank = np.zeros((*mask.shape, 3), np.uint8)
                defects.append(prepare(blank, Preparation(size=(64, 64)), defect=mask).defect)
        expected = roc_auc_score(np.stack(defects).ravel(), np.stack(scores).ravel())
        found = [r["value"] for r in measured if (r["fold"], r["level"], r["metric"]) == (fold, "pixel", "auroc")]
        assert found == [pytest.approx(expected, abs=1e-3)]
    assert unmasked <= {"plate 23 a.png", "plate 23 b.png"}
    assert any("have no defect mask" in warning["text"] for warning in summary["warnings"]) == bool(unmasked)


def test_a_second_run_extracts_no_features_and_repeats_the_first(finished_run, run, read_summary, tmp_path):
    folder, _ = finished_run
    store = tmp_path / "mlflow.db"
    process = run("--detector", "glass", "--folds", 2, "--out", tmp_path / "second", "--mlflow", store)
    assert "none extracted" in process.stdout
    for first, second in zip(scores_of(folder), scores_of(tmp_path / "second"), strict=False):
        assert first["image_id"].equals(second["image_id"])
        np.testing.assert_allclose(first["score"], second["score"], rtol=1e-4)

    client = pytest.importorskip("mlflow", reason="needs raylab2f[mlflow]").MlflowClient(f"sqlite:///{store}")
    runs = client.search_runs([client.get_experiment_by_name("plates").experiment_id])
    named = {run.data.tags["mlflow.runName"]: run for run in runs}
    assert set(named) == {"second", "fold 0", "fold 1"}
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert client.get_metric_history(named["fold 1"].info.run_id, "loss")[-1].step == 2
    estimates = {
        (e["strategy"], e["level"], e["metric"]): e["mean"] for e in read_summary(tmp_path / "second")["estimates"]
    }
    assert named["second"].data.metrics["image/any/auroc"] == estimates["any", "image", "auroc"]


def test_a_killed_driver_loses_no_finished_fold(finished_run, command, run, read_summary, tmp_path):
    whole, _ = finished_run
    folder = tmp_path / "killed"
    options = ["--detector", "glass", "--folds", "3", "--max-parallel-folds", "1", "--out", str(folder)]
    driver = subprocess.Popen([*command, *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 300
        while not list(folder.glob("folds/*/fold.json")):
            assert driver.poll() is None, "the run ended before it could be killed"
            assert time.monotonic() < deadline
            time.sleep(0.02)
    finally:
        os.kill(driver.pid, signal.SIGKILL)
        driver.wait()
    before = trained_at(folder)
    finished = {path.parent.name for path in folder.glob("folds/*/fold.json")}
    assert len(finished) < 3

    run(*options, "--resume")
    after = trained_at(folder)
    assert len(after) == 3
    assert {fold for fold in finished if before[fold] != after[fold]} == set()
    for fold in ("0", "1", "2"):
        one, other = (pq.read_table(f / "folds" / fold / "split.parquet") for f in (whole, folder))
        assert one.equals(other)
    for one, other in zip(scores_of(whole), scores_of(folder), strict=True):
        np.testing.assert_allclose(one["score"], other["score"], rtol=1e-4)
    for one, other in zip(read_summary(whole)["estimates"], read_summary(folder)["estimates"], strict=True):
        assert one["metric"] == other["metric"]
        assert one["mean"] == pytest.approx(other["mean"], abs=1e-4)


def test_a_failing_fold_is_reported_and_does_not_sink_the_others(finished_run, run, read_summary, tmp_path):
    folder = tmp_path / "failing"
    shutil.copytree(finished_run[0], folder)
    for fold in ("1", "2"):
        (folder / "folds" / fold / "fold.json").unlink()
    # A folder stands where fold 1 wants to write a file.
    (folder / "folds" / "1" / "maps.parquet").unlink()
    (folder / "folds" / "1" / "maps.parquet" / "in the way").mkdir(parents=True)
    process = run("--detector", "glass", "--folds", 3, "--out", folder, "--resume", check=False)
    assert process.returncode == 1, process.stdout + process.stderr
    summary = read_summary(folder)
    assert summary["folds"] == {"planned": 3, "finished": 2}
    assert any("Fold 1 failed" in warning["text"] for warning in summary["warnings"])
    assert "fold 1 failed" in process.stdout
    error = json.loads((folder / "folds" / "1" / "error.json").read_text(encoding="utf-8"))
    assert "Traceback" in error["traceback"]

    shutil.rmtree(folder / "folds" / "1" / "maps.parquet")
    run("--detector", "glass", "--folds", 3, "--out", folder, "--resume")
    assert read_summary(folder)["folds"] == {"planned": 3, "finished": 3}
    assert not (folder / "folds" / "1" / "error.json").exists()


@pytest.mark.slow
def test_two_workers_train_the_same_csflow_as_one(run, tmp_path):
    run("--detector", "csflow", "--layers", "blocks.4", "--folds", 1, "--out", tmp_path / "one")
    two = ["--detector", "csflow", "--layers", "blocks.4", "--folds", 1, "--workers-per-fold", 2]
    with watched_listeners() as seen:
        run(*two, "--out", tmp_path / "two")
    # They meet on this machine's loopback address, for the cluster is this machine's alone.
    assert seen == set()
    records = [json.loads((tmp_path / n / "folds" / "0" / "fold.json").read_text()) for n in ("one", "two")]
    assert [record["workers"] for record in records] == [1, 2]
    losses = [[epoch["loss"] for epoch in record["history"]] for record in records]
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-4)
    np.testing.assert_allclose(
        scores_of(tmp_path / "one")[0]["score"], scores_of(tmp_path / "two")[0]["score"], rtol=1e-3
    )


def test_the_options_of_the_evaluation_reach_the_summary(finished_run, run, read_summary, tmp_path):
    folder = tmp_path / "judged anew"
    shutil.copytree(finished_run[0], folder)
    options = ["--threshold", "cost", "--threshold", "target-recall:0.8", "--cost-escape", 50, "--cost-overkill", 2]
    options += ["--prevalence", 0.01, "--object-score", "mean", "--confidence", 0.8, "--interval", "corrected-t"]
    trained = trained_at(folder)
    run("--detector", "glass", "--folds", 3, "--out", folder, "--resume", *options)
    assert trained_at(folder) == trained
    before, after = read_summary(finished_run[0]), read_summary(folder)

    def mean(summary, strategy, level, metric):
        key = (strategy, level, metric)
        return next(e["mean"] for e in summary["estimates"] if (e["strategy"], e["level"], e["metric"]) == key)

    assert {e["strategy"] for e in after["estimates"]} == {"any", "cost", "target-recall:0.8"}
    shown = [e["interval"] for e in after["estimates"] if e["interval"]]
    assert {(i["method"], i["confidence"]) for i in shown} == {("corrected-t", 0.8)}
    escape, overkill = (mean(after, "cost", "object", f"{name}_rate") for name in ("escape", "overkill"))
    expected = 1000 * (0.01 * 50 * escape + 0.99 * 2 * overkill)
    assert mean(after, "cost", "object", "cost_at_prevalence") == pytest.approx(expected)
    # Pictures are ranked as before, parts by the mean of their pictures' scores.
    assert mean(after, "any", "image", "auroc") == mean(before, "any", "image", "auroc")
    aurocs = []
    for path in sorted(folder.glob("folds/*/scores.parquet")):
        table = pq.read_table(path)
        inference = table.filter(np.array(table["partition"].to_pylist()) == "inference")
        parts = inference.group_by("object_id").aggregate([("score", "mean"), ("label", "max")])
        aurocs.append(roc_auc_score(parts["label_max"], parts["score_mean"]))
    assert mean(after, "any", "object", "auroc") == pytest.approx(np.mean(aurocs))


@pytest.mark.slow
def test_shortcuts_are_shown_where_there_is_something_to_show(finished_run, run, read_summary, tmp_path):
    # One run shows what its epochs would have claimed, the other what that run's split would have.
    run("--detector", "glass", "--folds", 2, "--split-by", "picture", "--epoch-scores", 1, "--out", tmp_path / "leaky")
    names = {shortcut["shortcut"] for shortcut in read_summary(tmp_path / "leaky")["shortcuts"]}
    assert names == {"threshold-on-inference", "best-epoch-on-inference"}
    fold = tmp_path / "leaky" / "folds" / "0"
    epochs, scores = (pq.read_table(fold / f"{name}.parquet") for name in ("epoch_scores", "scores"))
    assert set(epochs["epoch"].to_pylist()) == {1, 2}
    last = {row["image_id"]: row["score"] for row in epochs.to_pylist() if row["epoch"] == 2}
    for row in scores.to_pylist():
        assert row["score"] == pytest.approx(last[row["image_id"]], rel=1e-4)

    shutil.copytree(finished_run[0], tmp_path / "honest")
    process = run("--detector", "glass", "--folds", 3, "--out", tmp_path / "honest", "--resume")
    assert "a split by picture would have claimed" in process.stdout
    summary, before = (read_summary(folder) for folder in (tmp_path / "honest", finished_run[0]))
    assert summary["estimates"] == before["estimates"]
    claim = next(
        s for s in summary["shortcuts"] if (s["shortcut"], s["metric"]) == ("split-by-picture", "average_precision")
    )
    leaky = read_summary(tmp_path / "leaky")["estimates"]
    assert claim["claimed"] == pytest.approx(
        next(e["mean"] for e in leaky if (e["level"], e["metric"]) == ("image", "average_precision"))
    )


@pytest.mark.slow
def test_several_detectors_share_one_command_and_one_that_fails_sinks_no_other(run, read_summary, tmp_path):
    out = tmp_path / "both"
    detectors = ("--detector", "glass", "--detector", "csflow")
    options = [*detectors, "--size", 128, "--folds", 1, "--epochs", 1, "--out", out]
    run(*options)
    for name in ("glass", "csflow"):
        assert read_summary(out / f"{name}-seed0")["detector"] == name

    fold = out / "glass-seed0" / "folds" / "0"
    (fold / "fold.json").unlink()
    (fold / "maps.parquet").unlink()
    (fold / "maps.parquet" / "in the way").mkdir(parents=True)
    (out / "csflow-seed0" / "summary.json").unlink()
    process = run(*options, "--resume", check=False)
    assert process.returncode == 2
    assert "glass-seed0: no fold finished" in process.stderr
    assert read_summary(out / "csflow-seed0")["folds"] == {"planned": 1, "finished": 1}


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--detector", "patchcor"], "--detector patchcor"),
        (["--preset", "papper"], "--preset papper"),
        (["--size", "big"], "--size big"),
        (["--set", "learning=3"], "--set learning=3"),
        (["--split-by", "tile"], "--split-by"),
        (["--folds", "many"], "--folds"),
        (["--fold", "3"], "--fold"),
        (["--resume"], "--resume needs --out"),
        (["--data", "nowhere"], "nowhere"),
        (["--threshold", "yoden"], "yoden"),
    ],
)
def test_mistakes_get_one_sentence_and_code_2(ask, options, sentence, tmp_path):
    process = ask(*options)
    assert process.returncode == 2
    assert sentence in process.stderr
    assert "Traceback" not in process.stderr
    assert len(process.stderr.strip().splitlines()) == 1


def test_a_run_is_not_overwritten_and_not_continued_with_other_settings(finished_run, ask):
    folder, _ = finished_run
    process = ask("--detector", "glass", "--folds", 3, "--out", folder)
    assert process.returncode == 2
    assert "--resume" in process.stderr
    process = ask("--detector", "glass", "--folds", 3, "--seed", 1, "--out", folder, "--resume")
    assert process.returncode == 2
    assert "seed" in process.stderr


def test_too_many_objects_asked_of_too_few(run, pictures, tmp_path):
    lines = pictures.read_text(encoding="utf-8").splitlines()
    few = pictures.parent / "few.csv"
    few.write_text("\n".join([lines[0], *(line for line in lines[1:] if int(line.split()[1]) < 19)]), encoding="utf-8")
    process = run("--data", few, "--out", tmp_path / "few", check=False)
    assert process.returncode == 2
    assert "anomalous" in process.stderr
