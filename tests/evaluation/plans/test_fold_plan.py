"""Fold plans: exclusive, balanced, deterministic, independent of row order and of the number of folds."""

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
from raylab2f.evaluation.plans.whole_objects import deal_objects, draw_objects


def make_manifest(objects):
    """objects: list of (labels of the pictures, given_split, defect type)."""
    rows = [
        (f"o{number}/{view}.png", f"o{number}", label, split, kind if label else "good")
        for number, (labels, split, kind) in enumerate(objects)
        for view, label in enumerate(labels)
    ]
    names = ("image_id", "object_id", "label", "given_split", "defect_type")
    return pa.table({name: [row[i] for row in rows] for i, name in enumerate(names)})


splits = st.sampled_from(["train", "test"])
defective = st.tuples(st.lists(st.integers(0, 1), min_size=1, max_size=5), splits, st.sampled_from(["dent", "scratch"]))
flawless = st.tuples(st.lists(st.just(0), min_size=1, max_size=5), splits, st.just("good"))
manifests = st.tuples(st.lists(defective, min_size=2, max_size=8), st.lists(flawless, min_size=4, max_size=40)).map(
    lambda parts: make_manifest([*parts[0], *parts[1]])
)


def plan_or_skip(manifest, **options):
    try:
        return plan_fold(manifest, **options)
    except UserError:
        assume(False)


@settings(suppress_health_check=[HealthCheck.filter_too_much])
@given(
    manifest=manifests,
    seed=st.integers(0, 5),
    fold=st.integers(0, 3),
    merge=st.booleans(),
    stratify=st.booleans(),
    scheme=st.sampled_from(["balanced", "kfold"]),
)
def test_partitions_are_exclusive_for_arbitrary_manifests(manifest, seed, fold, merge, stratify, scheme):
    folds = 4 if scheme == "kfold" else None
    options = {"scheme": scheme, "folds": folds, "merge_nominal_test": merge, "stratify": stratify}
    split = plan_or_skip(manifest, fold=fold, seed=seed, train_on="good-objects", **options)
    # Where good objects can train, they do.
    assert plan_fold(manifest, fold=fold, seed=seed, **options).equals(split)
    assert_exclusive(split)
    owners = dict(zip(manifest["image_id"].to_pylist(), manifest["object_id"].to_pylist(), strict=True))
    given_split = dict(zip(manifest["image_id"].to_pylist(), manifest["given_split"].to_pylist(), strict=True))
    rows = list(zip(*(split[name].to_pylist() for name in ("image_id", "object_id", "partition")), strict=True))
    home = {}
    for image_id, object_id, partition in rows:
        assert owners[image_id] == object_id
        assert home.setdefault(object_id, partition) == partition
    sizes = plan_sizes(split, manifest)
    assert sizes["train"]["anomalous_objects"] == 0
    assert sizes["train"]["nominal_objects"] > 0
    for partition in ("threshold", "inference"):
        assert sizes[partition]["anomalous_objects"] > 0
        assert sizes[partition]["nominal_objects"] > 0
    if not merge:
        assert all(given_split[i] == "train" for i, _, partition in rows if partition == "train")
    # An anomalous object takes part with all its pictures.
    labels = dict(zip(manifest["image_id"].to_pylist(), manifest["label"].to_pylist(), strict=True))
    planned = {i for i, _, _ in rows}
    anomalous = {owners[i] for i in owners if labels[i]}
    assert {i for i in owners if owners[i] in anomalous} <= planned
    if merge:
        assert planned == set(owners)


@settings(suppress_health_check=[HealthCheck.filter_too_much])
@given(manifest=manifests, seed=st.integers(0, 5), order=st.randoms(use_true_random=False))
def test_the_plan_does_not_depend_on_row_order(manifest, seed, order):
    rows = list(range(manifest.num_rows))
    order.shuffle(rows)
    first = plan_or_skip(manifest, fold=2, seed=seed)
    assert plan_fold(manifest.take(rows), fold=2, seed=seed).equals(first)


@given(sizes=st.lists(st.integers(1, 9), min_size=1, max_size=9), target=st.integers(0, 60), seed=st.integers(0, 99))
def test_drawn_objects_come_as_near_to_the_target_as_any_set(sizes, target, seed):
    drawn = draw_objects(np.array(sizes), target / 2, np.random.default_rng(seed))
    assert drawn.any()
    best = min(
        abs(sum(chosen) - target / 2)
        for count in range(1, len(sizes) + 1)
        for chosen in itertools.combinations(sizes, count)
    )
    assert abs(np.array(sizes)[drawn].sum() - target / 2) == best


