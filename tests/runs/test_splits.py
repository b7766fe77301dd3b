"""The splits of a run, and what it says of them."""

from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from raylab2f.preparation import with_copies
from raylab2f.runs.folder import DataSettings, RunSettings
from raylab2f.runs.splits import plan_splits, settled_training, training_cautions

SETTINGS = RunSettings(data=DataSettings("/parts.csv"), detector="csflow", preset="fast", config={}, folds=3)


def pictures_of(good_objects):
    """12 objects with one defective picture of four, and some without a defect."""
    rows = [
        {"image_id": f"o{o}/{i}.png", "object_id": f"o{o}", "label": int(i == 0 and o < 12), "given_split": "train"}
        for o in range(12 + good_objects)
        for i in range(4)
    ]
    table = pa.Table.from_pylist(rows)
    return table.append_column("view", pa.array([None] * table.num_rows, pa.string()))


@pytest.mark.parametrize("scheme", ["balanced", "kfold"])
@pytest.mark.parametrize(
    ("good_objects", "train_on"), [(0, "good-pictures"), (2, "good-pictures"), (40, "good-objects")]
)
def test_what_is_said_to_train_does(scheme, good_objects, train_on):
    manifest = pictures_of(good_objects)
    settings = replace(SETTINGS, scheme=scheme)
    assert settled_training(settings, manifest, merge=True).train_on == train_on
    defective = {f"o{o}" for o in range(12)}
    for split in plan_splits(settings, manifest, with_copies(manifest, ()), "abc", merge=True):
        trained = set(split.filter(pc.equal(split["partition"], "train"))["object_id"].to_pylist())
        assert bool(trained & defective) == (train_on == "good-pictures")


def test_fold_k_does_not_depend_on_how_many_folds_there_are():
    manifest = pictures_of(0)
    few, many = (
        plan_splits(replace(SETTINGS, folds=folds), manifest, with_copies(manifest, ()), "abc", merge=True)
        for folds in (2, 5)
    )
    assert all(one.equals(other) for one, other in zip(few, many[:2], strict=True))


@pytest.mark.parametrize(
    ("trains", "good", "warned"), [(10, 40, True), (20, 40, False), (19, 19, True), (30, 100, True)]
)
def test_few_pictures_that_train_are_told_with_what_to_do(trains, good, warned):
    names = [f"{i}.png" for i in range(good)]
    manifest = pa.table({"image_id": names, "label": [0] * good})
    partitions = ["train"] * trains + ["inference"] * (good - trains)
    split = pa.table({"image_id": names, "partition": partitions})
    found = training_cautions(SETTINGS, [split], manifest)
    assert [caution.code for caution in found] == ["RL220"] * warned
    assert all(f"{trains} of {good}" in caution and "--scheme kfold" in caution for caution in found)
