"""A run goes on from its folder alone, with the options that it was begun with, and what is refused leaves nothing."""

import json
import shutil

import pytest
from in_process import raylab2f

from raylab2f.cli.run_cv import run_cv
from raylab2f.errors import UserError
from raylab2f.files.atomic import write_json
from raylab2f.options.declaration import declared
from raylab2f.options.going_on import options_to_go_on


@pytest.fixture
def without_cache_named(monkeypatch, tmp_path):
    """The user's cache folder is an empty one, and nothing names another."""
    monkeypatch.delenv("RAYLAB2F_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user's cache"))


@pytest.fixture
def begun(finished_run, tmp_path):
    """A copy of a finished run of 3 folds."""
    return shutil.copytree(finished_run[0], tmp_path / "a run")


def resume(folder, *options):
    return raylab2f("run-cv", "--resume", "--out", folder, *options)


def test_the_folder_alone_shows_a_finished_run_again_and_is_named_first(begun, shared_ray, without_cache_named):
    before = json.loads((begun / "summary.json").read_text(encoding="utf-8"))
    done = resume(begun)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == f"run folder: {begun}"
    assert "none extracted" in done.stdout
    assert "none trained" in done.stdout
    assert json.loads((begun / "summary.json").read_text(encoding="utf-8"))["estimates"] == before["estimates"]


def test_the_printed_hint_extracts_nothing_again(begun, shared_ray, without_cache_named, tmp_path):
    done = raylab2f("diagnose", begun, "--only", "shift")
    assert done.returncode == 0, done.stderr
    assert "extract features" not in done.stdout
    assert not (tmp_path / "user's cache" / "raylab2f" / "features").exists()


def test_a_run_is_judged_anew_with_other_thresholds(begun, shared_ray):
    done = resume(begun, "--threshold", "target-recall:0.9")
    assert done.returncode == 0, done.stderr
    assert "none trained" in done.stdout
    summary = json.loads((begun / "summary.json").read_text(encoding="utf-8"))
    assert {row["strategy"] for row in summary["estimates"] if row["level"] == "object"} == {"any", "target-recall:0.9"}


def test_options_that_contradict_are_named_as_they_are_typed(begun):
    done = resume(begun, "--epochs", 5, "--size", 96, "--stratify", "--keep-views", "0:60", "--set", "ascent_steps=3")
    assert done.returncode == 2
    assert "--epochs 2 then, 5 now" in done.stderr
    assert "--size 64x64 then, 96x96 now" in done.stderr
    assert "--stratify not given then, given now" in done.stderr
    assert "--keep-views not given then, 0:60 now" in done.stderr
    assert "--set ascent_steps" in done.stderr
    assert "{" not in done.stderr


def test_fewer_folds_are_refused_and_the_same_options_are_not(begun, shared_ray):
    assert "--folds 3" in resume(begun, "--folds", 2).stderr
    assert resume(begun, "--epochs", 2, "--size", 64, "--folds", 3).returncode == 0


def test_a_folder_without_a_run_is_named_rather_than_begun(tmp_path):
    done = resume(tmp_path / "none")
    assert done.returncode == 2
    assert "there is no run" in done.stderr
    assert not (tmp_path / "none").exists()


def test_runs_of_several_seeds_go_on_together_and_strangers_do_not(begun, tmp_path):
    record = json.loads((begun / "run.json").read_text(encoding="utf-8"))
    for seed in (0, 3):
        record["settings"]["seed"] = seed
        write_json(tmp_path / "several" / f"glass-seed{seed}" / "run.json", record)
    together = options_to_go_on(str(tmp_path / "several"), declared(run_cv), {"out": "several", "resume": True})
    assert together["seed"] == (0, 3)
    assert together["detector"] == ("glass",)
    assert together["epochs"] == 2
    record["settings"]["seed"] = 4
    write_json(tmp_path / "several" / "another" / "run.json", record)
    assert "not those of one command" in resume(tmp_path / "several").stderr


def test_a_detector_that_could_not_be_made_joins_the_runs_that_went_on_without_it(begun, tmp_path):
    # `csflow` stands for one that was refused when the command was first given.
    out = tmp_path / "several"
    shutil.copytree(begun, out / "glass-seed0")
    both = {"detector": ("csflow", "glass"), "out": str(out)}
    assert options_to_go_on(str(out), declared(run_cv), both)["detector"] == ("csflow", "glass")
    for unfit in ({}, {"detector": ("glass",)}, {"detector": ("csflow", "padim")}):
        with pytest.raises(UserError, match="the runs below are not those of one command"):
            options_to_go_on(str(out), declared(run_cv), {**unfit, "out": str(out)})


@pytest.mark.parametrize(
    "options",
    [
        ["--data", "nowhere.csv"],
        ["--folds", "3", "--weights", "nowhere.pth"],
        ["--keep-views", "zzz"],
        ["--gpus-per-fold", "64"],
        ["--train-angles", "0,45", "--centre-embed", "8"],
    ],
    ids=lambda options: options[0],
)
def test_a_refused_run_leaves_no_folder(ask, options, shared_ray, tmp_path):
    out = tmp_path / "runs" / "refused"
    done = ask("--out", out, *options)
    assert done.returncode == 2, done.stdout
    assert not out.parent.exists()
