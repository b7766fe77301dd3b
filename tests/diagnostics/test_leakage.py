from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pytest

from raylab2f.datasets import load_dataset
from raylab2f.datasets.pictures import read_picture
from raylab2f.diagnostics import diagnose_leakage
from raylab2f.diagnostics.near_duplicates import (
    feature_signatures,
    near_pairs,
    picture_hashes,
    pooled_positions,
    poses_known,
    shared_views,
    small_greys,
)
from raylab2f.evaluation import plan_fold

MTD = Path(__file__).parents[3] / "shared" / "data" / "mtd"
PAIRS = pa.schema(
    [("one", pa.string()), ("other", pa.string())]
    + [(name, pa.float64()) for name in ("cosine", "hash_distance", "agreement")]
)
NONE = PAIRS.empty_table()


def split_of(make_scores, moved=()):
    """The split that the scores imply, with 30 more objects in training; pictures in `moved` train as well."""
    scores = make_scores(folds=1)
    rows = [{key: row[key] for key in ("image_id", "object_id", "partition")} for row in scores.to_pylist()]
    rows += [
        {"image_id": f"t-{n}-{v}.png", "object_id": f"t-{n}", "partition": "train"} for n in range(30) for v in range(2)
    ]
    rows = [{**row, "partition": "train"} if row["image_id"] in moved else row for row in rows]
    kept = [row["image_id"] not in moved for row in scores.to_pylist()]
    return {0: pa.Table.from_pylist(rows)}, scores.filter(pa.array(kept))


def test_disjoint_objects_pass(make_scores):
    splits, scores = split_of(make_scores)
    finding = diagnose_leakage(splits, scores, NONE, seed=0)
    assert finding.verdict == "pass"
    assert finding.evidence.num_rows == 0


def test_one_object_on_both_sides_fails_and_is_named(make_scores):
    splits, scores = split_of(make_scores, {"0-4-0.png"})
    finding = diagnose_leakage(splits, scores, NONE, seed=0)
    assert finding.verdict == "fail"
    assert finding.evidence["one"].to_pylist() == ["0-4"]
    assert np.isfinite(finding.measure("auroc-change").estimate.value)


def test_leaked_good_pictures_flatter_the_auroc(make_scores):
    scores = make_scores(1.0, folds=1)
    leaked = {f"0-{n}-0.png" for n in range(0, 24, 4)}
    lowered = [
        {**row, "score": -9.0} if row["object_id"] in {i[:-6] for i in leaked} else row for row in scores.to_pylist()
    ]
    splits, _ = split_of(make_scores, leaked)
    kept = pa.Table.from_pylist([row for row in lowered if row["image_id"] not in leaked])
    finding = diagnose_leakage(splits, kept, NONE, seed=0)
    assert finding.measure("auroc-change").estimate.value > 0.02


@pytest.mark.parametrize(("pairs", "verdict"), [(1, "warn"), (12, "fail")])
def test_near_duplicates_across_the_split(make_scores, pairs, verdict):
    splits, scores = split_of(make_scores)
    rows = [
        {"one": f"0-{2 * n}-0.png", "other": f"t-{n}-0.png", "cosine": 0.9, "hash_distance": 0.1, "agreement": 9.0}
        for n in range(pairs)
    ]
    # Two pictures of one partition are no leak.
    rows.append({"one": "t-0-0.png", "other": "t-1-0.png", "cosine": 0.99, "hash_distance": 0.0, "agreement": 9.0})
    finding = diagnose_leakage(splits, scores, pa.Table.from_pylist(rows, schema=PAIRS), seed=0)
    assert finding.verdict == verdict
    assert finding.evidence.num_rows == pairs


def test_near_pairs_are_found_whatever_all_pictures_share():
    rng = np.random.default_rng(0)
    shared, pose = rng.normal(0, 5, (2, 1, 8, 10, 10))
    own = rng.normal(0, 1, (50, 8, 10, 10)) + pose * rng.normal(0, 1, (50, 1, 1, 1))
    own[7] = own[21] + rng.normal(0, 0.2, own[21].shape)
    signatures = feature_signatures(pooled_positions((shared + own).astype(np.float16)), seed=0)
    pairs, cosine, distance = near_pairs(signatures)
    assert pairs.tolist() == [[7, 21]]
    assert cosine[0] > 0.8
    assert np.isnan(distance).all()


@pytest.mark.parametrize(("pairs", "verdict"), [(0, "pass"), (12, "warn")])
def test_near_duplicates_only_warn_where_poses_are_unknown(make_scores, pairs, verdict):
    splits, scores = split_of(make_scores)
    rows = [
        {"one": f"0-{2 * n}-0.png", "other": f"t-{n}-0.png", "cosine": 0.9, "hash_distance": 0, "agreement": 9.0}
        for n in range(pairs)
    ]
    finding = diagnose_leakage(splits, scores, pa.Table.from_pylist(rows, schema=PAIRS), poses_known=False, seed=0)
    assert finding.verdict == verdict
    assert ("in one pose may look the same" in finding.measure("near-duplicates").sentence) == (pairs > 0)


