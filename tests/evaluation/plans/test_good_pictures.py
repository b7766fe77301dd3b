"""Where too few objects are without a defect, good pictures of defective ones train, apart from their own objects."""

import itertools

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from raylab2f.errors import UserError
from raylab2f.evaluation.plans.fold_plan import assert_exclusive, plan_fold, plan_sizes
from raylab2f.evaluation.plans.training_choice import choose_training
from raylab2f.evaluation.plans.whole_objects import halve_pictures, share_objects
from raylab2f.preparation import PreparationSettings, select_pictures, with_copies


def make_manifest(objects):
    """objects: list of pictures, each (label, given_split, defect type)."""
    rows = [
        (f"o{number}/{view}.png", f"o{number}", label, split, kind if label else "good")
        for number, pictures in enumerate(objects)
        for view, (label, split, kind) in enumerate(pictures)
    ]
    names = ("image_id", "object_id", "label", "given_split", "defect_type")
    return pa.table({name: [row[i] for row in rows] for i, name in enumerate(names)})


def every_object_mixed(objects=30, pictures=8, split="train"):
    kinds = ("dent", "scratch", "stain")
    return make_manifest([[(int(i == 0), split, kinds[o % 3]) for i in range(pictures)] for o in range(objects)])


picture = st.tuples(
    st.sampled_from([0, 0, 1]), st.sampled_from(["train", "test", "test"]), st.sampled_from(["dent", "scratch"])
)
manifests = st.lists(st.lists(picture, min_size=1, max_size=6), min_size=3, max_size=30).map(make_manifest)
plans = st.fixed_dictionaries(
    {
        "fold": st.integers(0, 2),
        "seed": st.integers(0, 5),
        "merge_nominal_test": st.booleans(),
        "stratify": st.booleans(),
        "train_fraction": st.sampled_from([1.0, 0.4]),
        "scheme": st.sampled_from(["balanced", "kfold"]),
        "folds": st.just(3),
    }
)


@settings(suppress_health_check=[HealthCheck.filter_too_much])
@given(manifest=manifests, options=plans, order=st.randoms(use_true_random=False))
def test_whole_objects_are_dealt_and_only_good_pictures_train(manifest, options, order):
    try:
        split = plan_fold(manifest, train_on="good-pictures", **options)
    except UserError:
        assume(False)
    assert_exclusive(split)
    rows = {row["image_id"]: row for row in manifest.to_pylist()}
    partition = dict(zip(split["image_id"].to_pylist(), split["partition"].to_pylist(), strict=True))
    objects = {
        name: {rows[i]["object_id"] for i, place in partition.items() if place == name}
        for name in ("train", "threshold", "inference")
    }
    assert not objects["train"] & (objects["threshold"] | objects["inference"])
    assert not objects["threshold"] & objects["inference"]
    assert all(rows[i]["label"] == 0 for i, place in partition.items() if place == "train")
    for name in ("threshold", "inference"):
        assert {rows[i]["label"] for i, place in partition.items() if place == name} == {0, 1}
    merged = options["merge_nominal_test"]
    for image_id, row in rows.items():
        # Of an object that is judged or chooses the threshold, every defective picture takes part, and every good one.
        if row["object_id"] in objects["threshold"] | objects["inference"]:
            good_for_training = row["label"] == 0 and row["given_split"] == "train"
            assert (image_id in partition) == (merged or not good_for_training)
        if partition.get(image_id) == "train" and not merged:
            assert row["given_split"] == "train"
    shuffled = list(range(manifest.num_rows))
    order.shuffle(shuffled)
    assert plan_fold(manifest.take(shuffled), train_on="good-pictures", **options).equals(split)


@settings(suppress_health_check=[HealthCheck.filter_too_much])
@given(manifest=manifests, options=plans)
def test_good_objects_train_alone_wherever_they_can(manifest, options):
    """And what trains depends on the data set and the options, not on the fold or the seed."""
    try:
        alone = plan_fold(manifest, train_on="good-objects", **options)
    except UserError:
        assume(False)
    assert plan_fold(manifest, **options).equals(alone)
    same = {name: options[name] for name in ("scheme", "folds", "merge_nominal_test")}
    assert choose_training(manifest, **same).train_on == "good-objects"


