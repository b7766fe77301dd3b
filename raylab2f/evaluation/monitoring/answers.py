"""The tables that an audit comes back with: its plan, and the answers on its parts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from raylab2f.errors import UserError
from raylab2f.files.cells import clean_name, is_missing, read_label, shown
from raylab2f.files.columns import hint_at_columns, select_columns

__all__ = ["Selection", "read_answers", "read_plan"]

_PLAN = ("object_id", "stratum", "stratum_parts", "stratum_selected", "judged_parts")
#: More have never been judged; beyond, what is computed is not exact.
MOST_PARTS = 10**9
_ANSWERS = ("object_id", "image_id", "label")


@dataclass(frozen=True)
class Selection:
    """The parts to be looked at.

    Arguments:
        name: (n,) text.
        stratum: (n,) from 0.
        sizes: accepted parts by stratum.
        looked: parts to be looked at by stratum, at least 1.
        judged: all judged parts.
    """

    name: np.ndarray
    stratum: np.ndarray
    sizes: list[int]
    looked: list[int]
    judged: int


def read_plan(plan: pa.Table) -> Selection:
    """The plan of an audit as its parts.

    Raises:
        UserError: a column or a row is missing, or was changed.
    """
    table = select_columns(plan, _PLAN, "The plan of the audit")
    missing = [name for name in _PLAN if name not in table.column_names]
    if missing:
        raise UserError(
            f"The plan of the audit lacks the column{'s' * (len(missing) > 1)} {', '.join(missing)}; give it as it was "
            "planned."
        )
    if table.num_rows == 0:
        raise UserError("The plan of the audit is empty; give it as it was planned.")
    try:
        name = np.array([clean_name(cell) or "" for cell in table["object_id"].to_pylist()], dtype=object)
        stratum, size, count, judged = (
            np.array([_whole(cell) for cell in table[column].to_pylist()], dtype=np.int64) for column in _PLAN[1:]
        )
    except (TypeError, ValueError, OverflowError) as error:
        raise UserError("The plan of the audit has cells that are no whole numbers; give it as planned.") from error
    kinds = sorted(set(zip(stratum.tolist(), size.tolist(), count.tolist(), judged.tolist(), strict=True)))
    strata, code = np.unique(stratum, return_inverse=True)
    rows = np.bincount(code.reshape(-1)).tolist()
    whole = len(kinds) == len(strata) and len(set(judged.tolist())) == 1
    whole = whole and len(set(name.tolist())) == len(name)
    if not whole or any(
        seen != row or not 0 < seen <= parts for (_, parts, seen, _), row in zip(kinds, rows, strict=True)
    ):
        raise UserError(
            "The plan of the audit does not have as many rows as were planned, or has parts twice; give it as planned."
        )
    sizes, looked = [kind[1] for kind in kinds], [kind[2] for kind in kinds]
    if not sum(sizes) <= int(judged[0]) <= MOST_PARTS:
        raise UserError("The plan of the audit has other accepted than judged parts; give it as planned.")
    return Selection(name, code.reshape(-1), sizes, looked, int(judged[0]))


def _whole(cell: Any) -> int:
    """A cell as a whole number, such as programs for tables write it: `30`, `30.0`."""
    number = float(cell)
    if not number.is_integer():
        raise ValueError(cell)
    return int(number)


def read_answers(answers: pa.Table, names: np.ndarray) -> tuple[np.ndarray, int]:
    """The answers on the parts of a plan.

    Arguments:
        answers: `object_id` or `image_id`, and `label`.
        names: (n,) of the parts.

    Returns:
        (n,) 1 defective, 0 good, -1 without an answer; and how many answers are on other parts.

    Raises:
        UserError: a column is missing, a label means nothing, or all answers are on other parts.
    """
    table = select_columns(answers, _ANSWERS, "The table of answers")
    named = next((name for name in _ANSWERS[:2] if name in table.column_names), None)
    if named is None or "label" not in table.column_names:
        missing = [*([] if named else ["object_id"]), *([] if "label" in table.column_names else ["label"])]
        raise UserError(
            f"The table of answers lacks the column{'s' * (len(missing) > 1)} {' and '.join(missing)}; "
            f"{hint_at_columns(answers.column_names, missing, _ANSWERS)}."
        )
    places = {name: place for place, name in enumerate(names.tolist())}
    label = np.full(len(names), -1, dtype=np.int8)
    strange = 0
    for cell, value in zip(table[named].to_pylist(), table["label"].to_pylist(), strict=True):
        try:
            place = places.get(clean_name(cell) or "")
        except ValueError:
            place = None
        if is_missing(value):
            continue
        answer = read_label(value)
        if answer is None:
            raise UserError(
                f"The table of answers has the label '{shown(str(value))}'; write 0 (good) or 1 (defective)."
            )
        if place is None:
            strange += 1
        else:
            label[place] = max(label[place], int(answer))
    if strange and (label < 0).all():
        example = next((name for name in names.tolist() if name), "")
        raise UserError(
            f"The table of answers has none on a part of the plan; name parts as the plan does, such as "
            f"'{shown(example)}'."
        )
    return label, strange
