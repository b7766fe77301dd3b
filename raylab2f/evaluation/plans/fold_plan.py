"""Fold plans: which objects train, which choose the threshold, which are judged (protocol steps 0 and 1).

Source of the balanced protocol: Hönel & Nordqvist, "From Lab to Factory" (2025).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa

from raylab2f.errors import UserError
from raylab2f.evaluation.plans.whole_objects import deal_objects, draw_objects
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
    scheme: Literal["balanced", "kfold"] = "balanced",
    folds: int | None = None,
    merge_nominal_test: bool = True,
    stratify: bool = False,
    train_fraction: float = 1.0,
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
        folds: K of the K-fold scheme.
        merge_nominal_test: nominal pictures given as test join the nominal pool.
        stratify: split each defect type evenly.
        train_fraction: share of the training pictures, in whole objects, that train; in (0, 1]. The other
            partitions do not depend on it.
        fingerprint: identifies the dataset; `None` derives one from the pictures' ids, objects and labels.

    Returns:
        Table of `SPLIT_SCHEMA`, sorted by `image_id`; pictures that take no part have no row.

    Raises:
        UserError: too few objects, or no nominal pictures, for what is asked.
    """
    _check_options(fold, split_by, scheme, folds, train_fraction)
    objects = _collect_objects(manifest, split_by)
    key = fingerprint if fingerprint is not None else _fingerprint(manifest)
    pool = objects.nominal if merge_nominal_test else objects.nominal & objects.all_given_test
    if scheme == "balanced":
        placed = _place_balanced(objects, pool, merge_nominal_test, stratify, (key, seed, fold))
    else:
        assert folds is not None
        placed = _place_kfold(objects, pool, merge_nominal_test, stratify, (key, seed, fold), folds)
    trains = objects.nominal & (placed == "") & (True if merge_nominal_test else objects.any_given_train)
    if not trains.any():
        raise UserError(
            "Too few nominal objects: after threshold and inference have theirs, none is left to train; "
            "add nominal pictures"
            + (" or leave out anomalous ones." if merge_nominal_test else " given as training ones.")
        )
    if train_fraction < 1:
        candidates = np.flatnonzero(trains)
        wanted = train_fraction * objects.sizes[candidates].sum()
        rng = numpy_generator(seed, "fold-plan", key, "train-fraction", fold)
        trains[candidates[~draw_objects(objects.sizes[candidates], wanted, rng)]] = False
    placed[trains] = "train"
    return _rows(manifest, objects, placed, merge_nominal_test)


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


@dataclass(frozen=True)
class _Objects:
    """The manifest by objects, in order of their names; all arrays are (n,) or one entry a picture."""

    of_picture: np.ndarray  # index of each picture's object, in the manifest's row order
    sizes: np.ndarray
    anomalous: np.ndarray
    defect: np.ndarray  # integer code of the anomalous objects' defect types
    all_given_test: np.ndarray
    any_given_train: np.ndarray

    @property
    def nominal(self) -> np.ndarray:
        return ~self.anomalous


def _check_options(fold: int, split_by: str, scheme: str, folds: int | None, train_fraction: float) -> None:
    if split_by not in ("object", "picture"):
        raise UserError(f"Pictures can be split by 'object' or 'picture', not by '{split_by}'.")
    if scheme not in ("balanced", "kfold"):
        raise UserError(f"The fold scheme is 'balanced' or 'kfold', not '{scheme}'.")
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


def _collect_objects(manifest: pa.Table, split_by: str) -> _Objects:
    names = np.array(manifest["object_id" if split_by == "object" else "image_id"].to_pylist(), dtype=object)
    labels = np.array(manifest["label"].to_pylist(), dtype=np.int64)
    given_train = np.array(manifest["given_split"].to_pylist(), dtype=object) == "train"
    unique, of_picture = np.unique(names.astype(str), return_inverse=True)
    count = len(unique)
    anomalous = np.bincount(of_picture, weights=labels, minlength=count) > 0
    any_train = np.bincount(of_picture, weights=given_train, minlength=count) > 0
    types: list[set[str]] = [set() for _ in range(count)]
    if "defect_type" in manifest.column_names:
        for owner, label, kind in zip(of_picture, labels, manifest["defect_type"].to_pylist(), strict=True):
            if label:
                types[owner].add(str(kind))
    _, defect = np.unique(np.array(["+".join(sorted(kinds)) for kinds in types], dtype=str), return_inverse=True)
    if int(anomalous.sum()) < 2:
        raise UserError(
            f"Too few anomalous objects: {int(anomalous.sum())} found, at least 2 are needed, "
            "one to choose the threshold and one to judge."
        )
    if anomalous.all():
        raise UserError("There are no nominal objects: name the folder or label of the nominal pictures.")
    return _Objects(of_picture, np.bincount(of_picture, minlength=count), anomalous, defect, ~any_train, any_train)


