"""Were all runs of a comparison judged on the same folds?"""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa

from raylab2f.errors import UserError
from raylab2f.evaluation.score_table import check_columns

__all__ = ["require_same_rows"]


def require_same_rows(tables: Mapping[str, pa.Table]) -> None:
    """Check that fold, picture, partition, object and label are the same in all score tables, but for training rows.

    Raises:
        UserError: naming the first fold and picture that differ.
    """
    reference: dict[tuple[int, str], tuple[str, str, bool]] = {}
    for position, (name, table) in enumerate(tables.items()):
        given = check_columns(table)
        if given.fold is None or given.partition is None:
            missing = "fold" if given.fold is None else "partition"
            raise UserError(f"The scores of '{name}' have no column {missing}; the folds of a comparison are given.")
        keys = zip(given.fold.tolist(), given.image.tolist(), strict=True)
        objects = given.object if given.object is not None else given.image
        values = zip(given.partition.tolist(), objects.tolist(), given.label.tolist(), strict=True)
        rows = {key: value for key, value in zip(keys, values, strict=True) if value[0] != "train"}
        if position == 0:
            reference = rows
        elif rows != reference:
            fold, image = min(key for key in {*rows, *reference} if rows.get(key) != reference.get(key))
            raise UserError(
                f"'{next(iter(tables))}' and '{name}' have different fold plans, first in fold {fold}: picture "
                f"'{image}' has another partition, object or label, or is missing in one; compare runs on the same "
                "folds."
            )
