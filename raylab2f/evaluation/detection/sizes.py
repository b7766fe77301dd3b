"""The column `size` of a score table."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from raylab2f.errors import UserError
from raylab2f.evaluation.scores import Scores
from raylab2f.files.cells import read_numbers
from raylab2f.files.columns import hint_at_columns, select_columns

__all__ = ["SIZE", "check_sizes", "read_sizes"]

SIZE = "size"
_WHERE = "The column size of the score table"


def read_sizes(table: pa.Table) -> np.ndarray:
    """(n,) sizes, NaN where a cell is empty.

    Raises:
        UserError: there is no such column, or it holds no numbers.
    """
    chosen = select_columns(table, (SIZE,), "The score table")
    if not chosen.column_names:
        raise UserError(
            f"The score table lacks the column {SIZE}; {hint_at_columns(table.column_names, [SIZE], [SIZE])}; add the "
            "size of each picture's defect, or give a run whose pictures have defect masks."
        )
    column = chosen[SIZE]
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if pa.types.is_null(kind):
        return np.full(len(column), np.nan)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        numbers = read_numbers(column.to_pylist(), _WHERE)
    elif pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_decimal(kind):
        numbers = column.cast(pa.float64()).to_pylist()
    else:
        raise UserError(f"{_WHERE} holds {kind}, not numbers; give the size of each picture's defect, above 0.")
    return np.array([np.nan if number is None else number for number in numbers], dtype=np.float64)


def check_sizes(scores: Scores) -> np.ndarray:
    """(n,) sizes of defects, NaN where unknown and for good pictures, whatever these say.

    Raises:
        UserError: a defective picture has a size that cannot be, or several.
    """
    assert scores.size is not None
    size = np.where(scores.label, scores.size, np.nan)
    known = ~np.isnan(size)
    wrong = size[known & ~((size > 0) & np.isfinite(size))]
    if len(wrong):
        raise UserError(
            f"{_WHERE} has {wrong[0]:g} for a defective picture; a size is a number above 0, or empty where it is not "
            "known."
        )
    highest = np.full(int(scores.image.max()) + 1, -np.inf)
    np.maximum.at(highest, scores.image[known], size[known])
    if (size[known] < highest[scores.image[known]]).any():
        raise UserError(f"{_WHERE} has different sizes for one picture in different folds; give each picture one.")
    return size
