"""Fold plans: which objects train, which choose the threshold, which are judged (protocol steps 0 and 1).

Source of the balanced protocol: Hönel & Nordqvist, "From Lab to Factory" (2025).
"""

from __future__ import annotations

import hashlib
from typing import Literal

import numpy as np
import pyarrow as pa

from raylab2f.errors import UserError
from raylab2f.evaluation.plans.good_objects import place_balanced, place_kfold
from raylab2f.evaluation.plans.good_pictures import (
    place_balanced_pictures,
    place_kfold_pictures,
    usable_pictures,
)
from raylab2f.evaluation.plans.left_out_conditions import SCHEME, conditions_of, fold_condition, leave_out
from raylab2f.evaluation.plans.plan_objects import PlanObjects, collect_objects
from raylab2f.evaluation.plans.training_choice import TrainOn, decide_training
from raylab2f.evaluation.plans.whole_objects import draw_objects
from raylab2f.pitfalls import Caution
from raylab2f.seeding import numpy_generator

__all__ = [
    "PARTITIONS",
    "PICTURE_SPLIT_WARNING",
    "SPLIT_SCHEMA",
    "assert_exclusive",
    "plan_fold",
    "plan_sizes",
]

PARTITIONS = ("train", "threshold", "inference")

SPLIT_SCHEMA = pa.schema(
    [("image_id", pa.string()), ("object_id", pa.string()), ("partition", pa.string())],
)

PICTURE_SPLIT_WARNING = Caution(
    "RL310",
    "The folds were split by picture: pictures of one object can be in several partitions, "
    "so every figure is likely too good; split by object for figures to rely on.",
)


def plan_fold(
    manifest: pa.Table,
    *,
    fold: int,
    seed: int,
    split_by: Literal["object", "picture"] = "object",
    scheme: Literal["balanced", "kfold", "leave-condition-out"] = "balanced",
    folds: int | None = None,
    merge_nominal_test: bool = True,
    stratify: bool = False,
    train_fraction: float = 1.0,
    train_on: TrainOn = "auto",
    fingerprint: str | None = None,
) -> pa.Table:
    """Plan one fold.

    Balanced scheme: the anomalous objects are split in two halves, threshold and inference, as equal in
    pictures as whole objects allow. For each half, nominal objects with the same number of pictures are drawn;
    the nominal objects left over train. An object with any anomalous picture is anomalous as a whole: all its
    pictures go where it goes, none trains, and all of them count when the nominal ones are matched to them.

    K-fold scheme: anomalous and nominal objects are dealt into `folds` groups; group `fold` is judged, so every
    object is judged in exactly one fold. All other anomalous objects choose the threshold (they must not
    train), with as many nominal pictures beside them, but never more than half of the nominal pictures left.

    Leaving conditions out: `left_out_conditions` has the rules; the conditions take turns, so that `folds` is a
    multiple of their number.

    Where too few objects are without a defect (`training_choice` has the rule), good pictures of defective objects
    train, and whole objects are dealt out: balanced, a third of the good pictures to each partition; K-fold, one group
    is judged, of the others half chooses the threshold and half trains. Defective pictures of objects that train have
    no row. Without merging, good pictures given as training ones then only train, the others only choose the threshold
    or are judged.

    Without merging, the nominal pictures of threshold and inference come from the nominal objects given as
    test (fewer than the anomalous ones when there are not enough), and only pictures given as training ones
    train; given test pictures that nobody needs stay out of the plan, and so do the given test pictures of a
    nominal object that also has given training pictures.

    The plan depends on the dataset, the seed, the fold and the options, never on the order of the manifest's
    rows. With the balanced scheme it does not depend on how many folds there are.

    Arguments:
        manifest: table with `image_id`, `object_id`, `label`, `given_split` and, to stratify, `defect_type`.
        fold: number of the fold, >= 0.
        seed: the run's seed.
        split_by: `picture` treats every picture as its own object; for contrast only.
        folds: K of the K-fold scheme; the number of folds where conditions are left out.
        merge_nominal_test: nominal pictures given as test join the nominal pool.
        stratify: split each defect type evenly.
        train_fraction: share of the training pictures, in whole objects, that train; in (0, 1]. The other
            partitions do not depend on it.
        train_on: `good-objects`: only objects without a defect train; `good-pictures`: so do the good pictures of
            defective objects; `auto`: these only where good objects are too few. Of no account for `split_by`
            `picture`, where every good picture is a good object.
        fingerprint: identifies the dataset; `None` derives one from the pictures' ids, objects and labels.

    Returns:
        Table of `SPLIT_SCHEMA`, sorted by `image_id`; pictures that take no part have no row.

    Raises:
        UserError: too few objects, or no nominal pictures, for what is asked.
    """
    _check_options(fold, split_by, scheme, folds, train_fraction)
    if scheme == SCHEME:
        condition, balanced = fold_condition(conditions_of(manifest, folds), fold)
        split = plan_fold(
            manifest,
            fold=balanced,
            seed=seed,
            split_by=split_by,
            merge_nominal_test=merge_nominal_test,
            stratify=stratify,
            train_fraction=train_fraction,
            train_on=train_on,
            fingerprint=fingerprint,
        )
        return leave_out(manifest, split, condition)
    objects = collect_objects(manifest, split_by)
    choice = decide_training(
        objects, train_on=train_on, split_by=split_by, scheme=scheme, folds=folds, merged=merge_nominal_test
    )
    _require_classes(objects, choice.train_on)
    key = (fingerprint if fingerprint is not None else _fingerprint(manifest), seed, fold)
    good_pictures = choice.train_on == "good-pictures"
    if good_pictures:
        placed, training = _place_pictures(objects, scheme, folds, merge_nominal_test, stratify, key)
    else:
        placed, training = _place_objects(objects, scheme, folds, merge_nominal_test, stratify, key)
    if train_fraction < 1:
        candidates = np.flatnonzero(placed == "train")
        wanted = train_fraction * training[candidates].sum()
        rng = numpy_generator(seed, "fold-plan", key[0], "train-fraction", fold)
        placed[candidates[~draw_objects(training[candidates], wanted, rng)]] = ""
    return _rows(manifest, objects, placed, merged=merge_nominal_test, good_pictures=good_pictures)


