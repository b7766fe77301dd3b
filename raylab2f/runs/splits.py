"""Which prepared pictures train and are judged in every fold of a run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc

from raylab2f.errors import UserError
from raylab2f.evaluation import plan_fold
from raylab2f.evaluation.plans.fold_plan import PICTURE_SPLIT_WARNING
from raylab2f.evaluation.plans.training_choice import TrainingChoice, choose_training
from raylab2f.pitfalls import Caution
from raylab2f.preparation import select_pictures
from raylab2f.runs.folder import RunSettings

__all__ = [
    "check_breakdown_columns",
    "plan_cautions",
    "plan_splits",
    "settled_merge",
    "settled_training",
    "training_cautions",
]

# Rules of thumb: pictures that train, at least, and their share of the good ones.
_FEW_PICTURES = 20
_SMALL_SHARE = 1 / 3


def plan_splits(
    settings: RunSettings, manifest: pa.Table, pictures: pa.Table, identity: str, *, merge: bool
) -> list[pa.Table]:
    """The split of every fold.

    Arguments:
        manifest: the data set with the fingerprint `identity`; `pictures` are its prepared ones.
        merge: whether given nominal test pictures join the nominal pool.
    """
    plans = (
        plan_fold(
            manifest,
            fold=fold,
            seed=settings.seed,
            fingerprint=identity,
            split_by=settings.split_by,
            scheme=settings.scheme,
            folds=_dealt_folds(settings),
            merge_nominal_test=merge,
            stratify=settings.stratify,
            train_fraction=settings.train_fraction,
            train_on=settings.train_on,
        )
        for fold in range(settings.folds)
    )
    return [select_pictures(plan, pictures, settings.preparation) for plan in plans]


def check_breakdown_columns(settings: RunSettings, manifest: pa.Table) -> None:
    """`UserError` where figures shall be broken down by what no picture has; else told only after training."""
    for column in settings.evaluation.get("by") or ():
        if column not in manifest.column_names or manifest[column].null_count == manifest.num_rows:
            raise UserError(
                f"--by {column}: no picture has a {column}; give --{column}s PATTERN, or a manifest with a column "
                f"{column}."
            )


def settled_training(settings: RunSettings, manifest: pa.Table, *, merge: bool) -> TrainingChoice:
    """What trains in the splits that `plan_splits` makes with these arguments, and why."""
    return choose_training(
        manifest,
        train_on=settings.train_on,
        split_by=settings.split_by,
        scheme=_base_scheme(settings),
        folds=_dealt_folds(settings),
        merge_nominal_test=merge,
    )


def plan_cautions(settings: RunSettings, training: TrainingChoice) -> list[Caution]:
    """What readers of the results must know of how the pictures were split."""
    found = [PICTURE_SPLIT_WARNING] if settings.split_by == "picture" else []
    return found if training.caution is None else [*found, training.caution]


def training_cautions(settings: RunSettings, splits: Sequence[pa.Table], manifest: pa.Table) -> list[Caution]:
    """What is said (RL220) where a fold trains on few of the manifest's pictures; copies do not count."""
    known = manifest["image_id"]
    trains = min(
        pc.sum(pc.is_in(split.filter(pc.equal(split["partition"], "train"))["image_id"], value_set=known)).as_py() or 0
        for split in splits
    )
    good = manifest.filter(pc.equal(manifest["label"], 0)).num_rows
    if trains >= _FEW_PICTURES and trains >= good * _SMALL_SHARE:
        return []
    mends = ["add good parts"]
    if settings.scheme == "balanced":
        mends.append("give --scheme kfold, in which more of them train")
    if settings.train_fraction < 1:
        mends.append("a larger --train-fraction")
    sentence = f"In the smallest fold only {trains} of {good} good pictures train; {', or '.join(mends)}."
    return [Caution("RL220", sentence)]


def settled_merge(settings: RunSettings, manifest: pa.Table) -> dict[str, Any] | None:
    """Whether given nominal test pictures join the nominal pool (step 0) and why, where features need not be asked."""
    if settings.merge_nominal_test != "auto":
        return {
            "merged": settings.merge_nominal_test == "yes",
            "reason": f"--merge-nominal-test {settings.merge_nominal_test}",
        }
    given = manifest.filter(pc.equal(manifest["label"], 0))["given_split"].to_pylist()
    if len({split == "test" for split in given}) < 2:
        return {"merged": True, "reason": "all nominal pictures come from one given split"}
    return None


def _dealt_folds(settings: RunSettings) -> int | None:
    """How many folds there are, where a fold depends on that."""
    return None if settings.scheme == "balanced" else settings.folds


def _base_scheme(settings: RunSettings) -> Literal["balanced", "kfold"]:
    """By which whole objects are dealt out; where conditions are left out, from balanced folds."""
    return "kfold" if settings.scheme == "kfold" else "balanced"
