"""Placing objects where good objects train: the balanced and the K-fold scheme."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from raylab2f.errors import UserError
from raylab2f.evaluation.plans.plan_objects import PlanObjects
from raylab2f.evaluation.plans.whole_objects import deal_objects, draw_objects
from raylab2f.seeding import numpy_generator

__all__ = ["place_balanced", "place_kfold"]

# Where good pictures cannot match the defective ones and train as well, so many of them choose the threshold and are
# judged; a third trains.
_JUDGED_SHARE = 2 / 3


def place_balanced(
    objects: PlanObjects, pool: np.ndarray, merged: bool, stratify: bool, key: tuple[str, int, int]
) -> np.ndarray:
    fingerprint, seed, fold = key
    rng = numpy_generator(seed, "fold-plan", fingerprint, "balanced", fold)
    placed = np.full(len(objects.sizes), "", dtype="U9")
    threshold = _draw_half(objects, stratify, rng)
    placed[objects.anomalous] = "inference"
    placed[threshold] = "threshold"
    needed = {name: int(objects.sizes[placed == name].sum()) for name in ("threshold", "inference")}
    available = int(objects.sizes[pool].sum())
    share = min(1.0, available / sum(needed.values()))
    if merged:
        _require_pool(objects, available, int(pool.sum()), sum(needed.values()))
        if available <= sum(needed.values()):
            share = _JUDGED_SHARE * available / sum(needed.values())
    _draw_nominal(placed, objects, pool, {name: share * count for name, count in needed.items()}, merged, rng)
    return placed


def _draw_half(objects: PlanObjects, stratify: bool, rng: np.random.Generator) -> np.ndarray:
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


def _require_pool(objects: PlanObjects, pictures: int, count: int, needed: int) -> None:
    if pictures <= needed and objects.mixed.any():
        raise UserError(
            f"Too few nominal objects: {count} with {pictures} pictures, but threshold and inference need about "
            f"{needed} pictures and training at least one object more; add nominal pictures, or let good pictures of "
            "defective objects train (--train-on good-pictures)."
        )
    if count < 3:
        raise UserError(
            f"Too few nominal objects: {count} with {pictures} pictures, but threshold, inference and training need "
            "one "
            "each; add nominal pictures."
        )


def _draw_nominal(
    placed: np.ndarray,
    objects: PlanObjects,
    pool: np.ndarray,
    needed: Mapping[str, float],
    merged: bool,
    rng: np.random.Generator,
) -> None:
    """Draw nominal objects from the pool for threshold and inference, in place."""
    if not merged and int(pool.sum()) < 2:
        raise UserError(
            f"Too few nominal objects given as test: {int(pool.sum())} found, at least 2 are needed; "
            "merge them with the training ones (--merge-nominal-test yes)."
        )
    left = pool.copy()
    for name in ("threshold", "inference"):
        members = np.flatnonzero(left)
        if not len(members):
            raise UserError(
                "Too few nominal objects: whole objects cannot be shared out between the partitions; "
                "add nominal pictures."
            )
        drawn = draw_objects(objects.sizes[members], needed[name], rng)
        if name == "threshold" and drawn.all() and len(drawn) > 1:
            drawn[rng.integers(len(drawn))] = False
        placed[members[drawn]] = name
        left[members[drawn]] = False


def place_kfold(
    objects: PlanObjects, pool: np.ndarray, merged: bool, stratify: bool, key: tuple[str, int, int], folds: int
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
