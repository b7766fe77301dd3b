"""A run seen through the pictures of one condition or view."""

from dataclasses import replace

import pyarrow as pa
import pytest

from raylab2f.errors import UserError
from raylab2f.workflows.evidence import RunEvidence
from raylab2f.workflows.restriction import list_restrictions, restrict


@pytest.fixture
def run():
    """One fold: a and b train, c and d choose the threshold, e and f are judged; every other picture is dark."""
    names = list("abcdef")
    partitions = ["train", "train", "threshold", "threshold", "inference", "inference"]
    split = pa.table({"image_id": names, "object_id": names, "partition": partitions})
    scores = split.filter(pa.compute.not_equal(split["partition"], "train"))
    conditions = pa.array(["dark", "light"] * 3)
    pictures = pa.table({"image_id": names, "condition": conditions, "view": pa.array([None] * 6, pa.string())})
    return RunEvidence(None, None, pictures, pictures, {0: split}, scores, {}, None)


def test_values_are_those_of_judged_pictures(run):
    assert list_restrictions(run, ("condition",)) == [("condition", "dark"), ("condition", "light")]
    assert list_restrictions(run, ()) == []


@pytest.mark.parametrize("by", ["view", "batch"])
def test_what_pictures_do_not_have_is_refused(run, by):
    with pytest.raises(UserError, match=f"--by {by}"):
        list_restrictions(run, (by,))


def test_training_stays_and_judged_pictures_are_of_the_condition(run):
    part = restrict(run, "condition", "dark", "background")
    assert part.scores["image_id"].to_pylist() == ["c", "e"]
    assert part.splits[0]["image_id"].to_pylist() == ["a", "b", "c", "e"]
    assert part.pictures.num_rows == 6


@pytest.mark.parametrize("diagnosis", ["threshold", "condition"])
def test_thresholds_are_chosen_on_all(run, diagnosis):
    assert restrict(run, "condition", "dark", diagnosis).scores["image_id"].to_pylist() == ["c", "d", "e"]


def test_a_shift_is_told_from_training_pictures_of_the_same_condition(run):
    assert restrict(run, "condition", "dark", "shift").splits[0]["image_id"].to_pylist() == ["a", "c", "e"]
    unseen = run.pictures.set_column(1, "condition", pa.array(["light", "light", "dark", "light", "dark", "light"]))
    other = replace(run, pictures=unseen)
    assert restrict(other, "condition", "dark", "shift").splits[0]["image_id"].to_pylist() == ["a", "b", "c", "e"]


def test_variance_sees_the_pictures_of_the_condition_only(run):
    assert restrict(run, "condition", "dark", "variance").pictures["image_id"].to_pylist() == ["a", "c", "e"]
