"""The ranking at the end of a command with several detectors."""

import csv
import shutil

import cv2
import numpy as np
import pytest
from in_process import raylab2f as program

from raylab2f.errors import UserError
from raylab2f.workflows.ranking import comparable, rank_runs


@pytest.fixture(scope="module")
def ran(cache, shared_ray, tmp_path_factory):
    """Two detectors on parts all of which have a spotted picture among good ones: there are no good parts."""
    folder = tmp_path_factory.mktemp("parts")
    random = np.random.default_rng(0)
    rows = []
    for number in range(12):
        for view in range(4):
            picture = random.normal(100, 10, (64, 64, 3))
            if view == number % 4:
                picture[20:34, 30:40] = 240
            name = f"part {number:02d} {view}.png"
            cv2.imwrite(str(folder / name), picture.clip(0, 255).astype(np.uint8))
            rows.append([name, name, int(view == number % 4), f"part{number}"])
    with (folder / "parts.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["image_id", "path", "label", "object_id"], *rows])
    out = folder / "out"
    usual = ["--preset", "fast", "--size", 64, "--folds", 2, "--replicates", 100, "--max-parallel-folds", 1]
    names = ["--detector", "padim", "--detector", "mahalanobis"]
    process = program("run-cv", "--data", folder / "parts.csv", *names, *usual, "--cache", cache, "--out", out)
    assert process.returncode == 0, process.stdout + process.stderr
    return out, process


def test_where_there_are_no_good_parts_detectors_are_ranked_by_their_pictures(ran):
    out, process = ran
    assert "detectors on the same folds, image level, seed 0" in process.stdout
    ranking = rank_runs([str(out / "padim-seed0"), str(out / "mahalanobis-seed0")], seed=3)
    assert ranking["seed"] == 3
    assert ranking["level"] == "image"
    for row in ranking["ranking"]:
        assert 0 <= row["low"] <= row["mean"] <= row["high"] <= 1
        assert row["fold_seconds"] > 0


def test_runs_that_lack_a_fold_of_the_others_are_not_ranked_and_why_is_said(ran, tmp_path):
    out, _ = ran
    shutil.copytree(out / "padim-seed0", tmp_path / "padim-seed0")
    shutil.rmtree(tmp_path / "padim-seed0" / "folds" / "1")
    with pytest.raises(UserError, match="fold"):
        rank_runs([str(tmp_path / "padim-seed0"), str(out / "mahalanobis-seed0")])


@pytest.mark.parametrize(
    ("failed", "ranked", "left_out"),
    [
        ({"a": 0, "b": 1, "c": 0}, ["a", "c"], ["b"]),
        ({"a": 0, "b": 0}, ["a", "b"], []),
        ({"a": 0, "b": 1}, ["a", "b"], []),
        ({"a": 1, "b": 1, "c": 1}, ["a", "b", "c"], []),
    ],
)
def test_a_failed_fold_of_one_run_does_not_cost_the_ranking_of_others(failed, ranked, left_out):
    assert comparable(failed) == (ranked, left_out)
