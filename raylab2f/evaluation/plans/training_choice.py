"""What trains: good objects, or, where these are too few, the good pictures of all objects.

Good objects are too few when, after threshold and inference have theirs, none can be left to train:

- balanced scheme: fewer than 3, or no more pictures in them than in the defective objects, which all of them are
  matched with (where no defective object has a good picture, a third of the good objects trains all the same);
- K-fold scheme: fewer than one for each fold, or fewer than 3;
- with given test pictures kept apart: fewer than 2 (K-fold: one for each fold) given as test, or none as training.

The rule looks at the data set and the options alone, so it is the same for all folds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pyarrow as pa

from raylab2f.errors import UserError
from raylab2f.evaluation.plans.plan_objects import PlanObjects, collect_objects
from raylab2f.pitfalls import Caution

__all__ = ["TRAIN_ON", "TrainOn", "TrainingChoice", "choose_training", "decide_training"]

TrainOn = Literal["auto", "good-objects", "good-pictures"]

TRAIN_ON = ("auto", "good-objects", "good-pictures")


@dataclass(frozen=True)
class TrainingChoice:
    """What trains, and why.

    Arguments:
        train_on: `good-objects` or `good-pictures`.
        reason: a clause with numbers.
        caution: what every reader of the results must know; `None` where good objects train and are enough.
    """

    train_on: Literal["good-objects", "good-pictures"]
    reason: str
    caution: Caution | None = None

    def to_dict(self) -> dict[str, str]:
        """`train_on` and `reason`, for the description of a run's data set."""
        return {"train_on": self.train_on, "reason": self.reason}


def choose_training(
    manifest: pa.Table,
    *,
    train_on: TrainOn = "auto",
    split_by: Literal["object", "picture"] = "object",
    scheme: Literal["balanced", "kfold"] = "balanced",
    folds: int | None = None,
    merge_nominal_test: bool = True,
) -> TrainingChoice:
    """What `plan_fold` will let train with these arguments.

    Raises:
        UserError: no nominal picture, or `good-pictures` where no defective object has a good picture.
    """
    objects = collect_objects(manifest, split_by)
    return decide_training(
        objects, train_on=train_on, split_by=split_by, scheme=scheme, folds=folds, merged=merge_nominal_test
    )


def decide_training(
    objects: PlanObjects, *, train_on: str, split_by: str, scheme: str, folds: int | None, merged: bool
) -> TrainingChoice:
    """The same for objects collected before; see `choose_training`."""
    if train_on not in TRAIN_ON:
        raise UserError(f"--train-on is {', '.join(TRAIN_ON[:-1])} or {TRAIN_ON[-1]}, not '{train_on}'.")
    if objects.label.all():
        raise UserError(
            f"There are no nominal pictures: all {len(objects.label)} count as defective; name the folder or label of "
            "the nominal ones."
        )
    if split_by == "picture":
        return TrainingChoice("good-objects", "split by picture, so every picture counts as an object")
    lack = _lack_of_good_objects(objects, scheme, folds, merged)
    mixed = int(objects.mixed.sum())
    if train_on == "good-pictures" and not mixed:
        raise UserError(
            "--train-on good-pictures: no defective object has a good picture that could train; leave the option out."
        )
    if train_on == "good-objects" or (train_on == "auto" and (lack is None or not mixed)):
        count = int(objects.nominal.sum())
        reason = "--train-on good-objects" if train_on == "good-objects" else f"{count} objects without a defect"
        return TrainingChoice("good-objects", reason, _scarcity(objects, scheme, merged))
    reason = "--train-on good-pictures" if train_on == "good-pictures" or lack is None else lack
    good = int((~objects.label[objects.mixed[objects.of_picture]]).sum())
    return TrainingChoice(
        "good-pictures",
        reason,
        Caution(
            "RL215",
            f"Good pictures of defective objects train ({reason}): {mixed} of {len(objects.sizes)} objects have "
            f"defective and good pictures, {good} of these good. No picture of an object that trains is judged in the "
            "same fold, but a detector that learns from parts with a defect elsewhere may have seen traces of it; add "
            "parts without a defect if there are any.",
        ),
    )


def _scarcity(objects: PlanObjects, scheme: str, merged: bool) -> Caution | None:
    """What to know where balanced folds judge fewer good pictures than defective ones."""
    good, defective = int(objects.sizes[objects.nominal].sum()), int(objects.sizes[objects.anomalous].sum())
    if scheme != "balanced" or not merged or good > defective or objects.nominal.sum() < 3 or objects.mixed.any():
        return None
    return Caution(
        "RL219",
        f"The {good} good pictures are too few to match the {defective} of defective objects and to train: a third of "
        "them trains, the others choose the threshold and are judged. Fewer good pictures than defective ones are "
        "judged, "
        "so precision, accuracy and cost are those of that mix; add good pictures, which train detectors best.",
    )


def _lack_of_good_objects(objects: PlanObjects, scheme: str, folds: int | None, merged: bool) -> str | None:
    """Why good objects are too few to train on; `None` where they are enough."""
    pool = objects.pool(merged)
    count, pictures = int(pool.sum()), int(objects.sizes[pool].sum())
    if not count and not objects.nominal.any():
        return f"all {len(objects.sizes)} objects have a defective picture"
    if not merged:
        if not (objects.nominal & objects.any_given_train).any():
            return "no object without a defect is given for training"
        needed = (folds or 2) if scheme == "kfold" else 2
        if count < needed:
            return f"{_objects(count)} without a defect given as test, at least {needed} are needed"
        return None
    needed = max(folds or 0, 3) if scheme == "kfold" else 3
    if count < needed:
        return f"{_objects(count)} without a defect, at least {needed} are needed"
    defective = int(objects.sizes[objects.anomalous].sum())
    if scheme == "balanced" and pictures <= defective:
        return (
            f"{_objects(count)} without a defect with {pictures} pictures, as many as threshold and inference need "
            f"beside the {defective} of the defective ones, or fewer"
        )
    return None


def _objects(count: int) -> str:
    return f"only {count} object{'s' * (count != 1)}"
