"""How far a run is, from its folder."""

import json

import pytest
from in_process import raylab2f

from raylab2f.runs.progress_record import ProgressRecord


@pytest.fixture
def run(tmp_path):
    place = tmp_path / "a run"
    place.mkdir()
    (place / "run.json").write_text("{}", encoding="utf-8")
    return place


def test_a_runs_folder_says_how_far_it_is_without_a_cluster(run):
    record = ProgressRecord(str(run), [str(run / "folds" / k) for k in "12"], 1)
    record(str(run / "folds" / "1"), {"started": True})
    record(str(run / "folds" / "2"), {"done": True})
    record("of another run", {"done": True})
    done = raylab2f("jobs", "status", run)
    assert done.returncode == 0, done.stderr
    assert "folds: 2 of 3 done, 1 running; fold 1 starts" in done.stdout
    assert str(run / "log.txt") in done.stdout


def test_folds_that_ran_when_the_command_was_stopped_run_no_more(run):
    record = ProgressRecord(str(run), [str(run / "folds" / k) for k in "123"], 0)
    record(str(run / "folds" / "1"), {"done": True})
    record(str(run / "folds" / "2"), {"epoch": 7, "epochs": 60, "loss": 2.0, "pictures_per_second": 1.0})
    record.stop()
    said = raylab2f("jobs", "status", run).stdout
    assert "folds: 1 of 3 done, 1 stopped, 1 waiting; fold 2 epoch 7 of 60, loss 2" in said
    assert "left" not in said


def test_a_folder_without_a_run_yet_is_told_from_none(tmp_path):
    done = raylab2f("jobs", "status", tmp_path)
    assert done.returncode == 2
    assert "none yet" in done.stderr


@pytest.mark.parametrize(
    "content",
    [
        "[]",
        "{}",
        '{"folds": 3, "finished_before": 0}',
        '{"folds": [{"state": {}}], "finished_before": "x", "updated": "now"}',
        '{"folds": [], "finished_before": 0, "updated": "2026-01-01T00:00:00"}',
        "[" * 100_000,
    ],
)
def test_what_is_no_record_of_ours_is_one_sentence(run, content):
    (run / "progress.json").write_text(content, encoding="utf-8")
    done = raylab2f("jobs", "status", run)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "progress.json" in done.stderr


def test_a_name_that_would_steer_the_terminal_is_escaped(run):
    record = ProgressRecord(str(run), [str(run / "folds" / "1")], 0)
    record(str(run / "folds" / "1"), {"started": True})
    content = json.loads((run / "progress.json").read_text(encoding="utf-8"))
    content["folds"][0]["fold"] = "\x1b[2J"
    (run / "progress.json").write_text(json.dumps(content), encoding="utf-8")
    assert "\x1b" not in raylab2f("jobs", "status", run).stdout


def test_a_folder_without_a_run_is_named(tmp_path):
    done = raylab2f("jobs", "status", tmp_path)
    assert done.returncode == 2
    assert "holds no run" in done.stderr
