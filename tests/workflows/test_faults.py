"""Faults, injected into real runs: what is lost, what is said, what goes on. docs/faults.md names these tests."""

import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from ray_head import MARK, marked_processes, trains_a_fold

SMALL_DISK = Path(__file__).parents[1] / "support" / "small_disk"
# About what the shard of the 48 pictures takes; features take less and a model much more.
SHARD_BYTES = 440_000
RUN_TASKS = Path(__file__).parents[1] / "support" / "run_tasks.py"
# Of a detector that takes more memory than any machine has, and is refused before it asks for any.
TOO_WIDE = {"hidden_channels": 1 << 20}


def scores(folder, fold):
    return pq.read_table(folder / "folds" / str(fold) / "scores.parquet").sort_by("image_id")


def without_address():
    return {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}


def flip_a_bit(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_killed_workers_resume_and_a_fold_that_cannot_end_or_diverges_sinks_no_other(csflow_run, cache, tmp_path):
    """Four folds in one process after another.

    0 is killed once, 1 diverges, 2 is killed as often as it starts, 3 asks for more memory than there is.
    """
    undisturbed, _ = csflow_run
    folder = tmp_path / "run"
    shutil.copytree(undisturbed, folder)
    record = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    settings, dataset = record["settings"], record["dataset"]["fingerprint"]
    tasks = []
    for fold in range(4):
        place = folder / "folds" / str(fold)
        for path in place.iterdir():
            if path.name != "split.parquet":
                path.unlink()
        config = json.loads(json.dumps(settings["config"]))
        if fold == 1:
            config["learning_rate"] = 1e30
        if fold == 2:
            config["schedule"]["epochs"] = 1_000_000
        if fold == 3:
            config |= TOO_WIDE
        tasks.append(
            {
                "folder": str(place),
                "fold": fold,
                "manifest": str(folder / "manifest.parquet"),
                "detector": "csflow",
                "config": config,
                "seed": 0,
                "pictures": csflow_shards(cache, dataset, config),
                "stores": csflow_stores(cache, dataset, config),
                # A checkpoint after every epoch: at most one is lost.
                "checkpoint_seconds": 0.0,
            }
        )
    (tmp_path / "tasks.json").write_text(json.dumps(tasks), encoding="utf-8")
    mark = uuid.uuid4().hex
    process = subprocess.Popen(
        [sys.executable, RUN_TASKS, tmp_path / "tasks.json", tmp_path / "ray"],
        env={**without_address(), MARK: mark},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    kills = {0: 0, 2: 0}
    try:
        deadline = time.monotonic() + 400
        while process.poll() is None:
            assert time.monotonic() < deadline, kills
            for fold, often in ((0, 1), (2, 3)):
                checkpoint = folder / "folds" / str(fold) / "checkpoint.safetensors"
                training = [pid for pid in marked_processes(mark) if trains_a_fold(pid)]
                if kills[fold] < often and checkpoint.exists() and training:
                    for pid in training:
                        os.kill(pid, signal.SIGKILL)
                    kills[fold] += 1
                    checkpoint.rename(checkpoint.with_suffix(".seen")) if fold == 2 else None
            time.sleep(0.1)
        said, errors = process.communicate()
    finally:
        process.kill()
        for pid in marked_processes(mark):
            os.kill(pid, signal.SIGKILL)
    assert process.returncode == 0, errors
    assert kills == {0: 1, 2: 3}
    failures = {failure["fold"]: failure["message"] for failure in json.loads(said.splitlines()[-1])}
    assert failures.keys() == {1, 2, 3}, failures
    assert "loss became" in failures[1]
    assert "--set hidden_channels: 1048576 cannot be" in failures[3]

    record = json.loads((folder / "folds" / "0" / "fold.json").read_text(encoding="utf-8"))
    whole = json.loads((undisturbed / "folds" / "0" / "fold.json").read_text(encoding="utf-8"))
    assert record["resumed_from_epoch"] >= 1
    losses = [[epoch["loss"] for epoch in r["history"]] for r in (record, whole)]
    assert len(losses[0]) == settings["config"]["schedule"]["epochs"]
    np.testing.assert_allclose(*losses, rtol=1e-3)
    np.testing.assert_allclose(scores(folder, 0)["score"], scores(undisturbed, 0)["score"], rtol=1e-3)


def csflow_shards(cache, dataset, config):
    """The folder of the data set's pictures as they are; other tests' lie beside it."""
    for path in cache.glob("pictures/*/shards.json"):
        mark = json.loads(path.read_text(encoding="utf-8"))
        preparation = mark["preparation"]
        if mark["dataset"] == dataset and _as_they_are(preparation) and preparation["size"] == config["size"]:
            return str(path.parent)
    raise FileNotFoundError(dataset)


def _as_they_are(preparation):
    return not (preparation["angles"] or preparation["mask_background"] or preparation["canvas"])


def csflow_stores(cache, dataset, config):
    """The folders of the three scales' features, finest first."""
    found = {}
    for path in (cache / "features").glob("*/store.json"):
        ingredients = json.loads(path.read_text(encoding="utf-8"))["ingredients"]
        of_data = ingredients["dataset"] == dataset and _as_they_are(ingredients["preparation"])
        if of_data and list(ingredients["layers"]) == config["layers"]:
            found[tuple(ingredients["size"])] = str(path.parent)
    height, width = config["size"]
    return [found[height >> scale, width >> scale] for scale in range(3)]


class Payload:
    """Unpickled, it makes a file."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return Path.touch, (self.marker,)


@pytest.fixture(scope="module")
def run_on_a_full_disk(csflow_command, tmp_path_factory):
    """The same command with room for no shard, with room for shards and features but not for a model, and with enough.

    Returns its folder and cache, what each of the three said, and which files were there after each.
    """
    folder = tmp_path_factory.mktemp("disk")
    out, cache = folder / "run", folder / "cache"
    path = ":".join(filter(None, [str(SMALL_DISK), os.environ.get("PYTHONPATH")]))
    said, left = [], []
    for room in (SHARD_BYTES // 2, SHARD_BYTES * 2, 1 << 40):
        resume = ["--resume"] if (out / "run.json").exists() else []
        process = subprocess.run(
            [*csflow_command, "--folds", "1", "--out", out, "--cache", cache, *resume],
            env={**without_address(), "PYTHONPATH": path, "SMALL_DISK_BYTES": str(room)},
            capture_output=True,
            text=True,
            timeout=400,
            check=False,
        )
        said.append(process)
        left.append({path.name for path in folder.rglob("*") if path.is_file()})
    return out, cache, said, left


@pytest.mark.slow
def test_a_full_disk_fails_the_run_and_a_rerun_finishes_it(run_on_a_full_disk):
    """A limit on the size of files in Ray's workers stands for a full disk: writing fails in the middle of a file."""
    out, _, (no_shard, no_model, whole), left = run_on_a_full_disk
    assert no_shard.returncode == 2, no_shard.stdout + no_shard.stderr
    assert "part-00000.parquet cannot be written" in no_shard.stderr
    assert "make room" in no_shard.stderr
    assert left[0] == {".in-use.lock"}

    assert no_model.returncode == 2, no_model.stdout + no_model.stderr
    assert "fold 0 failed" in no_model.stdout.replace("\n", " ")
    assert {"shards.json", "store.json", "run.json", "error.json"} <= left[1]
    assert not {"model.safetensors", "fold.json"} & left[1]
    for process in (no_shard, no_model):
        assert len(process.stderr.strip().splitlines()) == 1

    assert whole.returncode == 0, whole.stdout + whole.stderr
    assert (out / "summary.json").exists()
    assert not [name for names in left for name in names if name.endswith(".tmp")]


@pytest.mark.slow
def test_damaged_files_are_recognised_made_again_and_named(run_on_a_full_disk, run, tmp_path):
    """And what is not as it was written is not unpickled either."""
    out, cache, _, _ = run_on_a_full_disk
    shard = next((cache / "pictures").glob("*/part-00000.parquet"))
    features = next((cache / "features").glob("*/part-00000.*.npy"))
    undamaged = shard.read_bytes(), features.read_bytes()
    for path in (shard, features, out / "folds" / "0" / "scores.parquet"):
        flip_a_bit(path)
    pickled = pickle.dumps(Payload(tmp_path / "code ran"))
    (out / ".raylab2f-tune" / "folds").mkdir(parents=True)
    for name in (
        ".raylab2f-tune/folds/tuner.pkl",
        ".raylab2f-tune/folds/trainable.pkl",
        "folds/0/checkpoint.safetensors",
    ):
        (out / name).write_bytes(pickled)
    options = ["--detector", "csflow", "--layers", "blocks.4", "--folds", 1, "--cache", cache]
    process = run(*options, "--out", out, "--resume")
    for name in (shard.name, features.name, "the fold is run again"):
        assert name in process.stdout.replace("\n", "")
    assert (shard.read_bytes(), features.read_bytes()) == undamaged
    summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    assert summary["folds"] == {"planned": 1, "finished": 1}
    assert any("from its start again" in warning["text"] for warning in summary["warnings"])
    assert not (tmp_path / "code ran").exists()
