"""What a reader of a tool's files is, and what readers have in common."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from raylab2f.errors import UserError
from raylab2f.files.cells import LABEL_WORDS, is_missing, read_label, read_numbers, shown
from raylab2f.files.columns import plain_name

__all__ = ["Found", "Reader", "class_of", "class_of_path", "forward", "table_of_columns"]

# What a tensor says of itself where it was written as text.
_TENSOR = re.compile(r"tensor\(\s*\[*\s*([^\[\],()\s]+)\s*,?\s*\]*\s*(?:,[^)]*)?\)")
# Names that tools give to defects of no particular type.
_ANY_DEFECT = {*LABEL_WORDS[True], "anomaly", "abnormal", "defect", "defects"}
# What good pictures are called as folders and classes beside the words of labels.
_GOOD = {*LABEL_WORDS[False][1:], "normals", "no_defect", "non_defective"}


@dataclass(frozen=True)
class Found:
    """A file of scores, looked at as far as it takes to know whose it is.

    Arguments:
        path: of the file.
        kind: `table` (Parquet or text with columns), `json`, or `arrays` (NumPy's `.npz`).
        columns: plain names (`files.columns.plain_name`) of a table's columns, or of the arrays.
        content: of a JSON file; `None` for other kinds.
    """

    path: Path
    kind: str
    columns: frozenset[str] = frozenset()
    content: Any = None


@dataclass(frozen=True)
class Reader:
    """How the files of one tool are read.

    Arguments:
        name: as `--from` takes it.
        what: what is read, to end «is no ...» with.
        recognises: whether a file is one of the tool's that holds scores, or of which `read` knows to say why it holds
            none.
        read: the file's rows with columns of `score_table.COLUMNS`; what the file does not have is left out.
    """

    name: str
    what: str
    recognises: Callable[[Found], bool]
    read: Callable[[Found], pa.Table]


def table_of_columns(columns: Mapping[str, Sequence[Any]], aliases: Mapping[str, str], where: str) -> pa.Table:
    """A score table out of a tool's columns: names and labels as text, scores as numbers.

    Arguments:
        columns: cells by the tool's name of each column, all of one length; cells are text, numbers, `None`, or lists
            of one of these.
        aliases: plain name in the tool -> name here; other columns keep theirs.
        where: the file, to begin a sentence with.

    Raises:
        UserError: two columns could be one of ours, or a score is no number.
    """
    known: dict[str, Sequence[Any]] = {}
    others: dict[str, Sequence[Any]] = {}
    given: dict[str, str] = {}
    for name, cells in columns.items():
        ours = aliases.get(plain_name(name))
        if ours is None:
            others[name] = cells
        elif ours in known:
            raise UserError(
                f"{where} has '{shown(given[ours])}' and '{shown(name)}', which could each be {ours}; remove one."
            )
        else:
            known[ours], given[ours] = cells, name
    made = {}
    for name, cells in {**others, **known}.items():
        plain = [_plain(cell) for cell in cells]
        if name == "score":
            made[name] = pa.array(_numbers(plain, f"The column {given['score']} of {where}"), pa.float64())
        else:
            made[name] = pa.array([None if is_missing(cell) else _text(cell) for cell in plain], pa.string())
    return pa.table(made)


def class_of(name: str) -> tuple[int, str | None]:
    """Label, 0 or 1, and defect type of a class or folder as tools name it: everything that is not good is a defect."""
    word = name.strip().lower()
    label = read_label(word)
    if label is False or word in _GOOD:
        return 0, None
    return 1, None if label or word in _ANY_DEFECT else name.strip()


def class_of_path(path: str) -> tuple[int, str | None] | None:
    """Label and defect type by the folder that a picture lies in; `None` for a picture without a folder."""
    parts = forward(path).split("/")
    return class_of(parts[-2]) if len(parts) > 1 and parts[-2] else None


def forward(path: str) -> str:
    """A path with slashes, also where it was written on Windows."""
    return path.replace("\\", "/")


def _plain(cell: Any) -> Any:
    """The one value of a cell: batches of one picture are lists of one, and tensors say so as text."""
    while isinstance(cell, (list, tuple)) and len(cell) == 1:
        cell = cell[0]
    if isinstance(cell, str) and (tensor := _TENSOR.fullmatch(cell.strip())):
        return tensor[1]
    return cell


def _text(cell: Any) -> str:
    if isinstance(cell, bool):
        return str(int(cell))
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < 2**53:
        return str(int(cell))
    return str(cell)


def _numbers(cells: Sequence[Any], where: str) -> list[float | None]:
    if all(cell is None or isinstance(cell, str) for cell in cells):
        return read_numbers(cells, where)
    numbers: list[float | None] = []
    for row, cell in enumerate(cells, start=1):
        if cell is None:
            numbers.append(None)
        elif isinstance(cell, (int, float)) and not isinstance(cell, bool):
            try:
                numbers.append(float(cell))
            except OverflowError:
                raise UserError(f"{where} has a number in row {row} that is beyond all scores.") from None
        elif isinstance(cell, str):
            numbers.append(read_numbers([cell], f"{where} (row {row})")[0])
        else:
            raise UserError(f"{where} has {shown(str(cell))} in row {row}, which is no number.")
    return numbers
