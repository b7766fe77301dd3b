"""Pictures, cache and run on an object store: two machines that share nothing else do one run."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.fs
import pyarrow.parquet as pq
import pytest
from ray_head import BIN, Head
from s3_server import CREDENTIALS, S3Server

from raylab2f.cli.app import app, run_program
from raylab2f.files.mirror import fetch, local, publish
from raylab2f.files.places import join
from raylab2f.runs.fold import FoldTask, fold_is_finished, run_fold
from raylab2f.runs.folder import RunFolder

SMALL = ["--preset", "fast", "--size", "64", "--replicates", "200", "--epochs", "2"]


@pytest.fixture(scope="module")
def on(s3, tmp_path_factory):
    """Run the program on the machine of this name to its end; machines share the store and nothing on disk."""
    folder = tmp_path_factory.mktemp("machines")

    def run(machine, *arguments, check=True, **environment):
        environment = {
            **{name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"},
            "AWS_ENDPOINT_URL": s3.endpoint,
            "RAYLAB2F_MIRROR": str(folder / machine),
            **environment,
        }
        process = subprocess.run(
            [BIN / "raylab2f", *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=600,
            env=environment,
            check=False,
            cwd=folder,
        )
        if check:
            assert process.returncode == 0, process.stdout + process.stderr
        return process

    return run


@pytest.fixture(scope="module")
def uploaded(s3, pictures):
    """The URI of the plates' manifest on the store."""
    store = s3.files()
    for path in pictures.parent.iterdir():
        s3.write(f"bucket/plates/{path.name}", path.read_bytes())
    assert store.get_file_info("bucket/plates/plates.csv").is_file
    return "s3://bucket/plates/plates.csv"


@pytest.fixture(scope="module")
def stored_run(on, uploaded):
    """A run of 2 folds by the first machine, and what the program said."""
    options = ["--data", uploaded, "--cache", "s3://bucket/cache", "--out", "s3://bucket/runs/first", *SMALL]
    return options, on("first", "run-cv", *options, "--folds", 2)


@pytest.fixture(scope="module")
def extended_run(stored_run, on):
    """The run after a second machine has gone on with it to 3 folds, and what the program said there."""
    options, _ = stored_run
    return on("second", "run-cv", *options, "--folds", 3, "--resume")