def test_different_parts_in_one_pose_are_not_near_where_views_are_known():
    """Eight parts in four views, and a copy of one picture: views differ by far more than parts do."""
    rng = np.random.default_rng(0)
    view, part = np.tile(np.arange(4), 8), np.repeat(np.arange(8), 4)
    maps = rng.normal(0, 3, (4, 6, 8, 8))[view]
    maps = maps + rng.normal(0, 1, maps.shape)
    maps = np.concatenate([maps, maps[5:6] + rng.normal(0, 0.2, maps[5:6].shape)]).astype(np.float32)
    names = [str(number) for number in [*view, view[5]]]
    objects = [str(number) for number in [*part, 99]]
    greys = np.stack([cv2.resize(one.mean(axis=0), (32, 32), interpolation=cv2.INTER_CUBIC) for one in maps])
    unknown, known = shared_views([None] * 33, objects), shared_views(names, objects)
    found = {}
    for key, views in (("unknown", unknown), ("known", known)):
        pairs, _, _ = near_pairs(
            feature_signatures(pooled_positions(maps), views, seed=0), picture_hashes(greys, views, seed=0)
        )
        found[key] = {(int(one), int(other)) for one, other in pairs}
    assert len(found["unknown"]) > 50
    assert found["known"] == {(5, 32)}
    assert (poses_known(unknown), poses_known(known)) == (False, True)


def test_a_view_of_few_objects_has_no_mean():
    objects = ["a", "b", "c", "a", "b", "c", "d", "a"]
    views = ["0", "0", "0", "0", "1", "1", "1", None]
    assert (shared_views(views, objects) < 0).all()
    views = ["0", "0", "0", "1", "1", "1", "0", None]
    assert (shared_views(views, objects) >= 0).tolist() == [True, True, True, False, False, False, True, False]
    assert not poses_known(shared_views(views, objects))
    assert poses_known(shared_views([None] * 160, ["a"] * 160))


def test_hashes_do_not_see_exposure():
    rng = np.random.default_rng(0)
    pictures = np.stack([cv2.resize(rng.integers(40, 200, (9, 9, 3), np.uint8), (96, 96)) for _ in range(30)])
    darker = (pictures[3] * 0.6).astype(np.uint8)
    hashes = picture_hashes(small_greys(np.concatenate([pictures, darker[None]])), seed=0)
    distance = (hashes[-1] != hashes[:-1]).mean(axis=1)
    assert distance.argmin() == 3
    assert distance[3] < 0.1
    assert np.sort(distance)[1] > 0.3


@pytest.mark.skipif(not MTD.is_dir(), reason="the Magnetic Tile Defects pictures are not in ../shared/data")
def test_repeated_tiles_are_found_without_being_told():
    manifest = load_dataset(MTD).manifest
    manifest = manifest.filter(
        pa.array([i % 3 == 0 or label == 1 for i, label in enumerate(manifest["label"].to_pylist())])
    )
    tiles = dict(zip(manifest["image_id"].to_pylist(), manifest["object_id"].to_pylist(), strict=True))
    pictures = np.stack([cv2.resize(read_picture(path), (96, 96)) for path in manifest["path"].to_pylist()])
    # Local contrast at each place stands in for the features of a backbone.
    grey = small_greys(pictures)[:, None]
    signatures = feature_signatures(pooled_positions(grey), seed=0)
    pairs, _, _ = near_pairs(signatures * 0, picture_hashes(grey[:, 0], seed=0))
    names = manifest["image_id"].to_pylist()
    same = [tiles[names[a]] == tiles[names[b]] for a, b in pairs]
    assert len(same) > 100
    assert np.mean(same) > 0.97

    # A plan by picture that forgets the tiles: each picture is called an object of its own.
    forgetful = manifest.set_column(manifest.column_names.index("object_id"), "object_id", manifest["image_id"])
    split = plan_fold(forgetful, fold=0, seed=0)
    near = pa.table(
        {
            "one": [names[a] for a, _ in pairs],
            "other": [names[b] for _, b in pairs],
            "cosine": [0.0] * len(pairs),
            "hash_distance": [0.0] * len(pairs),
            "agreement": [9.0] * len(pairs),
        }
    )
    rng = np.random.default_rng(0)
    rows = [
        {**row, "fold": 0, "label": int(not row["image_id"].startswith("MT_Free")), "score": rng.random()}
        for row in split.to_pylist()
        if row["partition"] != "train"
    ]
    finding = diagnose_leakage({0: split}, pa.Table.from_pylist(rows), near, seed=0)
    assert finding.verdict == "fail"
    assert finding.figure.name == "near-duplicates"
    crossing = {
        frozenset((r["one"], r["other"])) for r in finding.evidence.to_pylist() if r["kind"] == "near-duplicate"
    }
    assert len(crossing) > 20
