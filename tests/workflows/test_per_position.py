"""Runs with a detector for each position of tiles: what is ordinary elsewhere is odd where it does not belong."""

import csv
import json

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest
from in_process import raylab2f as program

from raylab2f.cluster.pictures.rescore import AlteredPictures, rescore
from raylab2f.models.folder import load_model
from raylab2f.preparation.tile_table import TILES_FILE

TILES = ("--tiles", "64x64", "--size", 64)


@pytest.fixture(scope="module")
def halves(tmp_path_factory):
    """14 good parts, dark on the left and striped on the right, and 6 that are so the other way round."""
    folder = tmp_path_factory.mktemp("halves")
    random = np.random.default_rng(0)
    rows = []
    for number in range(20):
        picture = random.normal(70, 10, (64, 128, 3))
        picture[:, 64:] += 80 * (np.arange(64)[:, None, None] // 8 % 2)
        if number >= 14:
            picture = picture[:, ::-1]
        name = f"part {number:02d}.png"
        cv2.imwrite(str(folder / name), picture.clip(0, 255).astype(np.uint8))
        rows.append([name, name, int(number >= 14), f"part{number:02d}"])
    with (folder / "halves.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["image_id", "path", "label", "object_id"], *rows])
    return folder / "halves.csv"


@pytest.fixture(scope="module")
def judge(cache, shared_ray, halves):
    """Run PatchCore with these options; the finished process."""

    def run(*options, detector="patchcore", data=halves):
        usual = ["--preset", "fast", *TILES, "--folds", 2, "--replicates", 100, "--max-parallel-folds", 1]
        return program("run-cv", "--data", data, "--detector", detector, *usual, "--cache", cache, *options)

    return run


@pytest.fixture(scope="module")
def own(judge, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "own"
    process = judge("--per-position", "--out", folder)
    assert process.returncode == 0, process.stdout + process.stderr
    return folder


def auroc(summary):
    return next(row["mean"] for row in summary["estimates"] if (row["level"], row["metric"]) == ("image", "auroc"))


def test_what_belongs_elsewhere_is_found_by_a_detector_of_its_position_alone(own, judge, tmp_path, read_summary):
    process = judge("--out", tmp_path / "one")
    assert process.returncode == 0, process.stdout + process.stderr
    assert auroc(read_summary(own)) == 1.0
    assert auroc(read_summary(tmp_path / "one")) < 0.9


def test_a_run_goes_on_and_a_model_gives_the_folds_scores(own, judge, cache, halves, tmp_path):
    process = program("run-cv", "--resume", "--out", own, "--cache", cache)
    assert process.returncode == 0, process.stdout + process.stderr
    assert "none trained" in process.stdout
    for way in (("--from-fold", 1), ("--refit",)):
        out = tmp_path / way[0].strip("-")
        process = program("finalise", own, *way, "--out", out, "--cache", cache)
        assert process.returncode == 0, process.stdout + process.stderr
    record = json.loads((tmp_path / "from-fold" / "model.json").read_text(encoding="utf-8"))
    assert record["positions"] == [0, 1]
    # What a server has a model look at before anybody sends it a picture.
    judge = load_model(tmp_path / "from-fold")
    assert judge.smallest == (64, 128)
    assert len(judge.look([np.zeros((*judge.smallest, 3), np.uint8)])) == 1
    cv2.imwrite(str(tmp_path / "wide.png"), np.zeros((64, 192, 3), np.uint8))
    rows = [["wide.png", tmp_path / "wide.png"]]
    rows += [[name, halves.parent / name] for name in (f"part {number:02d}.png" for number in range(20))]
    with (tmp_path / "all.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["image_id", "path"], *rows])
    arguments = ["--out", tmp_path / "out", "--format", "csv", "--threads", 1]
    process = program("predict", tmp_path / "from-fold", tmp_path / "all.csv", *arguments)
    assert process.returncode == 0, process.stdout + process.stderr
    with (tmp_path / "out" / "pictures.csv").open(encoding="utf-8") as file:
        found = {row["image_id"]: row for row in csv.DictReader(file)}
    assert "judges pictures of 64x128 alone" in found["wide.png"]["error"]
    scores = pq.read_table(own / "folds" / "1" / "scores.parquet").to_pylist()
    given = [float(found[row["image_id"]]["score"]) for row in scores]
    np.testing.assert_allclose(given, [row["score"] for row in scores], rtol=1e-6, atol=1e-6)


def test_altered_pictures_are_judged_by_the_detectors_of_their_positions(own, cache, shared_ray):
    wanted = pq.read_table(own / "folds" / "0" / "tiles.parquet")["tile_id"][0].as_py()
    [place] = {
        path.parent
        for path in cache.glob(f"pictures/*/{TILES_FILE}")
        if wanted in pq.read_table(path)["tile_id"].to_pylist()
    }
    scores = pq.read_table(own / "folds" / "0" / "scores.parquet").to_pylist()
    before = {row["image_id"]: row["score"] for row in scores}
    names = tuple(sorted(before))[:3]
    table = rescore(
        str(place),
        [AlteredPictures(0, str(own / "folds" / "0"), names, "none")],
        seed=0,
        feature_dtype="float16",
    )
    assert [row["score"] for row in table.to_pylist()] == pytest.approx([before[name] for name in names], rel=1e-5)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--memory-budget", "1GiB"), "--memory-budget: detectors of --per-position hold all their features"),
        (("--workers-per-fold", 2), "--workers-per-fold 2: what trains by --per-position trains in one process"),
    ],
)
@pytest.mark.parametrize("dry", [(), ("--dry-run",)], ids=["run", "forecast"])
def test_what_does_not_go_together_is_refused(judge, tmp_path, options, sentence, dry):
    process = judge("--per-position", *options, *dry, "--out", tmp_path / "out")
    assert process.returncode == 2
    assert sentence in process.stderr


@pytest.mark.parametrize("dry", [(), ("--dry-run",)], ids=["run", "forecast"])
def test_pictures_of_two_sizes_are_told_before_anything_is_prepared(judge, halves, tmp_path, dry):
    cv2.imwrite(str(tmp_path / "tall.png"), np.zeros((96, 128, 3), np.uint8))
    data = tmp_path / "two.csv"
    text = halves.read_text(encoding="utf-8").replace(",part ", f",{halves.parent}/part ")
    data.write_text(f"{text}tall.png,tall.png,0,tall\n", encoding="utf-8")
    process = judge("--per-position", "--out", tmp_path / "out", *dry, data=data)
    assert process.returncode == 2
    assert "--per-position: pictures must be of one size, but " in process.stderr
    assert not (tmp_path / "out").exists()


def test_without_tiles_there_are_no_positions(ask, tmp_path):
    process = ask("--per-position", "--out", tmp_path / "out")
    assert process.returncode == 2
    assert "--per-position: there are no tiles" in process.stderr


def test_a_position_at_which_too_few_parts_show_anything_is_told_before_training(judge, halves, tmp_path):
    rows = halves.read_text(encoding="utf-8").splitlines()
    lines = [f"{rows[0]},foreground_path"]
    for number, row in enumerate(rows[1:]):
        mask = np.zeros((64, 128), np.uint8)
        mask[:, : 128 if number == 3 else 64] = 255
        cv2.imwrite(str(tmp_path / f"mask {number}.png"), mask)
        lines.append(f"{row.replace(',part ', f',{halves.parent}/part ', 1)},{tmp_path}/mask {number}.png")
    data = tmp_path / "masked.csv"
    data.write_text("\n".join(lines) + "\n", encoding="utf-8")
    process = judge("--per-position", "--out", tmp_path / "out", data=data)
    assert process.returncode == 2, process.stdout
    assert "of the tiles at position 1 of the pictures train" in process.stderr


@pytest.mark.slow
@pytest.mark.parametrize("detector", ["glass", "csflow", "padim"])
def test_every_detector_may_be_one_of_many(detector, judge, tmp_path):
    options = {"glass": ["--epochs", 2], "csflow": ["--epochs", 1, "--layers", "blocks.4"], "padim": []}[detector]
    process = judge("--per-position", *options, "--out", tmp_path / "out", detector=detector)
    assert process.returncode == 0, process.stdout + process.stderr