@given(
    sizes=st.lists(st.integers(1, 9), max_size=20),
    load=st.lists(st.integers(0, 40), min_size=2, max_size=4),
    seed=st.integers(0, 99),
)
def test_shared_objects_go_where_there_is_least(sizes, load, seed):
    sizes, load = np.array(sizes, dtype=int), np.array(load)
    part = share_objects(sizes, load, np.random.default_rng(seed))
    after = load + np.bincount(part, weights=sizes, minlength=len(load))
    # Nothing is added to a part that already has more than any part needs.
    even = max((load.sum() + sizes.sum()) / len(load), load.min() + sizes.sum())
    assert (after[load >= even] == load[load >= even]).all()
    receiving = np.unique(part)
    if len(sizes):
        assert load.argmin() in receiving
        spread = after[receiving].max() - after.min()
        assert spread <= max(load.max() - load.min(), 2 * sizes.max())


@given(
    objects=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=2, max_size=12), seed=st.integers(0, 99)
)
def test_halves_hold_pictures_of_both_classes(objects, seed):
    good, bad = np.array([pair for pair in objects if sum(pair)] or [(0, 0)]).T
    assume((good > 0).sum() >= 2 and (bad > 0).sum() >= 2 and ((good > 0) & (bad > 0)).any())
    half = halve_pictures(good, bad, np.random.default_rng(seed))
    for side in (half, ~half):
        assert good[side].any()
        assert bad[side].any()


def test_a_third_of_the_good_pictures_trains_and_folds_differ():
    manifest = every_object_mixed()
    plans = [plan_fold(manifest, fold=fold, seed=seed) for fold in range(3) for seed in range(3)]
    assert not any(a.equals(b) for a, b in itertools.combinations(plans, 2))
    for plan in plans:
        sizes = plan_sizes(plan, manifest)
        assert [sizes[name]["objects"] for name in ("train", "threshold", "inference")] == [10, 10, 10]
        assert [sizes[name]["pictures"] for name in ("train", "threshold", "inference")] == [70, 80, 80]
    trained = {o for p in plans for o in p.filter(pc.equal(p["partition"], "train"))["object_id"].to_pylist()}
    assert len(trained) > 20


def test_stratified_thirds_hold_a_third_of_every_defect_type():
    manifest = every_object_mixed()
    kind = {row["object_id"]: row["defect_type"] for row in manifest.to_pylist() if row["label"]}
    split = plan_fold(manifest, fold=1, seed=0, stratify=True)
    homes = set(zip(split["object_id"].to_pylist(), split["partition"].to_pylist(), strict=True))
    counts = {}
    for owner, place in homes:
        counts[kind[owner], place] = counts.get((kind[owner], place), 0) + 1
    assert all(3 <= count <= 4 for count in counts.values())
    assert len(counts) == 9


def test_kfold_judges_every_object_exactly_once():
    manifest = make_manifest(
        [[(1, "test", "dent"), (0, "train", "good")] * 2] * 7
        + [[(1, "test", "dent")]] * 4
        + [[(0, "train", "good")]] * 3
    )
    judged = []
    for fold in range(5):
        split = plan_fold(manifest, fold=fold, seed=3, scheme="kfold", folds=5)
        assert_exclusive(split)
        judged += split.filter(pc.equal(split["partition"], "inference"))["image_id"].to_pylist()
    assert sorted(judged) == sorted(manifest["image_id"].to_pylist())


def test_the_training_fraction_changes_training_only():
    manifest = every_object_mixed()
    whole, part = (plan_fold(manifest, fold=0, seed=0, train_fraction=fraction) for fraction in (1.0, 0.3))
    sizes = [plan_sizes(plan, manifest) for plan in (whole, part)]
    assert sizes[1]["train"]["pictures"] == 21
    assert whole.filter(pc.not_equal(whole["partition"], "train")).equals(
        part.filter(pc.not_equal(part["partition"], "train"))
    )


