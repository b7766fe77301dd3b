"""Faults, injected into real runs: what is lost, what is said, what goes on. docs/faults.md names these tests."""

import json
import os
import resource
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
from ray_head import MARK, marked_processes, title

RUN_TASKS = Path(__file__).parents[1] / "support" / "run_tasks.py"
EPOCHS = 8


@pytest.fixture(scope="module")
def csflow_run(run, tmp_path_factory):
    """A finished CS-Flow run of 3 folds."""
    folder = tmp_path_factory.mktemp("faults") / "whole"
    run("--detector", "csflow", "--layers", "blocks.4", "--folds", 3, "--epochs", EPOCHS, "--out", folder)
    return folder


def scores(folder, fold):
    return pq.read_table(folder / "folds" / str(fold) / "scores.parquet").sort_by("image_id")


def flip_a_bit(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_killed_workers_resume_and_a_fold_that_cannot_end_or_diverges_sinks_no_other(csflow_run, cache, tmp_path):
    """Three folds in one process after another: 0 is killed once, 1 diverges, 2 is killed as often as it starts."""
    folder = tmp_path / "run"
    shutil.copytree(csflow_run, folder)
    settings = json.loads((folder / "run.json").read_text(encoding="utf-8"))["settings"]
    tasks = []
    for fold in range(3):
        place = folder / "folds" / str(fold)
        for path in place.iterdir():
            if path.name != "split.parquet":
                path.unlink()
        config = json.loads(json.dumps(settings["config"]))
        if fold == 1:
            config["learning_rate"] = 1e30
        if fold == 2:
            config["schedule"]["epochs"] = 1_000_000
        tasks.append(
            {
                "folder": str(place),
                "fold": fold,
                "manifest": str(folder / "manifest.parquet"),
                "detector": "csflow",
                "config": config,
                "seed": 0,
                "pictures": str(next((cache / "pictures").iterdir())),
                "stores": csflow_stores(cache, config),
                # A checkpoint after every epoch: at most one is lost.
                "checkpoint_seconds": 0.0,
            }
        )
    (tmp_path / "tasks.json").write_text(json.dumps(tasks), encoding="utf-8")
    mark = uuid.uuid4().hex
    process = subprocess.Popen(
        [sys.executable, RUN_TASKS, tmp_path / "tasks.json", tmp_path / "ray"],
        env={**{k: v for k, v in os.environ.items() if k != "RAY_ADDRESS"}, MARK: mark},
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
                training = [pid for pid in marked_processes(mark) if "ImplicitFunc" in title(pid)]
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
    assert failures.keys() == {1, 2}
    assert "loss became" in failures[1]

    record = json.loads((folder / "folds" / "0" / "fold.json").read_text(encoding="utf-8"))
    whole = json.loads((csflow_run / "folds" / "0" / "fold.json").read_text(encoding="utf-8"))
    assert record["resumed_from_epoch"] >= 1
    losses = [[epoch["loss"] for epoch in r["history"]] for r in (record, whole)]
    assert len(losses[0]) == EPOCHS
    np.testing.assert_allclose(*losses, rtol=1e-3)
    np.testing.assert_allclose(scores(folder, 0)["score"], scores(csflow_run, 0)["score"], rtol=1e-3)


def csflow_stores(cache, config):
    """The folders of the three scales' features, finest first."""
    found = {}
    for path in (cache / "features").glob("*/store.json"):
        ingredients = json.loads(path.read_text(encoding="utf-8"))["ingredients"]
        if list(ingredients["layers"]) == config["layers"]:
            found[tuple(ingredients["size"])] = str(path.parent)
    height, width = config["size"]
    return [found[height >> scale, width >> scale] for scale in range(3)]


def test_damaged_files_are_recognised_made_again_and_named(run, tmp_path):
    cache = tmp_path / "cache"
    first = ["--detector", "csflow", "--layers", "blocks.4", "--folds", 1, "--cache", cache]
    run(*first, "--out", tmp_path / "first")
    shard = next((cache / "pictures").glob("*/part-00000.parquet"))
    features = next((cache / "features").glob("*/part-00000.*.npy"))
    undamaged = shard.read_bytes(), features.read_bytes()
    for path in (shard, features, tmp_path / "first" / "folds" / "0" / "scores.parquet"):
        flip_a_bit(path)
    (tmp_path / "first" / "folds" / "0" / "checkpoint.safetensors").write_bytes(b"no checkpoint")
    process = run(*first, "--out", tmp_path / "first", "--resume")
    for name in (shard.name, features.name, "the fold is run again"):
        assert name in process.stdout.replace("\n", "")
    assert (shard.read_bytes(), features.read_bytes()) == undamaged
    summary = json.loads((tmp_path / "first" / "summary.json").read_text(encoding="utf-8"))
    assert summary["folds"] == {"planned": 1, "finished": 1}
    assert any("from its start again" in warning for warning in summary["warnings"])


def test_a_full_disk_fails_the_run_and_a_rerun_finishes_it(run, command, tmp_path):
    """A limit on the size of files stands for a full disk: writing fails in the middle of a file."""
    out, cache = tmp_path / "run", tmp_path / "cache"
    options = ["--detector", "csflow", "--layers", "blocks.4", "--folds", "1", "--out", str(out), "--cache", str(cache)]

    def small_disk():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))

    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    process = subprocess.run(
        [*command, *options],
        capture_output=True,
        text=True,
        timeout=300,
        env=environment,
        check=False,
        preexec_fn=small_disk,
    )
    assert process.returncode != 0
    assert not list(cache.rglob("store.json"))
    left = [path for folder in (out, cache) if folder.exists() for path in folder.rglob("*.tmp")]
    assert left == []
    run(*options, *(["--resume"] if (out / "run.json").exists() else []))
    assert (out / "summary.json").exists()
