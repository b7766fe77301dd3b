"""Tables of judged pictures as parts: one value for a part, in order of arrival; what cannot be read is counted."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from raylab2f.errors import UserError
from raylab2f.files.cells import clean_name, read_label
from raylab2f.files.columns import hint_at_columns, select_columns

__all__ = ["COLUMNS", "DECISIONS", "Parts", "read_parts"]

#: Columns that mean something; the first two are needed.
COLUMNS = ("image_id", "score", "object_id", "familiarity", "decision", "day", "condition", "label")
#: What is decided of a part, from the mildest to the severest; a part gets the severest of its pictures'.
DECISIONS = ("accept", "review", "reject")
_NEEDED = COLUMNS[:2]
_WORDS = {word: code for code, name in enumerate(DECISIONS) for word in (name, f"{name}ed")}


@dataclass(frozen=True)
class Parts:
    """Parts in order of arrival; arrays are (n,), those of columns that the table lacks `None`.

    Arguments:
        name: `object_id`, or `image_id` where the table has none.
        score: highest of the part's pictures.
        familiarity: likewise; NaN where none can be read.
        decision: place in `DECISIONS`, -1 where none can be read.
        day: ISO date of the part's first picture.
        condition: of its first picture, empty where there is none.
        label: 1 where any picture is anomalous, else 0; -1 where no label can be read.
        left_out: rows that were left out, by the reason in words.
        pictures: rows that were used.
    """

    name: np.ndarray
    score: np.ndarray
    familiarity: np.ndarray | None
    decision: np.ndarray | None
    day: np.ndarray | None
    condition: np.ndarray | None
    label: np.ndarray | None
    left_out: Mapping[str, int]
    pictures: int

    def take(self, chosen: np.ndarray) -> Parts:
        """The chosen parts, by a mask or by places; what was left out stays counted."""
        fields = ("name", "score", "familiarity", "decision", "day", "condition", "label")
        arrays = {field: getattr(self, field) for field in fields}
        kept = {field: None if array is None else array[chosen] for field, array in arrays.items()}
        return Parts(**kept, left_out=self.left_out, pictures=self.pictures)  # type: ignore[arg-type]


def read_parts(table: pa.Table, where: str) -> Parts:
    """The parts of a table with one row a picture.

    Rows are sorted by day, stable, and a part arrives with its first row. Rows of a part on later days are left out,
    for what was seen of a day must not change afterwards.

    Arguments:
        table: with `image_id`, `score` and any other of `COLUMNS`.
        where: the table, to begin a sentence with.

    Raises:
        UserError: a column is missing or there twice, a picture is there twice on one day, there are no rows, or none
            of them can be read.
    """
    names = table.column_names
    table = select_columns(table, COLUMNS, where)
    missing = [name for name in _NEEDED if name not in table.column_names]
    if missing:
        raise UserError(
            f"{where} lacks the column{'s' * (len(missing) > 1)} {' and '.join(missing)}; "
            f"{hint_at_columns(names, missing, COLUMNS)}."
        )
    if table.num_rows == 0:
        raise UserError(f"{where} is empty; give at least one judged picture.")
    has = set(table.column_names)
    score = _numbers(table, "score", where)
    picture, pictures = _coded(table, "image_id", where, clean_name)
    owner, owners = _coded(table, "object_id", where, clean_name) if "object_id" in has else (picture, pictures)
    moment = _moments(table, where) if "day" in has else None
    left_out = {}
    kept = np.ones(table.num_rows, dtype=bool)
    for reason, bad in (
        ("without a finite score", ~np.isfinite(score)),
        ("without a name of the picture or object", (picture < 0) | (owner < 0)),
        *([("without a day that can be read", np.isnat(moment))] if moment is not None else []),
    ):
        left_out[reason] = int((kept & bad).sum())
        kept &= ~bad
    rows = np.flatnonzero(kept)
    if moment is not None:
        rows = rows[np.argsort(moment[rows], kind="stable")]
        day = moment[rows].astype("datetime64[D]")
        first = rows[np.unique(owner[rows], return_index=True)[1]]
        first_day = np.full(len(owners), np.datetime64("NaT"), dtype="datetime64[D]")
        first_day[owner[first]] = moment[first].astype("datetime64[D]")
        again = day != first_day[owner[rows]]
        left_out["of parts that were there on an earlier day"] = int(again.sum())
        rows = rows[~again]
    if not len(rows):
        said = ", ".join(f"{count} {reason}" for reason, count in left_out.items() if count)
        raise UserError(f"{where} has no row that can be read ({said}); mend those columns.")
    pairs, counts = np.unique(owner[rows] * len(pictures) + picture[rows], return_counts=True)
    if (counts > 1).any():
        twice = pictures[pairs[counts > 1][0] % len(pictures)]
        raise UserError(f"{where} has the picture '{twice}' more than once; give one row a picture, of one fold.")
    # Objects in order of their first rows.
    _, start, code = np.unique(owner[rows], return_index=True, return_inverse=True)
    order = np.argsort(start)
    place = np.argsort(order)[code.reshape(-1)]
    first = rows[np.sort(start)]

    def highest(values: np.ndarray) -> np.ndarray:
        found = np.full(len(first), -np.inf)
        np.maximum.at(found, place, np.where(np.isfinite(values[rows]), values[rows], -np.inf))
        return found

    def optional(name: str, read: Callable[[Any], int | None]) -> np.ndarray | None:
        if name not in has:
            return None
        codes, meaning = _coded(table, name, where, read)
        values = np.array([*meaning, -1], dtype=np.float64)[codes]
        return highest(values).astype(np.int8)

    familiarity = None
    if "familiarity" in has:
        found = highest(_numbers(table, "familiarity", where))
        familiarity = np.where(np.isfinite(found), found, np.nan)
    condition = None
    if "condition" in has:
        codes, meaning = _coded(table, "condition", where, clean_name)
        condition = np.array([*meaning, ""], dtype=str)[codes[first]]
    return Parts(
        name=np.array(owners, dtype=object)[owner[first]],
        score=highest(score) + 0.0,
        familiarity=familiarity,
        decision=optional("decision", lambda cell: _WORDS.get(str(cell).strip().lower())),
        day=None if moment is None else np.datetime_as_string(moment[first], unit="D"),
        condition=condition,
        label=optional("label", read_label),
        left_out={reason: count for reason, count in left_out.items() if count},
        pictures=len(rows),
    )


def _coded(table: pa.Table, name: str, where: str, read: Callable[[Any], Any]) -> tuple[np.ndarray, list[Any]]:
    """(n,) which meaning each cell has, -1 where none, and the different meanings."""
    column = _plain(table, name, where)
    encoded = column.combine_chunks().dictionary_encode(null_encoding="encode")
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    places: dict[Any, int] = {}
    codes = []
    for value in encoded.dictionary.to_pylist():
        try:
            meaning = read(value)
        except ValueError as error:
            raise UserError(f"{where} has {error} in its column {name}; write the names as text.") from error
        codes.append(-1 if meaning is None else places.setdefault(meaning, len(places)))
    return np.array(codes, dtype=np.int64)[encoded.indices.to_numpy(zero_copy_only=False)], list(places)


def _numbers(table: pa.Table, name: str, where: str) -> np.ndarray:
    """(n,) NaN where a cell is no number."""
    column = _plain(table, name, where)
    if pa.types.is_floating(column.type) or pa.types.is_integer(column.type) or pa.types.is_decimal(column.type):
        return np.asarray(column.cast(pa.float64()).to_numpy(), dtype=np.float64)
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type) or pa.types.is_null(column.type)):
        raise UserError(f"{where} holds {column.type} in its column {name}, not numbers; write numbers.")
    return np.array([_number(cell) for cell in column.to_pylist()], dtype=np.float64)


def _number(cell: str | None) -> float:
    try:
        return math.nan if cell is None else float(cell)
    except ValueError:
        return math.nan


def _moments(table: pa.Table, where: str) -> np.ndarray:
    """(n,) datetime64 in microseconds, local where the cells name a zone; NaT where a cell is no day."""
    column = _plain(table, "day", where)
    if pa.types.is_date(column.type) or pa.types.is_timestamp(column.type):
        if pa.types.is_timestamp(column.type) and column.type.tz is not None:
            column = pc.local_timestamp(column)
        return np.asarray(column.cast(pa.timestamp("us"), safe=False).to_numpy(), dtype="datetime64[us]")
    codes, moments = _coded(table, "day", where, _moment)
    return np.array([*moments, "NaT"], dtype="datetime64[us]")[codes]


def _moment(cell: Any) -> datetime | None:
    try:
        return datetime.fromisoformat(str(cell).strip().replace("Z", "+00:00")).replace(tzinfo=None)
    except ValueError:
        return None


def _plain(table: pa.Table, name: str, where: str) -> pa.ChunkedArray:
    column = table[name]
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if pa.types.is_nested(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        raise UserError(f"{where} holds {kind} in its column {name}; write plain values.")
    return column.cast(kind) if pa.types.is_dictionary(column.type) else column
