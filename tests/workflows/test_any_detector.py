"""Detectors of others go through whole runs: they see their train partition only, and their faults stay their own."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from in_process import raylab2f

from raylab2f import plugins
from raylab2f.preparation import PictureShards

SOURCE = '''
import hashlib, json, os
import numpy as np

class Spy:
    """Writes down which pictures it is given; keeps its model."""

    def __init__(self, log):
        print("listening")
        self.log = log

    def _note(self, what, pictures):
        seen = sorted(hashlib.sha256(picture.tobytes()).hexdigest() for picture in pictures)
        with open(os.path.join(self.log, f"{os.getpid()}.jsonl"), "a") as file:
            file.write(json.dumps({"what": what, "seen": seen}) + "\\n")

    def fit(self, pictures, foregrounds, seed):
        self._note("fit", pictures)
        self.mean = pictures.astype(np.float32).mean(axis=0)

    def predict(self, pictures):
        self._note("predict", pictures)
        maps = np.abs(pictures - self.mean).max(axis=3)
        return maps.max(axis=(1, 2)), maps

    def state(self):
        return {"mean": self.mean}

    def restore(self, state):
        self.mean = state["mean"]

class Mapless:
    """Depends on its batch, gives no maps and keeps no model."""

    def fit(self, pictures, foregrounds, seed):
        pass

    def predict(self, pictures):
        scores = pictures.reshape(len(pictures), -1).std(axis=1)
        return scores - scores.mean(), None

class Fails:
    def fit(self, pictures, foregrounds, seed):
        self.fitted = len(pictures)

    def predict(self, pictures):
        return np.full(len(pictures), np.nan), None

class Unmade(Fails):
    def __init__(self):
        raise OSError("no licence found")
'''


@pytest.fixture(scope="module")
def ran(command, tmp_path_factory):
    """The folder of the runs, the spy's notes, and how the command ended that was given beside the module."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "own_detectors.py").write_text(SOURCE, encoding="utf-8")
    log = folder / "log"
    log.mkdir()
    chosen = [f"own_detectors:{name}" for name in ("Nowhere", "Spy", "Fails", "Mapless", "Unmade")] + ["padim"]
    options = [word for name in chosen for word in ("--detector", name)]
    without_epochs = [part for part in command if part not in ("--epochs", "2")]
    done = subprocess.run(
        [*without_epochs, *options, "--folds", "2", "--set", f"own_detectors:Spy/log={log}", "--out", folder / "out"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=600,
    )
    return folder / "out", log, done


def notes(log):
    return [json.loads(line) for path in log.iterdir() for line in path.read_text(encoding="utf-8").splitlines()]


def test_a_detector_is_fitted_to_its_train_partition_and_to_nothing_else(ran, cache):
    out, log, _ = ran
    [shards] = [
        found
        for found in map(PictureShards.open, (cache / "pictures").iterdir())
        if set(pq.read_table(out / "own_detectors-Spy-seed0" / "pictures.parquet")["image_id"].to_pylist())
    ]
    wanted = []
    for fold in (0, 1):
        split = pq.read_table(out / "own_detectors-Spy-seed0" / "folds" / str(fold) / "split.parquet").to_pylist()
        train = [row["image_id"] for row in split if row["partition"] == "train"]
        pictures = shards.read(train, ["picture"])["picture"]
        wanted.append(sorted(hashlib.sha256(picture.tobytes()).hexdigest() for picture in pictures))
    assert sorted(note["seen"] for note in notes(log) if note["what"] == "fit") == sorted(wanted)


def test_faults_of_one_detector_leave_the_folds_of_others_alone(ran):
    out, _, done = ran
    assert done.returncode == 2, done.stdout + done.stderr
    assert "numbers in its scores are NaN or infinite; mend its predict" in " ".join(done.stderr.split())
    assert "Traceback" not in done.stdout + done.stderr
    for name in ("own_detectors-Spy", "own_detectors-Mapless", "padim"):
        assert (out / f"{name}-seed0" / "summary.json").exists(), done.stdout


def test_detectors_that_cannot_be_made_are_told_first_and_last_and_the_others_go_on(ran):
    out, _, done = ran
    told = " ".join(done.stdout.split()), " ".join(done.stderr.split())
    for sentence in ("own_detectors has no class Nowhere", "Unmade: it cannot be made with no option (OSError: no lic"):
        assert all(sentence in text for text in told), told
    assert told[0].index("Nowhere") < told[0].index("folds: ")
    assert sorted(path.name for path in out.iterdir() if path.name.startswith("own")) == [
        "own_detectors-Fails-seed0",
        "own_detectors-Mapless-seed0",
        "own_detectors-Spy-seed0",
    ]


def test_obvious_spots_are_found_and_the_nearest_neighbour_stands_beside(ran, read_summary):
    summary = read_summary(ran[0] / "own_detectors-Spy-seed0")
    found = {(row["level"], row["metric"]): row["mean"] for row in summary["estimates"]}
    assert found["image", "auroc"] > 0.9
    assert [row["level"] for row in summary["baseline"]] == ["image", "object"]
    record = json.loads((ran[0] / "own_detectors-Spy-seed0" / "folds" / "0" / "fold.json").read_text(encoding="utf-8"))
    assert record["batch_dependence"] == 0.0
    assert record["peak_memory"]["process"] > 1 << 20


def test_scores_that_depend_on_their_neighbours_are_told(ran, read_summary):
    codes = [warning["code"] for warning in read_summary(ran[0] / "own_detectors-Mapless-seed0")["warnings"]]
    assert "RL316" in codes
    codes = [warning["code"] for warning in read_summary(ran[0] / "own_detectors-Spy-seed0")["warnings"]]
    assert "RL316" not in codes


def test_a_detector_without_maps_has_a_page_and_no_pixel_metrics(ran, read_summary):
    folder = ran[0] / "own_detectors-Mapless-seed0"
    assert not (folder / "folds" / "0" / "maps.parquet").exists()
    assert not (folder / "folds" / "0" / "pixels.parquet").exists()
    assert (folder / "report.html").stat().st_size > 10_000
    assert "RL315" not in [warning["code"] for warning in read_summary(folder)["warnings"]]


def test_several_detectors_end_in_a_ranking_with_what_they_cost(ran):
    said = " ".join(ran[2].stdout.split())
    assert "detectors on the same folds, object level" in said
    assert "after Holm's adjustment for all pairs" in said


@pytest.fixture(scope="module")
def beside(ran, shared_ray):
    """Commands in this process, in the folder that holds the module."""
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(ran[0].parent)
        patched.setattr(sys, "path", [*sys.path])
        patched.setenv(plugins.TRUST, "own_detectors:Spy,own_detectors:Mapless")
        yield


def test_what_keeps_its_model_becomes_one_and_what_does_not_says_so(ran, beside, cache, pictures, tmp_path):
    out = ran[0]
    for name, code in (("own_detectors-Spy", 0), ("own_detectors-Mapless", 2)):
        options = [out / f"{name}-seed0", "--from-fold", 1, "--out", tmp_path / name, "--cache", cache]
        done = raylab2f("finalise", *options)
        assert done.returncode == code, done.stdout + done.stderr
    assert "keeps no model that could be installed" in " ".join(done.stderr.split())
    judged = raylab2f("predict", tmp_path / "own_detectors-Spy", pictures.parent, "--out", tmp_path / "judged")
    assert judged.returncode == 0, judged.stdout + judged.stderr
    rows = (tmp_path / "judged" / "pictures.csv").read_text(encoding="utf-8").splitlines()
    fold = pq.read_table(out / "own_detectors-Spy-seed0" / "folds" / "1" / "scores.parquet").to_pylist()
    place = rows[0].split(",").index("score")
    by_name = {Path(row.split(",")[0]).name: float(row.split(",")[place]) for row in rows[1:]}
    for row in fold:
        np.testing.assert_allclose(by_name[row["image_id"]], row["score"], rtol=1e-5)


def test_what_a_class_prints_is_no_part_of_json(ran, beside, cache):
    spy = ran[0] / "own_detectors-Spy-seed0"
    words = ["--resume", "--out", spy, "--detector", "own_detectors:Spy", "--cache", cache, "--json"]
    done = raylab2f("run-cv", *words)
    assert done.returncode == 0, done.stderr
    assert "listening" in done.stderr
    assert [run["run"] for run in json.loads(done.stdout)["runs"]] == [str(spy)]


def test_an_exported_file_holds_no_detector_of_others(ran, beside, cache, tmp_path):
    options = ["--from-fold", 0, "--out", tmp_path / "model", "--cache", cache]
    assert raylab2f("finalise", ran[0] / "own_detectors-Spy-seed0", *options).returncode == 0
    done = raylab2f("export", tmp_path / "model", "--format", "pt2")
    assert done.returncode == 2
    assert "is no detector of raylab2f's own" in " ".join(done.stderr.split())


def test_diagnoses_that_need_the_model_go_by_what_is_stored(ran, beside, cache):
    done = raylab2f("diagnose", ran[0] / "own_detectors-Mapless-seed0", "--only", "invariance", "--cache", cache)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "keeps no model, so that no altered pictures are scored" in " ".join((done.stdout + done.stderr).split())


def test_a_class_that_only_a_run_or_a_model_names_is_not_imported(ran, beside, cache, tmp_path, monkeypatch):
    model = tmp_path / "model"
    spy = ran[0] / "own_detectors-Spy-seed0"
    assert raylab2f("finalise", spy, "--from-fold", 0, "--out", model, "--cache", cache).returncode == 0
    monkeypatch.delenv(plugins.TRUST)
    monkeypatch.setattr(plugins, "_trusted", set())
    (tmp_path / "own.yaml").write_text("detector: own_detectors:Spy\n", encoding="utf-8")
    for words in (
        ["diagnose", spy, "--cache", cache],
        ["finalise", spy, "--out", tmp_path / "other", "--cache", cache],
        ["predict", model, spy.parent.parent],
        ["run-cv", "--config", spy / "run.json"],
        ["run-cv", "--config", tmp_path / "own.yaml"],
        ["run-cv", "--resume", "--out", spy],
    ):
        done = raylab2f(*words)
        assert done.returncode == 2, done.stdout + done.stderr
        assert "own_detectors:Spy is a class of somebody's, and only a file names it" in " ".join(done.stderr.split())