def test_drawing_from_many_objects_is_exact_and_covers_all_of_them():
    sizes = np.random.default_rng(0).integers(2, 7, 3000)
    draws = [draw_objects(sizes, 5000, np.random.default_rng(seed)) for seed in range(40)]
    assert all(sizes[drawn].sum() == 5000 for drawn in draws)
    assert np.mean(draws, axis=0).max() < 0.9
    assert np.mean(draws, axis=0).mean() == pytest.approx(5000 / sizes.sum(), abs=0.02)


@given(sizes=st.lists(st.integers(1, 20), min_size=5, max_size=30), groups=st.integers(2, 5), seed=st.integers(0, 99))
def test_dealt_groups_are_not_empty_and_alike(sizes, groups, seed):
    sizes = np.array(sizes)
    group = deal_objects(sizes, np.zeros(len(sizes), int), groups, np.random.default_rng(seed))
    load = np.bincount(group, weights=sizes, minlength=groups)
    assert (np.bincount(group, minlength=groups) > 0).all()
    assert load.max() - load.min() <= sizes.max()


def pure_objects(anomalous, nominal_train, nominal_test, pictures=2):
    return make_manifest(
        [([1] * pictures, "test", ("dent", "scratch", "stain")[i % 3]) for i in range(anomalous)]
        + [([0] * pictures, "train", "good")] * nominal_train
        + [([0] * pictures, "test", "good")] * nominal_test
    )


def test_balanced_partitions_are_equal_in_pictures():
    manifest = pure_objects(20, 60, 10, pictures=3)
    for fold in range(5):
        sizes = plan_sizes(plan_fold(manifest, fold=fold, seed=1), manifest)
        for partition in ("threshold", "inference"):
            assert sizes[partition] == {
                "pictures": 60,
                "nominal_pictures": 30,
                "anomalous_pictures": 30,
                "objects": 20,
                "nominal_objects": 10,
                "anomalous_objects": 10,
            }
        assert sizes["train"]["pictures"] == 150


def test_without_merging_only_given_training_pictures_train():
    manifest = pure_objects(6, 10, 20)
    split = plan_fold(manifest, fold=0, seed=0, merge_nominal_test=False)
    sizes = plan_sizes(split, manifest)
    assert sizes["train"]["pictures"] == 20
    assert sizes["threshold"]["nominal_pictures"] == sizes["inference"]["nominal_pictures"] == 6
    # 20 given test objects, 6 of them drawn: the others stay out.
    assert split.num_rows == 20 + 12 + 12


def test_without_merging_few_test_pictures_are_shared_out():
    manifest = pure_objects(20, 10, 6)
    sizes = plan_sizes(plan_fold(manifest, fold=0, seed=0, merge_nominal_test=False), manifest)
    assert sizes["threshold"]["nominal_objects"] == sizes["inference"]["nominal_objects"] == 3


def test_folds_differ_and_seeds_differ_and_repeat():
    manifest = pure_objects(12, 30, 10)
    plans = [plan_fold(manifest, fold=fold, seed=seed) for fold in range(3) for seed in range(3)]
    assert not any(a.equals(b) for a, b in itertools.combinations(plans, 2))
    assert plan_fold(manifest, fold=1, seed=2).equals(plans[5])
    assert not plan_fold(manifest, fold=1, seed=2, fingerprint="abc").equals(plans[5])


def test_the_training_fraction_changes_training_only():
    manifest = pure_objects(12, 50, 10)
    whole = plan_fold(manifest, fold=0, seed=0)
    part = plan_fold(manifest, fold=0, seed=0, train_fraction=0.25)
    for partition in ("threshold", "inference"):
        pick = [table.filter(pc.equal(table["partition"], partition)) for table in (whole, part)]
        assert pick[0].equals(pick[1])
    sizes = [plan_sizes(table, manifest)["train"]["pictures"] for table in (whole, part)]
    assert sizes[1] == pytest.approx(sizes[0] / 4, abs=1)


@pytest.mark.parametrize("merge", [True, False])
def test_kfold_judges_every_object_exactly_once(merge):
    manifest = pure_objects(11, 23, 17)
    judged = []
    for fold in range(5):
        split = plan_fold(manifest, fold=fold, seed=3, scheme="kfold", folds=5, merge_nominal_test=merge)
        assert_exclusive(split)
        judged += split.filter(pc.equal(split["partition"], "inference"))["image_id"].to_pylist()
    labels = manifest["label"].to_numpy().astype(bool)
    given_test = np.array(manifest["given_split"].to_pylist()) == "test"
    wanted = np.array(manifest["image_id"].to_pylist())[labels | given_test | merge]
    assert sorted(judged) == sorted(wanted)


