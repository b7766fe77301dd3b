"""Folds that leave one condition out: nothing of it trains or chooses the threshold, nothing else is judged."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raylab2f.errors import UserError
from raylab2f.evaluation import plan_fold
from raylab2f.evaluation.plans.fold_plan import assert_exclusive

SCHEME = "leave-condition-out"


def _manifest(conditions=("bright", "dark", "grey"), good=30, defective=18, mixed=True):
    """Parts with two pictures each: under two conditions where `mixed`, else all of a part under one."""
    rows = []
    for part in range(good + defective):
        for view in range(2):
            number = part + view if mixed and part % 2 else part
            rows.append(
                {
                    "image_id": f"{part}/{view}",
                    "object_id": f"part {part}",
                    "label": int(part < defective),
                    "given_split": "train",
                    "condition": conditions[number % len(conditions)],
                }
            )
    return pa.Table.from_pylist(rows)


def _rows(manifest, split):
    condition = dict(zip(manifest["image_id"].to_pylist(), manifest["condition"].to_pylist(), strict=True))
    return [row | {"condition": condition[row["image_id"]]} for row in split.to_pylist()]


@given(st.integers(0, 5), st.integers(0, 10_000), st.booleans())
def test_a_condition_is_judged_by_folds_that_never_saw_it(fold, seed, mixed):
    manifest = _manifest(mixed=mixed)
    split = plan_fold(manifest, fold=fold, seed=seed, scheme=SCHEME, folds=6)
    left_out = ("bright", "dark", "grey")[fold % 3]
    rows = _rows(manifest, split)
    assert {row["condition"] for row in rows if row["partition"] == "inference"} == {left_out}
    assert left_out not in {row["condition"] for row in rows if row["partition"] != "inference"}
    assert_exclusive(split)
    label = dict(zip(manifest["image_id"].to_pylist(), manifest["label"].to_pylist(), strict=True))
    assert not any(label[row["image_id"]] for row in rows if row["partition"] == "train")
    # Of an ordinary fold, nothing changes sides.
    ordinary = plan_fold(manifest, fold=fold // 3, seed=seed)
    home = dict(zip(ordinary["image_id"].to_pylist(), ordinary["partition"].to_pylist(), strict=True))
    assert all(home[row["image_id"]] == row["partition"] for row in rows if row["partition"] != "inference")


@given(st.integers(0, 1000))
def test_parts_of_one_condition_are_all_judged(seed):
    manifest = _manifest(mixed=False)
    split = plan_fold(manifest, fold=1, seed=seed, scheme=SCHEME, folds=3)
    judged = {row["image_id"] for row in split.to_pylist() if row["partition"] == "inference"}
    names, conditions = (manifest[name].to_pylist() for name in ("image_id", "condition"))
    assert judged == {image for image, condition in zip(names, conditions, strict=True) if condition == "dark"}


def test_a_fold_depends_neither_on_the_order_of_rows_nor_on_how_many_there_are():
    manifest = _manifest()
    first = plan_fold(manifest, fold=2, seed=3, scheme=SCHEME, folds=3)
    order = np.random.default_rng(0).permutation(len(manifest))
    assert plan_fold(manifest.take(order), fold=2, seed=3, scheme=SCHEME, folds=9).equals(first)


def _without(manifest, **values):
    [(condition, label)] = values.items()
    keep = [
        not (own == condition and is_defective == label)
        for own, is_defective in zip(manifest["condition"].to_pylist(), manifest["label"].to_pylist(), strict=True)
    ]
    return manifest.filter(pa.array(keep))


@pytest.mark.parametrize(
    ("manifest", "folds", "said"),
    [
        (_manifest().drop_columns(["condition"]), 3, "no picture has a condition; give --conditions PATTERN"),
        (_manifest(("one",)), 3, "all pictures are of the condition 'one'; at least two are needed"),
        (_manifest(("a", None)), 2, "pictures have no condition"),
        (_manifest(), 10, "give a multiple of 3, such as 12"),
        (_manifest(), 2, "give a multiple of 3, such as 3"),
        (_without(_manifest(mixed=False), dark=1), 3, "the condition 'dark' has no defective pictures to judge"),
        (_without(_manifest(mixed=False), dark=0), 3, "the condition 'dark' has no good pictures to judge"),
    ],
)
def test_what_cannot_be_is_told_in_a_sentence(manifest, folds, said):
    with pytest.raises(UserError, match=said):
        plan_fold(manifest, fold=0, seed=0, scheme=SCHEME, folds=folds)


def test_a_split_by_picture_is_refused():
    with pytest.raises(UserError, match="splits by object"):
        plan_fold(_manifest(), fold=0, seed=0, scheme=SCHEME, folds=3, split_by="picture")


def test_a_fold_that_would_judge_no_defective_part_is_told():
    rows = [row | {"condition": "rare" if row["object_id"] == "part 0" else "usual"} for row in _manifest().to_pylist()]
    rows += [{**rows[-1], "image_id": "more", "object_id": "one more", "condition": "rare"}]
    # The only rare defective part has another picture under the usual condition.
    rows[1]["condition"] = "usual"
    table = pa.Table.from_pylist(rows)
    ordinary = [plan_fold(table, fold=0, seed=seed).to_pylist() for seed in range(8)]
    homes = [next(row["partition"] for row in rows if row["image_id"] == "0/0") for rows in ordinary]
    assert set(homes) == {"threshold", "inference"}
    for seed, home in enumerate(homes):
        if home == "inference":
            assert "0/0" in plan_fold(table, fold=0, seed=seed, scheme=SCHEME, folds=2)["image_id"].to_pylist()
        else:
            with pytest.raises(UserError, match="a fold has no defective picture of the condition 'rare' to judge"):
                plan_fold(table, fold=0, seed=seed, scheme=SCHEME, folds=2)