@pytest.fixture
def say(s3, monkeypatch, capsys, tmp_path):
    """Run the program in this process, where it takes no cluster; returns the exit code and what was said."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3.endpoint)
    monkeypatch.setenv("RAYLAB2F_MIRROR", str(tmp_path / "mirror"))

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["raylab2f", *map(str, arguments)])
        with pytest.raises(SystemExit) as ending:
            run_program(app)
        return ending.value.code, *capsys.readouterr()

    return run


def table(s3, path):
    return pq.read_table(pyarrow.BufferReader(s3.read(path))).sort_by("image_id")


def test_a_run_on_a_store_is_that_of_a_local_folder(stored_run, finished_run, s3):
    folder, _ = finished_run
    here = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert set(s3.names("bucket/runs/first")) >= {n for n in here if not n.startswith(("folds/2", "."))}
    assert not any(".raylab2f-tune" in name or "checkpoint" in name for name in s3.names("bucket/runs/first"))
    for fold in range(2):
        here = pq.read_table(folder / "folds" / str(fold) / "scores.parquet").sort_by("image_id")
        there = table(s3, f"bucket/runs/first/folds/{fold}/scores.parquet")
        assert there["image_id"].equals(here["image_id"])
        assert there["partition"].equals(here["partition"])
        np.testing.assert_allclose(there["score"], here["score"], rtol=1e-4)


def test_no_credential_is_recorded(stored_run, s3):
    _, process = stored_run
    everything = process.stdout + process.stderr
    for folder in ("runs", "cache"):
        everything += "".join(
            s3.read(f"bucket/{folder}/{name}").decode("latin-1") for name in s3.names(f"bucket/{folder}")
        )
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        assert CREDENTIALS[name] not in everything


def test_another_machine_goes_on_extracts_nothing_and_trains_only_what_is_missing(
    extended_run, finished_run, read_summary, s3
):
    assert "none extracted" in extended_run.stdout
    assert "fold 2: finished" in extended_run.stdout
    assert "fold 0: finished" not in extended_run.stdout
    assert "fold 1: finished" not in extended_run.stdout
    here, there = read_summary(finished_run[0]), json.loads(s3.read("bucket/runs/first/summary.json"))
    assert there["folds"] == {"planned": 3, "finished": 3}
    assert there["dataset"]["fingerprint"] == here["dataset"]["fingerprint"]
    assert there["dataset"]["name"] == "plates"
    for one, other in zip(there["estimates"], here["estimates"], strict=True):
        assert (one["strategy"], one["level"], one["metric"]) == (other["strategy"], other["level"], other["metric"])
        assert one["mean"] == pytest.approx(other["mean"], abs=1e-4)


def test_a_run_on_a_store_is_not_overwritten_and_not_continued_with_other_settings(stored_run, say):
    options, _ = stored_run
    code, _, error = say("run-cv", *options)
    assert (code, "--out s3://bucket/runs/first holds a run already" in error) == (2, True)
    code, _, error = say("run-cv", *options, "--resume", "--seed", 1)
    assert (code, "--seed 0 then, 1 now" in error) == (2, True), error


@pytest.mark.slow
def test_a_finished_run_is_judged_from_anywhere(extended_run, finished_run, on, say, s3):
    arguments = ["s3://bucket/runs/first", "--cache", "s3://bucket/cache", "--only", "invariance", "--pictures", 4]
    findings = json.loads(on("third", "diagnose", *arguments, "--json").stdout)
    assert findings == json.loads(s3.read("bucket/runs/first/diagnosis.json"))
    assert {finding["name"] for finding in findings["findings"]} >= {"invariance", "leakage"}
    assert "figures/dose_response.png" in s3.names("bucket/runs/first")

    scores = "s3://bucket/runs/first/folds/0/scores.parquet"
    assert say("evaluate", scores, "--replicates", 100, "--out", "s3://bucket/judged")[0] == 0
    assert json.loads(s3.read("bucket/judged/summary.json"))["dataset"]["name"] == "scores"

    code, said, error = say("compare", "s3://bucket/runs/first", finished_run[0], "--metric", "auroc", "--json")
    assert code == 0, error
    for row in json.loads(said)["differences"]:
        assert row["difference"] == pytest.approx(0, abs=1e-6)


@pytest.mark.slow
def test_a_damaged_file_of_a_finished_fold_is_found_on_another_machine(stored_run, extended_run, on, s3):
    options, _ = stored_run
    path = "bucket/runs/first/folds/0/maps.parquet"
    undamaged = s3.read(path)
    s3.write(path, undamaged[:-9] + bytes([undamaged[-9] ^ 1]) + undamaged[-8:])
    process = on("fourth", "run-cv", *options, "--folds", 3, "--resume")
    assert "s3://bucket/runs/first/folds/0: its files are not as they were written" in process.stdout.replace("\n", " ")
    assert "fold 0: finished" in process.stdout
    record = json.loads(s3.read("bucket/runs/first/folds/0/fold.json"))
    assert set(record["files"]) <= {Path(name).name for name in s3.names("bucket/runs/first/folds/0")}
    assert table(s3, path).num_rows == table(s3, "bucket/runs/first/folds/0/scores.parquet").num_rows


def test_a_fold_whose_machine_died_goes_on_elsewhere_from_its_checkpoint(stored_run, s3, monkeypatch, tmp_path):
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3.endpoint)
    monkeypatch.setenv("RAYLAB2F_MIRROR", str(tmp_path / "one"))
    run = RunFolder("s3://bucket/runs/first")
    split = fetch(run.place, ["run.json", "folds/0/split.parquet"]) / "folds" / "0" / "split.parquet"
    config = json.loads((run.path / "run.json").read_text(encoding="utf-8"))["settings"]["config"]
    folder = "s3://bucket/interrupted/folds/0"
    local(folder).mkdir(parents=True)
    (local(folder) / "split.parquet").write_bytes(split.read_bytes())
    publish(folder)
    caches = {
        name: {key.split("/")[0] for key in s3.names(f"bucket/cache/{name}")} for name in ("pictures", "features")
    }
    task = FoldTask(
        folder=folder,
        fold=0,
        manifest=join(run.place, "pictures.parquet"),
        detector="glass",
        config=config | {"schedule": config["schedule"] | {"epochs": 4}},
        seed=0,
        pictures=f"s3://bucket/cache/pictures/{caches['pictures'].pop()}",
        stores=tuple(f"s3://bucket/cache/features/{name}" for name in caches["features"]),
        checkpoint_seconds=0.0,
        epoch_scores=1,
    )

    def die(numbers):
        if numbers["epoch"] == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_fold(task, die)
    assert s3.names("bucket/interrupted/folds/0") == ["checkpoint.safetensors", "epoch_scores.parquet", "split.parquet"]
    monkeypatch.setenv("RAYLAB2F_MIRROR", str(tmp_path / "other"))
    epochs = []
    run_fold(task, lambda numbers: epochs.append(numbers["epoch"]))
    assert epochs == [3, 4]
    assert "checkpoint.safetensors" not in s3.names("bucket/interrupted/folds/0")
    monkeypatch.setenv("RAYLAB2F_MIRROR", str(tmp_path / "third"))
    assert fold_is_finished(fetch(folder))
    record = json.loads((local(folder) / "fold.json").read_text(encoding="utf-8"))
    assert record["resumed_from_epoch"] == 2
    kept = pq.read_table(local(folder) / "epoch_scores.parquet")
    assert set(kept["epoch"].to_pylist()) == {1, 2, 3, 4}
    # As if it had not stopped.
    whole = replace(task, folder="s3://bucket/whole/folds/0")
    local(whole.folder).mkdir(parents=True)
    (local(whole.folder) / "split.parquet").write_bytes(split.read_bytes())
    publish(whole.folder)
    run_fold(whole, lambda numbers: None)
    one, other = (pq.read_table(local(f) / "scores.parquet").sort_by("image_id") for f in (folder, whole.folder))
    np.testing.assert_allclose(one["score"], other["score"], rtol=1e-3)


@pytest.mark.slow
def test_nodes_that_share_nothing_but_the_store_do_one_run(s3, uploaded, finished_run, tmp_path_factory):
    pytest.importorskip("aiohttp_cors", reason="needs raylab2f[cluster]")
    folder = tmp_path_factory.mktemp("nodes")

    def environment(machine):
        return {**CREDENTIALS, "AWS_ENDPOINT_URL": s3.endpoint, "RAYLAB2F_MIRROR": str(folder / machine)}

    with Head(folder, cpus=0) as head:
        for node in ("one", "two"):
            head.add_node(environment=environment(node))
        options = ["--data", uploaded, "--cache", "s3://bucket/nodes/cache", "--out", "s3://bucket/nodes/run", *SMALL]
        command = [BIN / "raylab2f", "run-cv", "--address", head.address, *options, "--folds", "2"]
        process = subprocess.run(
            command,
            env={**head.environment, **environment("driver")},
            capture_output=True,
            text=True,
            timeout=400,
            check=False,
            cwd=folder,
        )
        # Each node trained a fold in its own mirror.
        trained = [sorted(path.parent.name for path in (folder / n).rglob("fold.json")) for n in ("one", "two")]
    assert process.returncode == 0, process.stdout + process.stderr
    for fold in range(2):
        here = pq.read_table(finished_run[0] / "folds" / str(fold) / "scores.parquet").sort_by("image_id")
        np.testing.assert_allclose(
            table(s3, f"bucket/nodes/run/folds/{fold}/scores.parquet")["score"], here["score"], rtol=1e-4
        )
    assert sorted(trained) == [["0"], ["1"]]


@pytest.mark.parametrize("option", ["--data", "--cache", "--out"])
@pytest.mark.parametrize(
    ("place", "sentence"),
    [
        ("s3://bucket/x?endpoint_override=http://127.0.0.1:9", "the store cannot be reached"),
        ("s3://nobodys-bucket/x.csv", "there is no such bucket"),
        ("s3://key:secret@bucket/x", "credentials do not belong"),
        ("s4://bucket/x", "s4"),
    ],
)
def test_a_store_that_cannot_be_used_costs_one_sentence(say, uploaded, option, place, sentence, tmp_path):
    options = {"--data": uploaded, "--cache": tmp_path / "cache", "--out": tmp_path / "run", option: place}
    code, _, error = say("run-cv", *(part for pair in options.items() for part in pair), *SMALL)
    assert code == 2
    assert sentence in error
    assert "secret" not in error
    assert len(error.strip().splitlines()) == 1
    assert not (tmp_path / "run").exists()


def test_refused_credentials_cost_one_sentence(say, tmp_path):
    strict = S3Server(INITIAL_NO_AUTH_ACTION_COUNT="2")
    try:
        strict.create_bucket("bucket")
        code, _, error = say("run-cv", "--data", strict.uri("bucket/plates.csv"), "--out", tmp_path / "run")
    finally:
        strict.stop()
    assert code == 2
    assert "the store refuses the credentials" in error
    assert len(error.strip().splitlines()) == 1


def test_other_layouts_than_a_manifest_are_refused_on_a_store(say, uploaded):
    for options in (["--layout", "mvtec"], ["--nominal", "good"]):
        code, _, error = say("run-cv", "--data", "s3://bucket/plates", *options)
        assert (code, "only a manifest" in error) == (2, True)
    code, _, error = say("run-cv", "--data", "s3://bucket/plates")
    assert (code, "this is not a manifest" in error) == (2, True)


@pytest.mark.slow
def test_folders_by_file_uri_are_local_folders(finished_run, on, pictures, cache, tmp_path):
    out = tmp_path / "a run"
    shutil.copytree(finished_run[0], out)
    (out / "summary.json").unlink()
    options = ["--data", pictures.as_uri(), "--cache", cache.as_uri(), "--out", out.as_uri(), *SMALL]
    process = on("fifth", "run-cv", *options, "--folds", 3, "--resume")
    assert "none trained" in process.stdout
    assert "none extracted" in process.stdout
    assert (out / "summary.json").exists()