def test_stratified_halves_hold_half_of_every_defect_type():
    manifest = pure_objects(18, 40, 0, pictures=1)
    kind = dict(zip(manifest["image_id"].to_pylist(), manifest["defect_type"].to_pylist(), strict=True))
    for fold in range(5):
        split = plan_fold(manifest, fold=fold, seed=0, stratify=True)
        counts = {}
        for image_id, partition in zip(split["image_id"].to_pylist(), split["partition"].to_pylist(), strict=True):
            counts[kind[image_id], partition] = counts.get((kind[image_id], partition), 0) + 1
        for name in ("dent", "scratch", "stain"):
            assert counts[name, "threshold"] == counts[name, "inference"] == 3


def test_a_split_by_picture_can_leak_and_the_check_sees_it():
    manifest = pure_objects(10, 30, 10, pictures=4)
    split = plan_fold(manifest, fold=0, seed=0, split_by="picture")
    sizes = plan_sizes(split, manifest)
    assert sizes["threshold"]["anomalous_pictures"] == sizes["inference"]["anomalous_pictures"] == 20
    with pytest.raises(UserError, match="is in both the"):
        assert_exclusive(split)
    train = split.filter(pc.equal(split["partition"], "train"))
    with pytest.raises(UserError, match="twice"):
        assert_exclusive(pa.concat_tables([train, train]))


@pytest.mark.parametrize(
    ("manifest", "options", "message"),
    [
        (pure_objects(1, 10, 10), {}, "Too few anomalous objects: 1 found"),
        (pure_objects(0, 10, 10), {}, "Too few anomalous objects: 0 found"),
        (pure_objects(5, 0, 0), {}, "no nominal pictures: all 10 count as defective"),
        (pure_objects(10, 1, 1), {}, r"Too few nominal objects: 2 with .*add nominal pictures\.$"),
        (pure_objects(4, 5, 1), {"merge_nominal_test": False}, "Too few nominal objects given as test"),
        (pure_objects(4, 0, 9), {"merge_nominal_test": False}, "none is left to train"),
        (pure_objects(4, 20, 9), {"scheme": "kfold", "folds": 5}, "Too few anomalous objects for 5 folds"),
        (pure_objects(8, 3, 0), {"scheme": "kfold", "folds": 5}, "Too few nominal objects for 5 folds"),
        (pure_objects(8, 30, 0), {"scheme": "kfold"}, "at least 2 folds"),
        (pure_objects(8, 30, 0), {"scheme": "kfold", "folds": 2, "fold": 2}, "no fold 2"),
        (pure_objects(8, 30, 0), {"train_fraction": 0.0}, "training fraction"),
        (pure_objects(8, 30, 0), {"split_by": "view"}, "not by 'view'"),
        (pure_objects(8, 30, 0), {"scheme": "loo"}, "not 'loo'"),
    ],
)
def test_what_cannot_be_planned_is_said_in_one_sentence(manifest, options, message):
    with pytest.raises(UserError, match=message):
        plan_fold(manifest, **{"fold": 0, "seed": 0, **options})


@pytest.mark.parametrize(("anomalous", "nominal"), [(10, 10), (20, 6), (9, 3)])
def test_where_good_objects_cannot_match_the_defective_ones_a_third_of_them_trains(anomalous, nominal):
    manifest = pure_objects(anomalous, nominal, 0, pictures=1)
    sizes = plan_sizes(plan_fold(manifest, fold=0, seed=0), manifest)
    assert sizes["train"]["objects"] in (nominal // 3, -(-nominal // 3))
    for partition in ("threshold", "inference"):
        assert 1 <= sizes[partition]["objects"] - sizes[partition]["anomalous_objects"] <= -(-nominal // 3)
    assert choose_training(manifest).caution.code == "RL219"
    assert choose_training(pure_objects(anomalous, anomalous + 1, 0)).caution is None


@pytest.mark.parametrize(("anomalous", "nominal"), [(10, 10), (20, 5), (9, 6)])
def test_kfold_can_do_with_fewer_nominal_objects(anomalous, nominal):
    manifest = pure_objects(anomalous, nominal, 0)
    for fold in range(2):
        split = plan_fold(manifest, fold=fold, seed=0, scheme="kfold", folds=2)
        assert set(split["partition"].to_pylist()) == {"train", "threshold", "inference"}
