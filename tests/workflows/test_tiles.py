"""Runs on tiles: detectors see tile by tile, and whatever follows knows pictures."""

import csv

import cv2
import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from in_process import raylab2f as program

import raylab2f
from raylab2f.cluster.pictures.rescore import AlteredPictures, rescore
from raylab2f.datasets.pictures import read_mask, read_picture
from raylab2f.models.judging import threads_limited
from raylab2f.preparation import PictureShards
from raylab2f.preparation.tile_table import TILES_FILE

TILES = ("--tiles", "48x48+8")


@pytest.fixture(scope="module")
def bars(tmp_path_factory):
    """14 good and 6 spotted bars, two pictures each, of two sizes; the right half shows no part. Two manifests: with
    foreground masks, and `plain.csv` without. One bar has a second spot beside its part.
    """
    folder = tmp_path_factory.mktemp("bars")
    random = np.random.default_rng(0)
    rows = []
    for number in range(20):
        size = (110, 150) if number == 3 else (96, 140)
        shade = random.uniform(90, 150)
        for view in ("a", "b"):
            picture, part = random.normal(shade, 12, (*size, 3)), np.zeros(size, np.uint8)
            part[:, :70] = 255
            name, mask = f"bar {number:02d} {view}.png", ""
            if number >= 14:
                spot = np.zeros(size, np.uint8)
                place = int(random.integers(10, 60)), int(random.integers(10, 86))
                cv2.circle(spot, place, 4, 255, -1)
                if number == 19:
                    cv2.circle(spot, (120, 50), 4, 255, -1)
                picture[spot > 0] = (250, 30, 30)
                mask = f"mask {name}"
                cv2.imwrite(str(folder / mask), spot)
            cv2.imwrite(str(folder / name), picture.clip(0, 255).astype(np.uint8))
            cv2.imwrite(str(folder / f"part {name}"), part)
            rows.append([name, name, int(number >= 14), f"bar{number:02d}", view, mask, f"part {name}"])
    names = ["image_id", "path", "label", "object_id", "view", "mask_path", "foreground_path"]
    for manifest, count in (("bars.csv", 7), ("plain.csv", 6)):
        with (folder / manifest).open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows(row[:count] for row in [names, *rows])
    return folder / "bars.csv"


@pytest.fixture(scope="module")
def fit(cache, shared_ray):
    """Run a detector without epochs, PaDiM, in this process to its end; returns the finished process."""
    usual = ["--preset", "fast", "--size", 64, "--replicates", 100, "--max-parallel-folds", 1]

    def fit_with(*options, detector="padim"):
        process = program("run-cv", "--detector", detector, *usual, "--cache", cache, *options)
        assert process.returncode == 0, process.stdout + process.stderr
        return process

    return fit_with


@pytest.fixture(scope="module")
def tiled(fit, bars, tmp_path_factory):
    """A run of two folds on the tiles that show something of a bar, and what the program said."""
    folder = tmp_path_factory.mktemp("runs") / "tiled"
    process = fit("--data", bars, *TILES, "--folds", 2, "--out", folder)
    return folder, process


@pytest.fixture(scope="module")
def tiles_place(tiled, cache):
    """The folder of the run's tiles."""
    wanted = pq.read_table(tiled[0] / "folds" / "0" / "tiles.parquet")["tile_id"][0].as_py()
    [place] = [path.parent for path in cache.glob(f"pictures/*/{TILES_FILE}") if wanted in image_ids(path.parent)]
    return place


def image_ids(folder):
    return PictureShards.open(folder).image_ids


def fold_tables(folder, name):
    return [pq.read_table(path) for path in sorted(folder.glob(f"folds/*/{name}"))]


def test_a_pictures_score_is_that_of_its_highest_tile(tiled):
    for scores, tiles in zip(*(fold_tables(tiled[0], f"{name}.parquet") for name in ("scores", "tiles")), strict=True):
        highest = {}
        for row in tiles.to_pylist():
            highest[row["image_id"]] = max(row["score"], highest.get(row["image_id"], -np.inf))
        assert {row["image_id"]: row["score"] for row in scores.to_pylist()} == highest


def test_splits_know_pictures_and_no_part_is_on_two_sides(tiled):
    for split, tiles in zip(*(fold_tables(tiled[0], f"{name}.parquet") for name in ("split", "tiles")), strict=True):
        trained = split.filter(pc.equal(split["partition"], "train"))
        assert not any("@tile" in image_id for image_id in split["image_id"].to_pylist())
        owners = dict(zip(split["image_id"].to_pylist(), split["object_id"].to_pylist(), strict=True))
        seen = {owners[image_id] for image_id in tiles["image_id"].to_pylist()}
        assert seen
        assert not seen & set(trained["object_id"].to_pylist())


