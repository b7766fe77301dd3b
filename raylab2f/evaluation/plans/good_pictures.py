"""Placing objects where good pictures of defective objects train, for too few objects are without a defect.

Whole objects are dealt to train, threshold and inference. Within them the labels of pictures decide: of an object that
trains, only the good pictures take part; where thresholds are chosen and pictures are judged, all of them do. So no
picture of an object that trains is ever judged in the same fold.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from raylab2f.errors import UserError
from raylab2f.evaluation.plans.plan_objects import PlanObjects
from raylab2f.evaluation.plans.whole_objects import deal_objects, share_objects
from raylab2f.seeding import numpy_generator

__all__ = ["Usable", "place_balanced_pictures", "place_kfold_pictures", "usable_pictures"]


@dataclass(frozen=True)
class Usable:
    """How many pictures each object has for each purpose, (n,) each.

    Arguments:
        training: good ones that may train.
        good, bad: nominal and anomalous ones that may choose the threshold and be judged.
    """

    training: np.ndarray
    good: np.ndarray
    bad: np.ndarray

    @property
    def only_training(self) -> np.ndarray:
        return (self.training > 0) & (self.good + self.bad == 0)


def usable_pictures(objects: PlanObjects, merged: bool) -> Usable:
    """Good pictures may train and be judged; without merging, those given as training ones only train, others never."""
    good = ~objects.label
    if merged:
        return Usable(objects.count(good), objects.count(good), objects.count(objects.label))
    return Usable(
        objects.count(good & objects.given_train),
        objects.count(good & ~objects.given_train),
        objects.count(objects.label),
    )


def place_balanced_pictures(
    objects: PlanObjects, usable: Usable, merged: bool, stratify: bool, key: tuple[str, int, int]
) -> np.ndarray:
    """(n,) partition of each object: a third of the good pictures for each, as nearly as whole objects allow.

    Defective objects without a good picture, which cannot train, are halved between threshold and inference.
    """
    fingerprint, seed, fold = key
    _require_objects(usable, merged)
    rng = numpy_generator(seed, "fold-plan", fingerprint, "good-pictures", fold)
    judges = rng.permutation(["threshold", "inference"])
    placed = _share(objects, usable, np.ones(len(objects.sizes), dtype=bool), (*judges, "train"), stratify, rng)
    _require_classes(placed, usable, merged)
    return placed


def place_kfold_pictures(
    objects: PlanObjects, usable: Usable, merged: bool, stratify: bool, key: tuple[str, int, int], folds: int
) -> np.ndarray:
    """(n,) partition of each object: group `fold` is judged; half of the others chooses the threshold, half trains."""
    fingerprint, seed, fold = key
    _require_objects(usable, merged)
    both = int(((usable.good > 0) & (usable.bad > 0)).sum())
    if both < folds:
        raise UserError(
            f"Too few objects with good and defective pictures for {folds} folds: {both} found, one for each fold is "
            f"needed; ask for fewer folds{_mend(merged)}."
        )
    # The deal is the same for all folds, so that every object is judged exactly once.
    deal = numpy_generator(seed, "fold-plan", fingerprint, "good-pictures kfold", folds)
    judged = np.zeros(len(objects.sizes), dtype=bool)
    bad, good = usable.bad > 0, usable.good > 0
    for members in (np.flatnonzero(kind) for kind in (bad & good, bad & ~good, ~bad & good)):
        strata = objects.defect[members] if stratify else np.zeros(len(members), dtype=np.int64)
        judged[members[deal_objects(objects.sizes[members], strata, folds, deal) == fold]] = True
    rng = numpy_generator(seed, "fold-plan", fingerprint, "good-pictures kfold", folds, fold)
    placed = _share(objects, usable, ~judged, ("threshold", "train"), stratify, rng)
    placed[judged] = "inference"
    _require_classes(placed, usable, merged)
    return placed


def _share(
    objects: PlanObjects,
    usable: Usable,
    free: np.ndarray,
    parts: tuple[str, ...],
    stratify: bool,
    rng: np.random.Generator,
) -> np.ndarray:
    """Share the free objects out between the parts, the last of which is `train`.

    Mixed objects come first, for only they bring both classes; then defective ones without a good picture, by
    defective pictures; last good ones, which make up for what is uneven in good pictures.
    """
    placed = np.full(len(objects.sizes), "", dtype="U9")
    placed[usable.only_training] = "train"
    teaches, good, bad = usable.training > 0, usable.good > 0, usable.bad > 0
    free = free & ~usable.only_training
    kinds = (
        (bad & teaches, True),
        (bad & ~teaches & good, False),
        (bad & ~teaches & ~good, False),
        (~bad & ~teaches & good, False),
        (~bad & teaches, True),
    )
    for kind, may_train in kinds:
        allowed = np.array(parts if may_train else parts[:-1])
        by_bad = not (teaches | good)[kind].any()
        pictures = usable.bad if by_bad else objects.count(~objects.label)
        strata = objects.defect if stratify else np.zeros_like(objects.defect)
        for stratum in rng.permutation(np.unique(strata[free & kind])):
            members = np.flatnonzero(free & kind & (strata == stratum))
            load = np.array([pictures[placed == part].sum() for part in allowed])
            placed[members] = allowed[share_objects(pictures[members], load, rng)]
    return placed


def _require_objects(usable: Usable, merged: bool) -> None:
    sources = int(((usable.training > 0) | (usable.good > 0)).sum())
    if sources < 3:
        raise UserError(
            f"Too few objects with good pictures: {sources} found, at least 3 are needed, one to train, one to choose "
            f"the threshold and one to judge{_mend(merged)}."
        )


def _require_classes(placed: np.ndarray, usable: Usable, merged: bool) -> None:
    for part in ("threshold", "inference"):
        for pictures, word in ((usable.good, "good"), (usable.bad, "defective")):
            if not pictures[placed == part].any():
                raise UserError(
                    f"Too few objects with {word} pictures: whole objects cannot be shared out so that the {part} "
                    f"partition gets one; add {word} pictures of other objects{_mend(merged)}."
                )
    if not usable.training[placed == "train"].any():
        raise UserError(
            "Too few objects with good pictures: after threshold and inference have theirs, none is left to train; "
            f"add good pictures of other objects{_mend(merged)}."
        )


def _mend(merged: bool) -> str:
    return "" if merged else ", or merge given test and training pictures (--merge-nominal-test yes)"