def _place_pictures(
    objects: PlanObjects, scheme: str, folds: int | None, merged: bool, stratify: bool, key: tuple[str, int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Partition of each object where good pictures train, and (n,) how many of its pictures may train."""
    usable = usable_pictures(objects, merged)
    if scheme == "balanced":
        return place_balanced_pictures(objects, usable, merged, stratify, key), usable.training
    assert folds is not None
    return place_kfold_pictures(objects, usable, merged, stratify, key, folds), usable.training


def _place_objects(
    objects: PlanObjects, scheme: str, folds: int | None, merged: bool, stratify: bool, key: tuple[str, int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """The same where good objects train."""
    pool = objects.pool(merged)
    if scheme == "balanced":
        placed = place_balanced(objects, pool, merged, stratify, key)
    else:
        assert folds is not None
        placed = place_kfold(objects, pool, merged, stratify, key, folds)
    trains = objects.nominal & (placed == "") & (True if merged else objects.any_given_train)
    if not trains.any():
        mend = ", or let good pictures of defective objects train (--train-on good-pictures)"
        raise UserError(
            "Too few nominal objects: after threshold and inference have theirs, none is left to train; "
            + (
                "add nominal pictures or leave out anomalous ones"
                if merged
                else "add nominal pictures given as training ones"
            )
            + (mend if objects.mixed.any() else "")
            + "."
        )
    placed[trains] = "train"
    return placed, objects.sizes


def plan_sizes(split: pa.Table, manifest: pa.Table) -> dict[str, dict[str, int]]:
    """Actual sizes of each partition of a plan.

    Returns:
        For each partition: `pictures`, `nominal_pictures`, `anomalous_pictures`, `objects`, `nominal_objects`,
        `anomalous_objects`. An object with an anomalous picture anywhere in the manifest counts as anomalous.
    """
    label_of = dict(zip(manifest["image_id"].to_pylist(), manifest["label"].to_pylist(), strict=True))
    anomalous = {
        o for o, label in zip(manifest["object_id"].to_pylist(), manifest["label"].to_pylist(), strict=True) if label
    }
    partition = np.array(split["partition"].to_pylist(), dtype=object)
    labels = np.array([label_of[i] for i in split["image_id"].to_pylist()], dtype=bool)
    owners = np.array(split["object_id"].to_pylist(), dtype=object)
    sizes = {}
    for name in PARTITIONS:
        here = partition == name
        members = set(owners[here])
        sizes[name] = {
            "pictures": int(here.sum()),
            "nominal_pictures": int((here & ~labels).sum()),
            "anomalous_pictures": int((here & labels).sum()),
            "objects": len(members),
            "nominal_objects": len(members - anomalous),
            "anomalous_objects": len(members & anomalous),
        }
    return sizes


def assert_exclusive(split: pa.Table) -> None:
    """Check that no picture appears twice and no object in two partitions.

    Raises:
        UserError: naming the first picture or object that does.
    """
    seen: set[str] = set()
    home: dict[str, str] = {}
    columns = (split[name].to_pylist() for name in ("image_id", "object_id", "partition"))
    for image_id, object_id, partition in zip(*columns, strict=True):
        if image_id in seen:
            raise UserError(f"The fold plan lists picture '{image_id}' twice; plan the folds again.")
        seen.add(image_id)
        if home.setdefault(object_id, partition) != partition:
            raise UserError(
                f"Object '{object_id}' is in both the {home[object_id]} and the {partition} partition of a fold; "
                "plan the folds again by object."
            )


def _check_options(fold: int, split_by: str, scheme: str, folds: int | None, train_fraction: float) -> None:
    if split_by not in ("object", "picture"):
        raise UserError(f"Pictures can be split by 'object' or 'picture', not by '{split_by}'.")
    if scheme not in ("balanced", "kfold", SCHEME):
        raise UserError(f"The fold scheme is 'balanced', 'kfold' or '{SCHEME}', not '{scheme}'.")
    if scheme == SCHEME and split_by != "object":
        raise UserError(f"--scheme {SCHEME} splits by object; leave --split-by out.")
    if scheme == "kfold" and (folds is None or folds < 2):
        raise UserError("K-fold needs at least 2 folds; give their number.")
    if fold < 0 or (scheme == "kfold" and folds is not None and fold >= folds):
        raise UserError(f"There is no fold {fold} among {folds if folds is not None else 'the'} folds.")
    if not 0 < train_fraction <= 1:
        raise UserError(f"The training fraction is above 0 and at most 1, not {train_fraction}.")


def _fingerprint(manifest: pa.Table) -> str:
    columns = (manifest[name].to_pylist() for name in ("image_id", "object_id", "label"))
    rows = sorted(zip(*columns, strict=True))
    return hashlib.blake2b(repr(rows).encode(), digest_size=8).hexdigest()


def _require_classes(objects: PlanObjects, train_on: str) -> None:
    count = int(objects.anomalous.sum())
    if count < 2:
        raise UserError(
            f"Too few anomalous objects: {count} found, at least 2 are needed, one to choose the threshold and one to "
            "judge."
        )
    if objects.anomalous.all() and train_on == "good-objects":
        good = int((~objects.label).sum())
        raise UserError(
            f"There are no nominal objects: each of the {count} objects has a defective picture, so nothing may train; "
            f"let their {good} good pictures train (--train-on good-pictures), or correct how objects are named "
            "(--object-id)."
        )


def _rows(
    manifest: pa.Table, objects: PlanObjects, placed: np.ndarray, *, merged: bool, good_pictures: bool
) -> pa.Table:
    partition = placed[objects.of_picture]
    trains = partition == "train"
    if good_pictures:
        partition[trains & objects.label] = ""
        if not merged:
            partition[~trains & ~objects.label & objects.given_train] = ""
    if not merged:
        partition[trains & ~objects.given_train] = ""
    table = pa.table(
        [manifest["image_id"].cast(pa.string()), manifest["object_id"].cast(pa.string()), pa.array(partition)],
        schema=SPLIT_SCHEMA,
    )
    return table.filter(pa.array(partition != "")).sort_by("image_id")