def test_tiles_without_foreground_are_not_seen_and_all_are_where_it_is_unknown(tiled, tiles_place, fit, bars, tmp_path):
    # Columns of tiles begin at 0, 40, 80 and 92, and bars end at 70.
    ids = image_ids(tiles_place)
    assert len([name for name in ids if name.startswith("bar 00 a.png@")]) == 6
    assert not [name for name in ids if name.endswith(("-00080", "-00092"))]
    plain = bars.with_name("plain.csv")
    process = fit("--data", plain, *TILES, "--folds", 1, "--out", tmp_path / "plain")
    assert "prepare tiles: 480" in process.stdout.replace(",", "")
    [tiles] = fold_tables(tmp_path / "plain", "tiles.parquet")
    assert pc.max(tiles.group_by("image_id").aggregate([("score", "count")])["score_count"]).as_py() == 12


def test_defects_in_tiles_that_are_not_seen_are_told(tiled, read_summary):
    [warning] = [row for row in read_summary(tiled[0])["warnings"] if row["code"] == "RL223"]
    assert warning["text"].startswith(
        "2 pictures have a defect, or some of one, outside their foreground mask in tiles"
    )
    assert "bar 19 a.png, bar 19 b.png" in warning["text"]


def test_pixels_are_judged_at_the_resolution_of_the_pictures(tiled, bars, read_summary):
    sizes = set()
    for pixels in fold_tables(tiled[0], "pixels.parquet"):
        for row in pixels.to_pylist():
            size = 110 * 150 if row["object_id"] == "bar03" else 96 * 140
            assert row["nominal_pixels"] + (row["defect_pixels"] or 0) == size
            if row["label"]:
                mask = read_mask(str(bars.parent / f"mask {row['image_id']}"))
                sizes.add(row["defect_pixels"] - mask.sum())
    assert sizes == {0}
    metrics = {row["metric"]: row["mean"] for row in read_summary(tiled[0])["estimates"] if row["level"] == "pixel"}
    assert metrics["auroc"] > 0.95


def test_maps_of_pictures_are_as_fine_as_those_of_tiles(tiled):
    [maps, _] = [table["map"].combine_chunks().to_numpy_ndarray() for table in fold_tables(tiled[0], "maps.parquet")]
    [tiles, _] = [table["map"].combine_chunks().to_numpy_ndarray() for table in fold_tables(tiled[0], "tiles.parquet")]
    cells = tiles.shape[1]
    assert maps.shape[1:] == (round(110 * cells / 48), round(150 * cells / 48))


def test_a_run_goes_on_with_its_tiles_alone(tiled, shared_ray, cache):
    process = program("run-cv", "--out", tiled[0], "--resume", "--cache", cache)
    assert process.returncode == 0, process.stderr
    assert "features: found in the store, none extracted" in process.stdout
    assert "all finished before" in process.stdout
    process = program("run-cv", "--out", tiled[0], "--resume", "--cache", cache, "--tiles", "32")
    assert process.returncode == 2
    assert "--tiles 48x48+8 then, 32x32 now" in process.stderr


def test_the_mean_of_some_tiles_needs_no_other_features(tiled, fit, bars, tmp_path):
    process = fit("--data", bars, *TILES, "--tile-score", "top2", "--folds", 1, "--out", tmp_path / "top2")
    assert "none extracted" in process.stdout
    [scores], [tiles] = (fold_tables(tmp_path / "top2", f"{name}.parquet") for name in ("scores", "tiles"))
    for row in scores.to_pylist():
        own = sorted(tile["score"] for tile in tiles.to_pylist() if tile["image_id"] == row["image_id"])
        assert row["score"] == pytest.approx(np.mean(own[-2:]), rel=1e-12)


def test_unaltered_pictures_get_their_scores_again_and_altered_ones_others(tiled, tiles_place, shared_ray):
    scores = fold_tables(tiled[0], "scores.parquet")[0]
    names = tuple(sorted(scores["image_id"].to_pylist()))[:4]
    folder = str(tiled[0] / "folds" / "0")
    wanted = [
        AlteredPictures(0, folder, names, "none"),
        AlteredPictures(0, folder, names, "rotation", (2.0, 90.0)),
        AlteredPictures(0, folder, names, "background-swap", donors=("bar 03 a.png", "bar 00 a.png")),
    ]
    table = rescore(str(tiles_place), wanted, seed=0, feature_dtype="float16")
    before = dict(zip(scores["image_id"].to_pylist(), scores["score"].to_pylist(), strict=True))
    rows = table.to_pylist()
    assert len(rows) == 4 * len(names)
    for row in rows:
        if row["alteration"] == "none":
            assert row["score"] == pytest.approx(before[row["image_id"]], rel=1e-5)
    assert any(row["score"] != before[row["image_id"]] for row in rows if row["alteration"] == "rotation")


def test_diagnoses_the_page_and_detection_by_size_work(tiled, cache, shared_ray):
    options = ["--only", "background", "--only", "invariance", "--only", "variance", "--pictures", 2, "--cache", cache]
    process = program("diagnose", tiled[0], *options)
    assert process.returncode == 0, process.stdout + process.stderr
    assert (tiled[0] / "figures" / "maps.png").exists()
    for command in (("report", tiled[0], "--cache", cache), ("pod", tiled[0])):
        process = program(*command)
        assert process.returncode == 0, process.stdout + process.stderr