def test_turned_copies_train_with_their_picture_and_stay_with_their_object():
    manifest = every_object_mixed()
    manifest = manifest.append_column("view", pa.array([None] * manifest.num_rows, pa.string()))
    preparation = PreparationSettings(train_angles=(0.0, 90.0), eval_angles=(0.0, 45.0))
    pictures = with_copies(manifest, preparation.angles)
    rows = select_pictures(plan_fold(manifest, fold=0, seed=0), pictures, preparation)
    assert_exclusive(rows)
    label = dict(zip(pictures["image_id"].to_pylist(), pictures["label"].to_pylist(), strict=True))
    trained = rows.filter(pc.equal(rows["partition"], "train"))["image_id"].to_pylist()
    assert len(trained) == 140
    assert not any(label[image_id] for image_id in trained)


def test_split_by_picture_every_good_picture_is_a_good_object():
    manifest = every_object_mixed()
    choice = choose_training(manifest, split_by="picture", train_on="good-pictures")
    assert (choice.train_on, choice.caution) == ("good-objects", None)
    sizes = plan_sizes(plan_fold(manifest, fold=0, seed=0, split_by="picture", train_on="good-pictures"), manifest)
    assert sizes["threshold"]["nominal_pictures"] == sizes["threshold"]["anomalous_pictures"] == 15


GOOD, MIXED, BAD = [(0, "train", "good")] * 2, [(0, "train", "good"), (1, "test", "dent")], [(1, "test", "dent")] * 2


@pytest.mark.parametrize(
    ("objects", "options", "reason"),
    [
        ([MIXED] * 9, {}, "all 9 objects have a defective picture"),
        ([MIXED] * 9 + [GOOD] * 2, {}, "only 2 objects without a defect, at least 3 are needed"),
        ([MIXED] * 9 + [GOOD] * 8, {}, "only 8 objects without a defect with 16 pictures, .* beside the 18"),
        ([MIXED] * 9 + [GOOD] * 4, {"scheme": "kfold", "folds": 5}, "only 4 objects .* at least 5"),
        ([MIXED] * 9 + [GOOD] * 20, {"merge_nominal_test": False}, "only 0 objects without a defect given as test"),
        ([MIXED] * 9 + [GOOD] * 20, {"train_on": "good-pictures"}, "--train-on good-pictures"),
    ],
)
def test_why_good_pictures_train_is_said(objects, options, reason):
    choice = choose_training(make_manifest(objects), **options)
    assert choice.train_on == choice.to_dict()["train_on"] == "good-pictures"
    assert pc.match_substring_regex(pa.array([choice.reason]), reason)[0].as_py()
    assert choice.caution.code == "RL215"
    assert choice.reason in choice.caution
    assert f"9 of {len(objects)} objects have defective and good pictures, 9 of these good" in choice.caution


@pytest.mark.parametrize(
    ("objects", "options"),
    [
        ([MIXED] * 9 + [GOOD] * 10, {}),
        ([BAD] * 9 + [GOOD] * 2, {}),
        ([MIXED] * 9 + [GOOD] * 5, {"scheme": "kfold", "folds": 5}),
        ([MIXED] * 9, {"train_on": "good-objects"}),
    ],
)
def test_otherwise_good_objects_train(objects, options):
    choice = choose_training(make_manifest(objects), **options)
    assert (choice.train_on, choice.caution) == ("good-objects", None)


@pytest.mark.parametrize(
    ("objects", "options", "message"),
    [
        ([BAD] * 9, {}, "no nominal pictures: all 18 count as defective; name the folder"),
        (
            [MIXED] * 9,
            {"train_on": "good-objects"},
            "each of the 9 objects has a defective picture.*their 9 good pictures train .--train-on good-pictures.",
        ),
        ([MIXED] * 2 + [BAD] * 4, {}, "Too few objects with good pictures: 2 found, at least 3"),
        ([BAD] * 5 + [GOOD] * 9, {"train_on": "good-pictures"}, "no defective object has a good picture"),
        ([MIXED] * 4, {"scheme": "kfold", "folds": 5}, "good and defective pictures for 5 folds: 4 found"),
        ([MIXED] * 9, {"merge_nominal_test": False}, "partition gets one.*--merge-nominal-test yes"),
        ([MIXED] * 9, {"train_on": "all"}, "--train-on is auto, good-objects or good-pictures, not 'all'"),
    ],
)
def test_what_cannot_be_planned_is_said_with_the_reason(objects, options, message):
    with pytest.raises(UserError, match=message) as error:
        plan_fold(make_manifest(objects), **{"fold": 0, "seed": 0, **options})
    assert str(error.value).rstrip(".").count(". ") == 0
