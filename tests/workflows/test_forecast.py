"""What `--dry-run` says, against what a run really leaves."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest

from raylab2f.workflows.forecast import Forecast

PARTITIONS = {
    "trains, a fold": "train",
    "chooses the threshold, a fold": "threshold",
    "is judged, a fold": "inference",
}


def _cell(text, name):
    return re.search(rf"{re.escape(name)} *│ *(.*?) *│", text)[1]


def test_a_dry_run_writes_nothing_and_knows_the_sizes(finished_run, run, cache, tmp_path):
    process = run(
        "--detector", "glass", "--folds", 3, "--out", tmp_path / "out", "--cache", tmp_path / "cache", "--dry-run"
    )
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "cache" / "features").exists()
    assert not (tmp_path / "cache" / "pictures").exists()

    assert _cell(process.stdout, "folds") == "3"
    assert _cell(process.stdout, "pictures, turned copies included") == "48"
    # The finished run used the same settings: its split and its feature store are what was forecast.
    told = json.loads((finished_run[0] / "run.json").read_text(encoding="utf-8"))
    data_set = told["dataset"]["fingerprint"]
    stored = sum(
        np.load(file, mmap_mode="r").nbytes
        for folder in (cache / "features").iterdir()
        if _is_of(folder, data_set, layer="blocks.2", size=[64, 64])
        for file in folder.glob("*.npy")
    )
    assert _cell(process.stdout, "storage: features") == f"{stored / (1 << 10):.1f} KiB"
    for row, name in PARTITIONS.items():
        sizes = told["partitions"][0][name]
        assert _cell(process.stdout, row).startswith(f"{sizes['pictures']} pictures of {sizes['objects']} parts")


def _is_of(store, data_set, layer, size):
    ingredients = json.loads((store / "store.json").read_text(encoding="utf-8"))["ingredients"]
    return ingredients["dataset"] == data_set and layer in ingredients["layers"] and ingredients["size"] == size


def test_what_is_done_already_costs_nothing(finished_run, run):
    process = run("--detector", "glass", "--folds", 5, "--out", finished_run[0], "--resume", "--dry-run")
    assert _cell(process.stdout, "folds") == "5, 3 of them finished"
    assert _cell(process.stdout, "storage: features") == "in the cache"
    assert _cell(process.stdout, "time: extract features") == "in the cache"


def test_a_dry_run_is_told_as_json(finished_run, run):
    process = run("--detector", "glass", "--folds", 5, "--out", finished_run[0], "--resume", "--dry-run", "--json")
    [told] = json.loads(process.stdout)["forecasts"]
    assert (told["detector"], told["folds"], told["finished"]) == ("glass", 5, 3)
    assert told["extract_seconds"] == 0.0
    assert told["seconds"] >= told["start_seconds"] > 0.0


def test_a_dry_run_meets_the_mistakes_of_the_run(run, tmp_path):
    process = run("--folds", 3, "--out", tmp_path / "out", "--gpus-per-fold", 64, "--dry-run", check=False)
    assert process.returncode == 2
    assert "--gpus-per-fold 64" in process.stderr


@pytest.mark.parametrize("dry", [["--dry-run"], []], ids=["forecast", "run"])
@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--by", "condition"], "--by condition: no picture has a condition"),
        (["--detector", "csflow", "--layers", "blocks.4", "--size", "40x64"], "64x64 is the smallest square"),
    ],
    ids=["by", "size"],
)
def test_what_would_fail_after_the_training_is_told_before_anything_is_prepared(run, tmp_path, dry, options, said):
    process = run(*options, "--folds", 2, "--out", tmp_path / "out", "--cache", tmp_path / "cache", *dry, check=False)
    assert process.returncode == 2, process.stdout
    assert said in process.stderr
    assert len(process.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()
    assert not list((tmp_path / "cache").glob("pictures/*"))


@pytest.fixture
def forecast():
    return Forecast(
        detector="glass",
        seed=0,
        pictures=100,
        folds=10,
        finished=0,
        partitions={},
        parallel=4,
        cpus=1,
        gpus=0,
        shard_bytes=0,
        feature_bytes=0,
        fold_bytes=0,
        begin_seconds=2.0,
        finish_seconds=1.0,
        prepare_seconds=5.0,
        extract_seconds=7.0,
        start_seconds=3.0,
        fold_seconds=60.0,
    )


def test_folds_go_in_rounds(forecast):
    assert forecast.seconds == 2 + 1 + 5 + 7 + 3 + 3 * 60
    assert replace(forecast, parallel=5).seconds == 2 + 1 + 5 + 7 + 3 + 2 * 60
    assert replace(forecast, finished=8).seconds == 2 + 1 + 5 + 7 + 3 + 60


def test_a_finished_run_needs_no_process(forecast):
    done = replace(forecast, finished=10, prepare_seconds=0.0, extract_seconds=0.0)
    assert done.seconds == 2 + 1
