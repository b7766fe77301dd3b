"""Score tables as users have them: reading a file, and checking each column."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from raylab2f.errors import UserError
from raylab2f.files.cells import LABEL_WORDS, clean_name, is_missing, read_label, read_numbers, shown
from raylab2f.files.columns import hint_at_columns, select_columns, unread_columns
from raylab2f.files.tables import read_table
from raylab2f.pitfalls import Caution, unread_cautions

__all__ = ["COLUMNS", "GROUPS", "ScoreColumns", "check_columns", "read_scores"]

_REQUIRED = ("image_id", "label", "score")
#: Columns by which outcomes may be broken down, passed on as text.
GROUPS = ("condition", "view", "repeat")
#: All columns that mean something; others are ignored.
COLUMNS = (*_REQUIRED, "fold", "object_id", "partition", "defect_type", *GROUPS)

_PARTITIONS = ("train", "threshold", "inference")
_TRAINING = ("train", "training")
_FOLD = re.compile(r"[+-]?[0-9]{1,18}")
# Letters of a name; what is longer is a mistake, and would take memory for every row.
_LONGEST = 4096
_TABLE = "The score table"


@dataclass(frozen=True)
class ScoreColumns:
    """The columns of a score table, each checked for itself; arrays are (n,).

    Arguments:
        image: names of the pictures.
        label: True where anomalous.
        score: finite scores.
        fold: whole numbers; `None` without the column, like the next three.
        object: names of the objects.
        partition: `train`, `threshold` or `inference`.
        defect: names of defect types, empty where none is given.
        groups: text of those of `GROUPS` that the table has, empty where a cell is.
        warnings: columns that may be meant, but are not read.
    """

    image: np.ndarray
    label: np.ndarray
    score: np.ndarray
    fold: np.ndarray | None
    object: np.ndarray | None
    partition: np.ndarray | None
    defect: np.ndarray | None
    groups: Mapping[str, np.ndarray]
    warnings: tuple[Caution, ...] = ()


def read_scores(path: str | Path) -> pa.Table:
    """Read a score table from Parquet, CSV, TSV or other separated text.

    Columns are found by name without regard to case, spaces and underscores. Of separated text, `score` may be written
    with decimal commas; the other columns stay text, for a part called 007 is not 7.

    Returns:
        Those of `COLUMNS` that the file has, and the others as they are.

    Raises:
        UserError: the file is missing or no table, a column that is needed could be several, or scores are no numbers.
    """
    table = read_table(path, _REQUIRED, COLUMNS, what="score table")
    table = _with_known_names(table, f"'{path}'")
    if "score" in table.column_names and _is_text(table["score"].type):
        numbers = read_numbers(table["score"].to_pylist(), f"The column score of '{path}'")
        place = table.column_names.index("score")
        table = table.set_column(place, "score", pa.array(numbers, pa.float64()))
    return table


def check_columns(table: pa.Table) -> ScoreColumns:
    """Check the columns of a score table, see `prepare_scores`.

    Raises:
        UserError: a column is missing, there twice, or has cells that do not mean what they should.
    """
    names = table.column_names
    unread = unread_columns(names, COLUMNS)
    if any(_holds_training_rows(table.column(names.index(name))) for name in unread.get("partition", [])):
        raise UserError(
            f"{_TABLE} has training rows by its column '{shown(unread['partition'][0])}', but no column partition, so "
            "they would be judged; rename it to partition, with the values train, threshold and inference, or leave "
            "those rows out."
        )
    table = select_columns(table, COLUMNS, _TABLE)
    missing = [name for name in _REQUIRED if name not in table.column_names]
    if missing:
        raise UserError(
            f"{_TABLE} lacks the column{'s' if len(missing) > 1 else ''} {', '.join(missing)}; "
            f"{hint_at_columns(names, missing, COLUMNS)}."
        )
    if table.num_rows == 0:
        raise UserError(f"{_TABLE} is empty.")

    def optional(name: str, read: Callable[[pa.Table, str], np.ndarray]) -> np.ndarray | None:
        return read(table, name) if name in table.column_names else None

    return ScoreColumns(
        score=_scores(table),
        label=_labels(table),
        image=_names(table, "image_id"),
        object=optional("object_id", _names),
        fold=optional("fold", _folds),
        partition=optional("partition", _partitions),
        defect=optional("defect_type", _optional_names),
        groups={name: _optional_names(table, name) for name in GROUPS if name in table.column_names},
        warnings=tuple(unread_cautions(unread)),
    )


def _holds_training_rows(column: pa.ChunkedArray) -> bool:
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    return _is_text(kind) and any(str(value).strip().lower() in _TRAINING for value in column.unique().to_pylist())


def _with_known_names(table: pa.Table, where: str) -> pa.Table:
    known = select_columns(table, COLUMNS, where)
    others = [
        (name, table.column(place))
        for place, name in enumerate(table.column_names)
        if not select_columns(table.select([place]), COLUMNS, where).column_names
    ]
    columns = [*zip(known.column_names, known.columns, strict=True), *others]
    return pa.Table.from_arrays([column for _, column in columns], names=[name for name, _ in columns])


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)


def _scores(table: pa.Table) -> np.ndarray:
    kind = table["score"].type
    if not (pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_decimal(kind)):
        raise UserError(f"The column score of the score table holds {kind}, not numbers.")
    if table["score"].null_count:
        empty = np.flatnonzero(table["score"].is_null().to_numpy())
        raise UserError(
            f"The column score of the score table has {len(empty)} missing values ({_first_rows(empty)}); every "
            "picture needs a score."
        )
    values = table["score"].cast(pa.float64()) if pa.types.is_decimal(kind) else table["score"]
    score = values.to_numpy().astype(np.float64)
    bad = np.flatnonzero(~np.isfinite(score))
    if len(bad):
        raise UserError(
            f"{len(bad)} scores are NaN or infinite ({_first_rows(bad)}); every picture needs a finite score."
        )
    # Minus zero and zero are one score.
    return score + 0.0


def _labels(table: pa.Table) -> np.ndarray:
    """(n,) bool, True where anomalous."""
    values, code = _distinct(table, "label")
    labels = [read_label(value) for value in values]
    if None in labels:
        empty = np.isin(code, [number for number, value in enumerate(values) if is_missing(value)])
        if empty.any():
            raise UserError(
                f"The column label of the score table has {int(empty.sum())} missing values "
                f"({_first_rows(np.flatnonzero(empty))}); every picture needs a label."
            )
        found = sorted(shown(str(value)) for value in values)
        more = f" and {len(found) - 5} more" if len(found) > 5 else ""
        raise UserError(
            f"Labels are 0 ({', '.join(LABEL_WORDS[False][1:])}) or 1 ({', '.join(LABEL_WORDS[True][1:])}); the score "
            f"table has {', '.join(found[:5])}{more}."
        )
    return np.array(labels, dtype=bool)[code]


def _names(table: pa.Table, name: str) -> np.ndarray:
    """(n,) text, a name in every row."""
    names, blank, wrote = _clean(table, name)
    if blank.any():
        # Together the rows without a name would be one object.
        mend = "every picture needs a name" if name == "image_id" else "fill them in, or leave the column out"
        words = " or ".join(f"'{word}'" for word in wrote if word.strip())
        rows = _first_rows(np.flatnonzero(blank)) + (f", where {words} is no name" if words else "")
        raise UserError(
            f"The column {name} of the score table is empty in {int(blank.sum())} of {len(names)} rows; {mend} "
            f"({rows})."
        )
    return names


def _optional_names(table: pa.Table, name: str) -> np.ndarray:
    """(n,) text, empty where there is no name."""
    return _clean(table, name)[0]


def _clean(table: pa.Table, name: str) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """(n,) names, (n,) True where there is none, and what such cells say."""
    values, code = _distinct(table, name)
    cleaned: list[str | None] = []
    for value in values:
        try:
            cleaned.append(clean_name(value))
        except ValueError as error:
            row = int(np.flatnonzero(code == len(cleaned))[0]) + 1
            raise UserError(
                f"The column {name} of the score table has {error} in row {row}, a number that was rounded on its way, "
                "so that different names may look alike; write the names as text."
            ) from error
        if cleaned[-1] is not None and (len(cleaned[-1]) > _LONGEST or not {"\n", "\r"}.isdisjoint(cleaned[-1])):
            row = int(np.flatnonzero(code == len(cleaned) - 1)[0]) + 1
            raise UserError(
                f"The column {name} of the score table has a name of several lines or of more than {_LONGEST} letters "
                f"in row {row}; a quote may be open there."
            )
    names = np.array([text or "" for text in cleaned], dtype=str)[code]
    blank = np.array([text is None for text in cleaned])[code]
    return names, blank, [str(value) for value in values if value is not None and is_missing(value)]


def _folds(table: pa.Table, name: str) -> np.ndarray:
    names = _names(table, name)
    wrong = next((text for text in dict.fromkeys(names.tolist()) if not _FOLD.fullmatch(text)), None)
    if wrong is not None:
        raise UserError(f"The column {name} of the score table holds {shown(wrong)}, not whole numbers.")
    return names.astype(np.int64)


def _partitions(table: pa.Table, name: str) -> np.ndarray:
    partition = np.char.lower(_names(table, name))
    unknown = sorted(set(partition.tolist()) - set(_PARTITIONS))
    if unknown:
        raise UserError(f"Unknown partition '{shown(unknown[0])}'; partitions are {', '.join(_PARTITIONS)}.")
    return partition


def _distinct(table: pa.Table, name: str) -> tuple[list[Any], np.ndarray]:
    """The different values of a column, null among them, and (n,) the number of each row's."""
    column = table[name]
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    bytes_like = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_fixed_size_binary, pa.types.is_binary_view)
    if pa.types.is_nested(kind) or any(is_kind(kind) for is_kind in bytes_like):
        raise UserError(f"The column {name} of the score table holds {kind}, not text.")
    if pa.types.is_dictionary(column.type):
        column = column.cast(kind)
    encoded = column.combine_chunks().dictionary_encode(null_encoding="encode")
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    return encoded.dictionary.to_pylist(), encoded.indices.to_numpy(zero_copy_only=False)


def _first_rows(rows: np.ndarray, count: int = 3) -> str:
    """`rows`: (k,) from 0; what the user counts begins at 1, below the header."""
    first = ", ".join(str(row + 1) for row in rows[:count].tolist())
    more = f" and {len(rows) - count} more" if len(rows) > count else ""
    return f"row{'s' * (len(rows) > 1)} {first}{more}"