def _place_balanced(
    objects: _Objects, pool: np.ndarray, merged: bool, stratify: bool, key: tuple[str, int, int]
) -> np.ndarray:
    fingerprint, seed, fold = key
    rng = numpy_generator(seed, "fold-plan", fingerprint, "balanced", fold)
    placed = np.full(len(objects.sizes), "", dtype="U9")
    threshold = _draw_half(objects, stratify, rng)
    placed[objects.anomalous] = "inference"
    placed[threshold] = "threshold"
    needed = {name: int(objects.sizes[placed == name].sum()) for name in ("threshold", "inference")}
    if merged:
        _require_pool(int(objects.sizes[pool].sum()), sum(needed.values()), int(pool.sum()))
    _draw_nominal(placed, objects, pool, needed, merged, rng)
    return placed


def _draw_half(objects: _Objects, stratify: bool, rng: np.random.Generator) -> np.ndarray:
    """Half of the anomalous objects, as a mask over all objects."""
    half = np.zeros(len(objects.sizes), dtype=bool)
    strata = objects.defect if stratify else np.zeros_like(objects.defect)
    wanted = 0.0
    for stratum in rng.permutation(np.unique(strata[objects.anomalous])):
        members = np.flatnonzero(objects.anomalous & (strata == stratum))
        sizes = objects.sizes[members]
        # What earlier types could not split evenly is made up for by the later ones.
        wanted += sizes.sum() / 2
        aim = wanted - objects.sizes[half].sum()
        if len(members) == 1:
            half[members] = aim > sizes[0] / 2 or (aim == sizes[0] / 2 and bool(rng.integers(2)))
            continue
        drawn = draw_objects(sizes, aim, rng)
        if drawn.all():
            drawn[rng.integers(len(drawn))] = False
        half[members[drawn]] = True
    members = np.flatnonzero(objects.anomalous)
    if half[members].all() or not half[members].any():
        half[rng.choice(members)] ^= True
    return half


def _require_pool(pictures: int, needed: int, count: int) -> None:
    if count < 3 or pictures <= needed:
        raise UserError(
            f"Too few nominal objects: {count} with {pictures} pictures, but threshold and inference need about "
            f"{needed} pictures and training at least one object more; add nominal pictures or leave out "
            "anomalous ones."
        )


def _draw_nominal(
    placed: np.ndarray,
    objects: _Objects,
    pool: np.ndarray,
    needed: Mapping[str, int],
    merged: bool,
    rng: np.random.Generator,
) -> None:
    """Draw nominal objects from the pool for threshold and inference, in place."""
    available = int(objects.sizes[pool].sum())
    if not merged and int(pool.sum()) < 2:
        raise UserError(
            f"Too few nominal objects given as test: {int(pool.sum())} found, at least 2 are needed; "
            "merge them with the training ones (--merge-nominal-test yes)."
        )
    share = min(1.0, available / sum(needed.values()))
    left = pool.copy()
    for name in ("threshold", "inference"):
        members = np.flatnonzero(left)
        if not len(members):
            raise UserError(
                "Too few nominal objects: whole objects cannot be shared out between the partitions; "
                "add nominal pictures."
            )
        drawn = draw_objects(objects.sizes[members], share * needed[name], rng)
        if name == "threshold" and drawn.all() and len(drawn) > 1:
            drawn[rng.integers(len(drawn))] = False
        placed[members[drawn]] = name
        left[members[drawn]] = False


def _place_kfold(
    objects: _Objects, pool: np.ndarray, merged: bool, stratify: bool, key: tuple[str, int, int], folds: int
) -> np.ndarray:
    fingerprint, seed, fold = key
    for mask, word in ((objects.anomalous, "anomalous"), (pool, "nominal" if merged else "nominal test")):
        if int(mask.sum()) < folds:
            raise UserError(
                f"Too few {word} objects for {folds} folds: {int(mask.sum())} found, one for each fold is needed."
            )
    # The deal is the same for all folds, so that every object is judged exactly once.
    deal = numpy_generator(seed, "fold-plan", fingerprint, "kfold", folds)
    placed = np.full(len(objects.sizes), "", dtype="U9")
    for members in (np.flatnonzero(objects.anomalous), np.flatnonzero(pool)):
        strata = objects.defect[members] if stratify else np.zeros(len(members), dtype=np.int64)
        placed[members[deal_objects(objects.sizes[members], strata, folds, deal) == fold]] = "inference"
    rest = objects.anomalous & (placed == "")
    placed[rest] = "threshold"
    left = np.flatnonzero(pool & (placed == ""))
    available = int(objects.sizes[left].sum())
    wanted = min(float(objects.sizes[rest].sum()), available / 2 if merged else available)
    rng = numpy_generator(seed, "fold-plan", fingerprint, "kfold", folds, fold)
    placed[left[draw_objects(objects.sizes[left], wanted, rng)]] = "threshold"
    return placed


def _rows(manifest: pa.Table, objects: _Objects, placed: np.ndarray, merged: bool) -> pa.Table:
    partition = placed[objects.of_picture]
    if not merged:
        given_train = np.array(manifest["given_split"].to_pylist(), dtype=object) == "train"
        partition[(partition == "train") & ~given_train] = ""
    table = pa.table(
        [manifest["image_id"].cast(pa.string()), manifest["object_id"].cast(pa.string()), pa.array(partition)],
        schema=SPLIT_SCHEMA,
    )
    return table.filter(pa.array(partition != "")).sort_by("image_id")
