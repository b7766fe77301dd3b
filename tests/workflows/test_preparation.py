"""run-cv on prepared pictures: masked, centred, turned, some views only."""

import csv
import json

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from raylab2f.datasets import load_dataset
from raylab2f.datasets.manifest import fingerprint
from raylab2f.detectors.registry import config_to_dict, preset_config
from raylab2f.preparation import PictureShards, PreparationSettings
from raylab2f.reporting import Display
from raylab2f.runs.folder import DataSettings, RunSettings
from raylab2f.workflows.inputs import prepare_inputs


@pytest.fixture(scope="module")
def blocks(tmp_path_factory):
    """18 good and 6 spotted blocks of 48 x 32 pixels anywhere on a dark ground, in two views, with foregrounds."""
    folder = tmp_path_factory.mktemp("blocks")
    generator = np.random.default_rng(0)
    with (folder / "blocks.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["image_id", "path", "label", "object_id", "view", "foreground_path"])
        for number in range(24):
            for view in ("0", "45"):
                row, column = (int(v) for v in generator.integers(26, 70, 2))
                foreground = np.zeros((96, 96), np.uint8)
                cv2.rectangle(foreground, (column - 24, row - 16), (column + 23, row + 15), 255, -1)
                picture = generator.normal(60, 12, (96, 96, 3)) + 100 * (foreground[..., None] > 0)
                if number >= 18:
                    cv2.circle(picture, (column, row), 9, (250, 30, 30), -1)
                name = f"block {number:02d} {view}.png"
                cv2.imwrite(str(folder / name), picture.clip(0, 255).astype(np.uint8))
                cv2.imwrite(str(folder / f"mask {name}"), foreground)
                writer.writerow([name, name, int(number >= 18), f"block{number:02d}", view, f"mask {name}"])
    return folder / "blocks.csv"


@pytest.fixture(scope="module")
def prepared_run(run, blocks, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "prepared"
    options = ["--mask-background", "--centre-embed", "auto", "--train-angles", "0,90", "--eval-angles", "0,-10"]
    options += ["--keep-views", "0:30", "--keep-views-for", "evaluation"]
    run("--data", blocks, "--detector", "glass", "--folds", 2, "--epochs", 1, *options, "--out", folder)
    return folder


def test_each_partition_has_the_angles_and_views_that_were_asked(prepared_run):
    pictures = {row["image_id"]: row for row in pq.read_table(prepared_run / "pictures.parquet").to_pylist()}
    assert len(pictures) == 3 * 48
    for fold in ("0", "1"):
        split = pq.read_table(prepared_run / "folds" / fold / "split.parquet").to_pylist()
        seen = {(r["partition"], *(pictures[r["image_id"]][name] for name in ("rotation", "view"))) for r in split}
        trained = {("train", angle, view) for angle in (0, 90) for view in ("0", "45")}
        judged = {(name, angle, "0") for name in ("threshold", "inference") for angle in (0, 350)}
        assert seen == trained | judged
        scored = pq.read_table(prepared_run / "folds" / fold / "scores.parquet")["image_id"].to_pylist()
        assert sorted(scored) == sorted(row["image_id"] for row in split if row["partition"] != "train")


def test_the_summary_tells_what_was_done_and_that_it_made_things_easier(prepared_run, read_summary):
    summary = read_summary(prepared_run)
    preparation = summary["dataset"]["preparation"]
    # The blocks measure 32 x 48. Upright they are 48 high; lying and turned by 10 degrees, about 48 cos + 32 sin wide.
    assert preparation["canvas"] == [48, pytest.approx(52.8, abs=2)]
    assert preparation["mask_background"] is True
    assert preparation["train_angles"] == [0, 90]
    assert any(
        "0:30 in evaluation" in warning["text"] and "easier" in warning["text"] for warning in summary["warnings"]
    )


def test_shards_hold_the_centred_object_on_black(prepared_run, cache):
    task = json.loads((prepared_run / "run.json").read_text(encoding="utf-8"))
    assert task["settings"]["preparation"]["centre_embed"] == "auto"
    [shards] = [
        shards
        for path in (cache / "pictures").iterdir()
        if "block 00 0.png@rot90" in (shards := PictureShards.open(path)).image_ids
    ]
    stored = shards.read(["block 00 0.png", "block 00 0.png@rot90"])
    factor = 64 / max(json.loads((shards.folder / "shards.json").read_text(encoding="utf-8"))["preparation"]["canvas"])
    for foreground, shape in zip(stored["foreground"], ((32, 48), (48, 32)), strict=True):
        rows, columns = (np.flatnonzero(foreground.any(axis=axis)) for axis in (1, 0))
        assert len(rows) == pytest.approx(shape[0] * factor, abs=2)
        assert len(columns) == pytest.approx(shape[1] * factor, abs=2)
        assert abs(rows[0] + rows[-1] - 63) <= 2
        assert abs(columns[0] + columns[-1] - 63) <= 2
    assert stored["picture"][stored["foreground"] == 0].max() == 0
    assert stored["picture"][0][20:44, 10:54].min() > 60


@pytest.mark.slow
def test_too_small_a_canvas_is_a_mistake(run, blocks, tmp_path):
    process = run("--data", blocks, "--centre-embed", "40x40", "--out", tmp_path / "out", check=False)
    assert process.returncode == 2
    assert "too small for 48 objects" in process.stderr
    assert "Traceback" not in process.stderr


def test_pictures_without_foregrounds_are_listed(run, tmp_path):
    process = run("--mask-background", "--out", tmp_path / "out", check=False)
    assert process.returncode == 2
    assert "48 have none: plate 00 a.png" in process.stderr
    assert "raylab2f segment" in process.stderr


@pytest.mark.slow
def test_defects_that_a_turn_moves_out_of_the_frame_are_told(shared_ray, pictures, cache, tmp_path):
    mask = np.zeros((96, 96), np.uint8)
    mask[:6, :6] = 255
    cv2.imwrite(str(tmp_path / "corner.png"), mask)
    rows = list(csv.reader(pictures.open(encoding="utf-8")))
    for row in rows[1:]:
        row[1], row[5] = str(pictures.parent / row[1]), str(tmp_path / "corner.png") if row[5] else ""
    with (tmp_path / "plates.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    dataset = load_dataset(tmp_path / "plates.csv")
    preparation = PreparationSettings(eval_angles=(0.0, 45.0))
    config = config_to_dict(preset_config("glass", "fast"))
    settings = RunSettings(DataSettings(), "glass", "fast", config, preparation=preparation)
    options = {"cache": cache, "display": Display(Console(quiet=True)), "requests": ()}
    inputs = prepare_inputs(settings, dataset.manifest, fingerprint(dataset.manifest), **options)
    assert [warning[:40] for warning in inputs.warnings] == ["10 of 10 turned copies of defective pict"]


@pytest.mark.slow
def test_an_empty_foreground_is_named(run, blocks, tmp_path):
    rows = list(csv.reader(blocks.open(encoding="utf-8")))
    cv2.imwrite(str(tmp_path / "empty.png"), np.zeros((96, 96), np.uint8))
    for row in rows[1:]:
        row[1], row[5] = str(blocks.parent / row[1]), str(blocks.parent / row[5])
    rows[5][5] = str(tmp_path / "empty.png")
    with (tmp_path / "blocks.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    process = run("--data", tmp_path / "blocks.csv", "--mask-background", "--out", tmp_path / "out", check=False)
    assert process.returncode == 2
    assert f"1 foreground masks are empty, which would leave nothing of their pictures: {rows[5][0]}" in process.stderr
