"""raylab2f segment as a user starts it."""

import csv
import os
import signal
import subprocess
import time
from functools import partial

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest
from in_process import raylab2f
from ray_head import BIN

from raylab2f.datasets import load_dataset
from raylab2f.datasets.pictures import read_mask, read_picture

VARIANTS = ("manifest", "blanked", "embedded", "embedded-blanked")


@pytest.fixture(scope="module")
def discs(tmp_path_factory):
    """Light discs of two sizes on a dark ground, four of them scratched with masks; one picture shows nothing."""
    folder = tmp_path_factory.mktemp("discs")
    generator = np.random.default_rng(0)
    with (folder / "discs.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["image_id", "path", "label", "object_id", "mask_path", "foreground_path"])
        for number in range(20):
            centre = tuple(int(v) for v in generator.integers(50, 90, 2))
            foreground, scratch = np.zeros((140, 160), np.uint8), np.zeros((140, 160), np.uint8)
            cv2.circle(foreground, centre, 30 + 5 * (number % 2), 255, -1)
            picture = generator.normal(40, 3, (140, 160, 3)) + 140 * (foreground[..., None] > 0)
            if number >= 16:
                cv2.line(scratch, (centre[0] - 10, centre[1]), (centre[0] + 10, centre[1] + 5), 255, 3)
                picture[scratch > 0] = 90
            if number == 3:
                picture[:] = 77
            name = f"{'good' if number < 16 else 'bad'}/{number:02d}.jpg"
            for path, array in ((name, picture), (f"m{number}.png", scratch), (f"f{number}.png", foreground)):
                (folder / path).parent.mkdir(exist_ok=True)
                cv2.imwrite(str(folder / path), array.clip(0, 255).astype(np.uint8))
            mask = f"m{number}.png" if number >= 16 else ""
            writer.writerow([name, name, int(number >= 16), f"disc{number}", mask, f"f{number}.png"])
    return folder / "discs.csv"


@pytest.fixture(scope="module")
def segment(shared_ray):
    return partial(raylab2f, "segment")


@pytest.fixture(scope="module")
def segmented(segment, discs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("segmented") / "new" / "out"
    process = segment(discs, "--out", folder)
    assert process.returncode == 0, process.stdout + process.stderr
    return folder, process.stdout


def times(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*.png")}


def test_every_variant_is_a_data_set_of_its_own(segmented, discs):
    folder, _ = segmented
    before = {row["image_id"]: row for row in load_dataset(discs).manifest.to_pylist()}
    for variant in VARIANTS:
        rows = load_dataset(folder / f"{variant}.parquet").manifest.to_pylist()
        assert len(rows) == 19
        for row in rows:
            same = ("label", "object_id", "defect_type", "given_split")
            assert {name: row[name] for name in same} == {name: before[row["image_id"]][name] for name in same}
            assert (row["mask_path"] is None) == (row["label"] == 0)
            foreground, picture = read_mask(row["foreground_path"]), read_picture(row["path"])
            assert foreground.any()
            if "blanked" in variant:
                assert picture[~foreground].max() == 0
            if "embedded" in variant:
                assert picture.shape[:2] == (row["height"], row["width"])
                rows_with, columns_with = (np.flatnonzero(foreground.any(axis=axis)) for axis in (1, 0))
                assert abs(rows_with[0] + rows_with[-1] - (row["height"] - 1)) <= 1
                assert abs(columns_with[0] + columns_with[-1] - (row["width"] - 1)) <= 1
                if row["mask_path"] is not None:
                    defect = read_mask(row["mask_path"])
                    assert defect.any()
                    assert picture[defect].mean() < picture[foreground & ~defect].mean() - 30


def test_the_canvas_is_the_smallest_that_holds_all(segmented):
    folder, _ = segmented
    segments = pq.read_table(folder / "segments.parquet")
    embedded = pq.read_table(folder / "embedded.parquet")
    for side in ("height", "width"):
        assert set(embedded[side].to_pylist()) == {max(segments[side].to_pylist())}


def test_what_failed_is_told_with_its_reason(segmented):
    folder, output = segmented
    [failure] = pq.read_table(folder / "failures.parquet").to_pylist()
    assert failure["image_id"] == "good/03.jpg"
    assert failure["reason"].startswith("nothing detected")
    assert "19 of 20 pictures segmented" in output
    assert "1 pictures have no mask" in output


def test_masks_are_held_against_those_of_the_data(segmented):
    folder, output = segmented
    assert min(pq.read_table(folder / "segments.parquet")["iou"].to_pylist()) > 0.93
    assert "intersection over union" in output


def test_the_same_command_makes_only_what_is_missing(segmented, segment, discs):
    folder, _ = segmented
    lost = next(folder.glob("blanked/bad/*.png"))
    lost.unlink()
    before = times(folder)
    process = segment(discs, "--out", folder)
    assert process.returncode == 0
    assert "19 of them before" in process.stdout
    after = times(folder)
    assert lost in after
    assert [path for path in before if before[path] != after[path] and path.name != lost.name] == []


def test_another_canvas_keeps_the_masks_and_too_small_a_one_lists_the_offenders(segmented, segment, discs):
    folder, _ = segmented
    process = segment(discs, "--out", folder, "--centre-embed", "65x200")
    assert process.returncode == 2
    assert "too small for 9 objects" in process.stderr
    assert "bad/17.jpg (71x71)" in process.stderr


@pytest.mark.slow
def test_an_interrupted_run_goes_on(segment, discs, tmp_path):
    out = tmp_path / "out"
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    driver = subprocess.Popen(
        [BIN / "raylab2f", "segment", str(discs), "--out", str(out)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=environment,
        # Whoever starts the tests in the background has them ignore interrupts, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        deadline = time.monotonic() + 300
        while not list(out.rglob("*.json")):
            assert driver.poll() is None, "the run ended before it could be interrupted"
            assert time.monotonic() < deadline
            time.sleep(0.01)
    finally:
        driver.send_signal(signal.SIGINT)
        _, errors = driver.communicate(timeout=120)
    assert driver.returncode == 130
    assert b"goes on from there" in errors
    assert not (out / "manifest.parquet").exists()
    before = times(out)
    process = segment(discs, "--out", out)
    assert process.returncode == 0, process.stderr
    assert "19 of 20 pictures segmented, " in process.stdout
    whole = [path for path in before if path.parent.parent.name == "foregrounds"]
    records = {path.name for path in (out / "records" / "segment").rglob("*.json")}
    assert {path.name + ".json" for path in whole} <= records
    assert len(load_dataset(out).manifest) == 19


def test_a_folder_that_cannot_be_written_is_a_mistake(segment, discs, tmp_path):
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    process = segment(discs, "--out", tmp_path / "file" / "out")
    assert process.returncode == 2
    assert "cannot be written" in process.stderr
    assert "Traceback" not in process.stderr


def test_masks_of_another_size_are_refused(segment, discs, tmp_path):
    rows = list(csv.reader(discs.open(encoding="utf-8")))
    for row in rows[1:]:
        row[1], row[4], row[5] = (str(discs.parent / name) if name else "" for name in (row[1], row[4], row[5]))
    cv2.imwrite(str(tmp_path / "small.png"), np.full((10, 10), 255, np.uint8))
    rows[-1][4] = str(tmp_path / "small.png")
    with (tmp_path / "discs.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    process = segment(tmp_path / "discs.csv", "--out", tmp_path / "out")
    assert process.returncode == 2
    assert "small.png has 10 x 10 pixels" in process.stderr
