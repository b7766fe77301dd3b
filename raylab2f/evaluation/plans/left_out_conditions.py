"""Folds that leave one condition out: none of its pictures trains or chooses the threshold, and only they are judged.

Every fold begins as a balanced one. Of the objects that train or choose the threshold there, pictures of the condition
are left out; of those that are judged, all others are. An object whose pictures are all of the condition can do
neither, and is judged in each of the condition's folds.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from raylab2f.errors import UserError

__all__ = ["SCHEME", "conditions_of", "fold_condition", "leave_out"]

#: Name of the scheme.
SCHEME = "leave-condition-out"


def conditions_of(manifest: pa.Table, folds: int | None = None) -> tuple[str, ...]:
    """Names of the conditions, in order.

    Arguments:
        manifest: table with `condition` and `label`.
        folds: how many folds there shall be; `None`: that is not asked.

    Raises:
        UserError: fewer than two conditions, pictures of which none is known, a condition with pictures of one class
            only, or a number of folds that does not leave out every condition equally often.
    """
    scheme = f"--scheme {SCHEME}"
    known = manifest["condition"].to_pylist() if "condition" in manifest.column_names else []
    names = tuple(sorted({name for name in known if name}))
    mend = "give --conditions PATTERN, or a manifest with a column condition"
    if not names:
        raise UserError(f"{scheme}: no picture has a condition; {mend}.")
    if unknown := sum(not name for name in known):
        raise UserError(f"{scheme}: {unknown} of {len(known)} pictures have no condition; {mend} that is filled in.")
    if len(names) < 2:
        raise UserError(f"{scheme}: all pictures are of the condition '{names[0]}'; at least two are needed.")
    labels = manifest["label"].to_pylist()
    for name in names:
        classes = {label for label, own in zip(labels, known, strict=True) if own == name}
        if len(classes) < 2:
            missing = "defective" if 0 in classes else "good"
            raise UserError(
                f"{scheme}: the condition '{name}' has no {missing} pictures to judge; add some, or leave out its "
                "pictures."
            )
    if folds is not None and (folds < len(names) or folds % len(names)):
        several = -(-folds // len(names)) * len(names)
        raise UserError(
            f"--folds {folds}: each of the {len(names)} conditions is left out equally often; give a multiple of "
            f"{len(names)}, such as {several}."
        )
    return names


def fold_condition(conditions: Sequence[str], fold: int) -> tuple[str, int]:
    """Which condition a fold leaves out, and the number of the balanced fold that it begins as."""
    return conditions[fold % len(conditions)], fold // len(conditions)


def leave_out(manifest: pa.Table, split: pa.Table, condition: str) -> pa.Table:
    """A balanced plan without the condition in training and threshold, and with nothing else judged.

    Arguments:
        manifest: `image_id`, `object_id`, `label` and `condition`.
        split: the balanced plan, of `SPLIT_SCHEMA`.

    Raises:
        UserError: nothing is left to train, or a class to choose the threshold or to judge.
    """
    columns = [manifest[name].to_pylist() for name in ("image_id", "object_id", "condition", "label")]
    rows = {image: (owner, own == condition, bool(label)) for image, owner, own, label in zip(*columns, strict=True)}
    elsewhere = {owner for owner, of_condition, _ in rows.values() if not of_condition}
    planned = dict(zip(split["image_id"].to_pylist(), split["partition"].to_pylist(), strict=True))
    placed = []
    for image, (owner, of_condition, _) in rows.items():
        partition = planned.get(image, "")
        if of_condition:
            judged = partition == "inference" or owner not in elsewhere
            partition = "inference" if judged else ""
        elif partition == "inference":
            partition = ""
        placed.append(partition)
    labels = np.array([label for _, _, label in rows.values()])
    partition = np.array(placed)
    _require_classes(condition, partition, labels)
    names = [pa.array(list(rows), pa.string()), pa.array([owner for owner, _, _ in rows.values()], pa.string())]
    table = pa.Table.from_arrays([*names, pa.array(placed, pa.string())], schema=split.schema)
    return table.filter(pa.array(partition != "")).sort_by("image_id")


def _require_classes(condition: str, partition: np.ndarray, labels: np.ndarray) -> None:
    for name, what, wanted in (
        ("train", "train", (False,)),
        ("threshold", "choose the threshold", (False, True)),
        ("inference", "be judged", (False, True)),
    ):
        for label in wanted:
            if not ((partition == name) & (labels == label)).any():
                kind = "defective" if label else "good"
                raise UserError(
                    f"--scheme leave-condition-out: without the condition '{condition}' no {kind} picture is left to "
                    f"{what} in a fold; add {kind} parts, or give another seed."
                    if name != "inference"
                    else f"--scheme leave-condition-out: a fold has no {kind} picture of the condition '{condition}' "
                    f"to judge; add {kind} parts under it, or give another seed."
                )
