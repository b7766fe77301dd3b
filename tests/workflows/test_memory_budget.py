"""`run-cv --memory-budget`: features that exceed it are read as they are needed, and the results are the same."""

import json
import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest
from in_process import raylab2f

from raylab2f.files.atomic import write_json

# Maps of 5 MB a picture, so that those of the 24 that train exceed what 832 MiB leave.
LARGE = ["--layers", "conv_head", "--size", 1024, "--feature-dtype", "float32", "--folds", 1]


@pytest.fixture(scope="module")
def ask_large(pictures, cache, shared_ray):
    def ask(*options, detector="mahalanobis"):
        common = [
            "--data",
            pictures,
            *LARGE,
            "--detector",
            detector,
            "--replicates",
            200,
            "--cache",
            cache,
            "--max-parallel-folds",
            1,
        ]
        return raylab2f("run-cv", *common, *options)

    return ask


@pytest.fixture(scope="module")
def runs(ask_large, tmp_path_factory):
    """The folders of the same run, held and read as needed."""
    folder = tmp_path_factory.mktemp("runs")
    for name, options in (("held", []), ("streamed", ["--memory-budget", "832MiB"])):
        done = ask_large("--out", folder / name, *options)
        assert done.returncode == 0, done.stdout + done.stderr
    return folder


def record(folder, name):
    return json.loads((folder / name).read_text(encoding="utf-8"))


def scores(folder, name="scores.parquet"):
    return np.array(pq.read_table(folder / "folds" / "0" / name)["score"])


def test_the_scores_are_the_same_and_the_record_says_how_features_were_had(runs):
    held, streamed = runs / "held", runs / "streamed"
    np.testing.assert_allclose(scores(streamed), scores(held), rtol=1e-4)
    np.testing.assert_allclose(scores(streamed, "baseline.parquet"), scores(held, "baseline.parquet"), rtol=1e-3)
    for folder, had, budget in ((held, "held", None), (streamed, "streamed", 832 << 20)):
        assert record(folder / "folds" / "0", "fold.json")["features"] == had
        assert record(folder, "run.json")["settings"]["memory_budget"] == budget


def test_a_run_goes_on_with_another_budget_and_keeps_its_own_without(runs, tmp_path):
    folder = shutil.copytree(runs / "streamed", tmp_path / "run")
    done = raylab2f("run-cv", "--resume", "--out", folder)
    assert done.returncode == 0, done.stderr
    assert "none trained" in done.stdout
    assert record(folder, "run.json")["settings"]["memory_budget"] == 832 << 20
    (folder / "folds" / "0" / "fold.json").unlink()
    done = raylab2f("run-cv", "--resume", "--out", folder, "--memory-budget", "32GiB", "--max-parallel-folds", 1)
    assert done.returncode == 0, done.stderr
    assert record(folder / "folds" / "0", "fold.json")["features"] == "held"
    assert record(folder, "run.json")["settings"]["memory_budget"] == 32 << 30


def test_a_run_begun_before_there_were_budgets_has_none(runs, tmp_path):
    folder = shutil.copytree(runs / "held", tmp_path / "run")
    settings = record(folder, "run.json")
    del settings["settings"]["memory_budget"]
    write_json(folder / "run.json", settings)
    done = raylab2f("run-cv", "--resume", "--out", folder)
    assert done.returncode == 0, done.stderr


def test_too_little_is_refused_before_anything_trains(ask_large, tmp_path):
    done = ask_large("--out", tmp_path / "run", "--memory-budget", "300MB")
    assert done.returncode == 2
    assert "--memory-budget 300MiB: a fold's process takes 720MiB" in done.stderr
    assert not (tmp_path / "run").exists()
    done = ask_large("--out", tmp_path / "run", "--memory-budget", "lots")
    assert done.returncode == 2
    assert "--memory-budget: 'lots' is no size" in done.stderr


def test_what_a_detector_needs_is_named(ask_large, runs, tmp_path):
    done = ask_large("--out", tmp_path / "run", "--memory-budget", "832MiB", detector="padim")
    assert done.returncode == 2, done.stdout
    assert "--memory-budget 832MiB: a fold of padim takes " in done.stderr
    assert "give at least that" in done.stderr
    assert not list((tmp_path / "run" / "folds").glob("*/fold.json"))


def test_a_forecast_counts_with_the_budget(ask_large, runs, tmp_path):
    done = ask_large("--out", tmp_path / "run", "--memory-budget", "832MiB", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "112.0 MiB" in done.stdout
    assert "read from the store as they are needed" in " ".join(done.stdout.split())