@pytest.fixture(scope="module")
def model(tiled, cache, shared_ray, tmp_path_factory):
    out = tmp_path_factory.mktemp("made") / "model"
    process = program("finalise", tiled[0], "--from-fold", 1, "--out", out, "--cache", cache)
    assert process.returncode == 0, process.stdout + process.stderr
    return out


def test_the_model_of_a_fold_gives_the_folds_scores(tiled, model, bars):
    judge = raylab2f.load_model(model)
    scores = fold_tables(tiled[0], "scores.parquet")[1]
    names = scores["image_id"].to_pylist()
    with threads_limited(1):
        pictures = [read_picture(str(bars.parent / name)) for name in names]
        masks = [read_mask(str(bars.parent / f"part {name}")) for name in names]
        opinions = judge.look(pictures, masks)
    ours = [float(opinion.scores[0]) for opinion in opinions]
    np.testing.assert_allclose(ours, scores["score"].to_numpy(), rtol=1e-6, atol=1e-6)
    assert {opinion.map.shape for opinion in opinions} == {(64, 64)}
    assert "each tile of 48x48+8 pixels" in (model / "MODEL_CARD.md").read_text(encoding="utf-8")


def read_rows(folder):
    with (folder / "pictures.csv").open(encoding="utf-8") as file:
        return {row["image_id"]: row for row in csv.DictReader(file)}


def test_predict_cuts_as_the_run_did_and_lets_a_person_look_at_what_is_too_small(tiled, model, bars, tmp_path):
    process = program("predict", model, bars, "--out", tmp_path / "known", "--format", "csv", "--threads", 1)
    assert process.returncode == 0, process.stdout + process.stderr
    rows, scores = read_rows(tmp_path / "known"), fold_tables(tiled[0], "scores.parquet")[1].to_pylist()
    ours = [float(rows[row["image_id"]]["score"]) for row in scores]
    np.testing.assert_allclose(ours, [row["score"] for row in scores], rtol=1e-6, atol=1e-6)
    cv2.imwrite(str(tmp_path / "small.png"), np.zeros((40, 140, 3), np.uint8))
    cv2.imwrite(str(tmp_path / "part.png"), np.full((40, 140), 255, np.uint8))
    with (tmp_path / "arrived.csv").open("w", newline="", encoding="utf-8") as file:
        rows = [["small.png", "small.png", "part.png"], ["bare.png", str(bars.parent / "bar 00 a.png"), ""]]
        csv.writer(file).writerows([["image_id", "path", "foreground_path"], *rows])
    process = program("predict", model, tmp_path / "arrived.csv", "--out", tmp_path / "out", "--format", "csv")
    assert process.returncode == 0, process.stdout + process.stderr
    rows = read_rows(tmp_path / "out")
    assert {row["verdict"] for row in rows.values()} == {"review"}
    assert "less than a tile of the model (48x48+8)" in rows["small.png"]["error"]
    assert "It has no foreground mask" in rows["bare.png"]["error"]


def test_a_model_of_tiles_is_not_exported(model):
    process = program("export", model, "--format", "onnx")
    assert process.returncode == 2
    assert "judges pictures tile by tile, which an exported file cannot do yet" in process.stderr


def test_tiles_larger_than_a_picture_are_told_before_anything_is_prepared(run, bars, tmp_path):
    process = run("--data", bars, "--tiles", "100x100", "--out", tmp_path / "out", check=False)
    assert process.returncode == 2
    assert "--tiles 100x100: bar 00 a.png has 96x140 pixels, less than a tile; give smaller tiles" in process.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("options", [("--tiles", "64+64"), ("--tiles", "much"), ("--tile-score", "top3")])
def test_options_that_make_no_sense_are_refused_in_a_sentence(ask, options, tmp_path):
    process = ask(*options, "--out", tmp_path / "out")
    assert process.returncode == 2
    assert options[0] in process.stderr
    assert "Traceback" not in process.stderr


@pytest.mark.slow
@pytest.mark.parametrize("detector", ["glass", "csflow", "patchcore"])
def test_every_detector_sees_tiles(detector, run, fit, bars, tmp_path):
    options = ["--data", bars, *TILES, "--folds", 1, "--out", tmp_path / "out"]
    if detector == "patchcore":
        fit(*options, detector=detector)
    else:
        layers = ["--layers", "blocks.4"] if detector == "csflow" else []
        run("--detector", detector, "--epochs", 1, *layers, *options)
    [scores], [tiles] = (fold_tables(tmp_path / "out", f"{name}.parquet") for name in ("scores", "tiles"))
    assert np.isfinite(scores["score"].to_numpy()).all()
    assert pc.max(scores["score"]).as_py() == pc.max(tiles["score"]).as_py()
