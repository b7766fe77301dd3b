from collections import Counter

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raylab2f.errors import UserError
from raylab2f.evaluation import assert_exclusive, plan_fold
from raylab2f.preparation import PreparationSettings, select_pictures, with_copies
from raylab2f.preparation.selection import view_note

VIEWS = ("0", "30", "60")


@pytest.fixture(scope="module")
def manifest():
    """16 good and 8 defective parts in three views; the defects of two parts show only at 60 degrees."""
    rows = []
    for number in range(24):
        for view in VIEWS:
            shows = number < 8 and (number >= 2 or view == "60")
            rows.append(
                {
                    "image_id": f"part{number:02d}/{view}.png",
                    "object_id": f"part{number:02d}",
                    "label": int(shows),
                    "given_split": "train",
                    "view": view,
                }
            )
    schema = {"image_id": pa.string(), "object_id": pa.string(), "label": pa.int8(), "given_split": pa.string()}
    return pa.Table.from_pylist(rows, schema=pa.schema({**schema, "view": pa.string()}))


@pytest.fixture(scope="module")
def split(manifest):
    return plan_fold(manifest, fold=0, seed=0)


def selected(split, manifest, **settings):
    settings = PreparationSettings(**settings)
    return select_pictures(split, with_copies(manifest, settings.angles), settings)


def counted(rows):
    """Pictures by partition and angle."""
    return Counter((row["partition"], row["image_id"].partition("@")[2] or "plain") for row in rows.to_pylist())


def test_without_wishes_the_plan_stays_as_it_is(manifest, split):
    assert selected(split, manifest).equals(split)


def test_copies_are_the_sources_but_for_id_and_rotation(manifest):
    pictures = with_copies(manifest, (-5.0, 90.0))
    assert pictures.num_rows == 3 * manifest.num_rows
    columns = ["object_id", "label", "view", "given_split"]
    of = {row["image_id"]: row for row in manifest.to_pylist()}
    for row in pictures.to_pylist():
        assert {name: row[name] for name in columns} == {name: of[row["source_id"]][name] for name in columns}
    assert {row["image_id"]: row["rotation"] for row in pictures.to_pylist()}["part00/0.png@rot-5"] == -5


def test_an_id_that_looks_like_a_copys_is_refused(manifest):
    schema = manifest.schema
    stray = {**manifest.slice(0, 1).to_pylist()[0], "image_id": "part00/0.png@rot90"}
    both = pa.concat_tables([manifest, pa.Table.from_pylist([stray], schema=schema)])
    with pytest.raises(UserError, match=r"part00/0\.png@rot90"):
        with_copies(both, (90.0,))


def test_turned_copies_train_beside_the_pictures_and_none_is_judged(manifest, split):
    before, after = counted(split), counted(selected(split, manifest, train_angles=(0, 90, 180)))
    trains = before["train", "plain"]
    assert {key: count for key, count in after.items() if key[0] == "train"} == {
        ("train", kind): trains for kind in ("plain", "rot90", "rot180")
    }
    assert {key: count for key, count in after.items() if key[0] != "train"} == {
        key: count for key, count in before.items() if key[0] != "train"
    }


def test_one_turn_written_in_two_ways_is_one_picture(manifest, split):
    settings = PreparationSettings(train_angles=(-90, 0, 90), eval_angles=(0, 270, -1e-20 + 450))
    pictures = with_copies(manifest, settings.angles)
    assert pictures.num_rows == 3 * manifest.num_rows
    after = counted(select_pictures(split, pictures, settings))
    assert {kind for partition, kind in after if partition == "train"} == {"plain", "rot90", "rot270"}
    assert {kind for partition, kind in after if partition == "inference"} == {"plain", "rot90", "rot270"}


def test_evaluation_can_leave_the_plain_pictures_out(manifest, split):
    after = counted(selected(split, manifest, eval_angles=(270,)))
    assert {kind for partition, kind in after if partition != "train"} == {"rot270"}
    assert {kind for partition, kind in after if partition == "train"} == {"plain"}


@given(
    train=st.sets(st.sampled_from([0.0, 90.0, 180.0, 10.0]), min_size=1),
    judged=st.sets(st.sampled_from([0.0, 90.0, -10.0]), min_size=1),
    scope=st.sampled_from(["training", "evaluation", "both"]),
    kfold=st.booleans(),
)
def test_no_object_ever_stands_on_two_sides(manifest, train, judged, scope, kfold):
    plan = plan_fold(manifest, fold=1, seed=3, **({"scheme": "kfold", "folds": 4} if kfold else {}))
    settings = {"train_angles": tuple(train), "eval_angles": tuple(judged), "keep_views_for": scope}
    rows = selected(plan, manifest, keep_views="30:60", **settings)
    assert_exclusive(rows)
    home = dict(zip(plan["object_id"].to_pylist(), plan["partition"].to_pylist(), strict=True))
    assert all(home[row["object_id"]] == row["partition"] for row in rows.to_pylist())


def test_views_are_restricted_where_asked(manifest, split):
    for scope, restricted in (("training", {"train"}), ("evaluation", {"threshold", "inference"}), ("both", None)):
        rows = selected(split, manifest, keep_views="0:30", keep_views_for=scope).to_pylist()
        for partition in ("train", "threshold", "inference"):
            views = {row["image_id"].split("/")[1] for row in rows if row["partition"] == partition}
            kept = restricted is None or partition in restricted
            assert views == ({"0.png", "30.png"} if kept else {"0.png", "30.png", "60.png"})


def test_views_that_leave_a_class_out_are_refused(manifest, split):
    hidden = manifest.set_column(
        manifest.column_names.index("label"),
        "label",
        pa.array([int(i < "part08" and i.endswith("60.png")) for i in manifest["image_id"].to_pylist()], pa.int8()),
    )
    with pytest.raises(UserError, match=r"--keep-views 0: leaves no anomalous pictures in the threshold partition"):
        selected(split, hidden, keep_views="0")


def test_results_say_that_the_problem_was_made_easier(manifest):
    assert view_note(manifest, PreparationSettings()) is None
    note = view_note(manifest, PreparationSettings(keep_views="0:30"))
    assert "48 of 72 pictures" in note
    assert "easier" in note
    assert "2 defective parts show their defect only in other views" in note
    assert "never seen" in view_note(manifest, PreparationSettings(keep_views="0", keep_views_for="training"))
