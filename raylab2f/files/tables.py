"""Tables from strangers: Parquet, or text whose cells are separated somehow.

What a file is, its content says and not its name: a spreadsheet that is called `.csv` is named as what it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import pyarrow as pa

from raylab2f.errors import UserError, first_line
from raylab2f.files.cells import shown
from raylab2f.files.columns import hint_at_columns, plain_name
from raylab2f.files.delimited import read_delimited
from raylab2f.files.parquet import read_parquet

__all__ = ["TABLE_SUFFIXES", "read_table"]

#: Endings of files that a user may mean as a table.
TABLE_SUFFIXES = (".parquet", ".csv", ".tsv", ".tab", ".txt")

_PARQUET = b"PAR1"
# Rows in which the names of the columns are looked for, if they are not in the first line.
_TITLES = 20
_SAVE = "save it as CSV in UTF-8 or as Parquet"
# First bytes of what is often taken for a table.
_KINDS = (
    (b"PK\x03\x04", f"an Excel file or another archive; open it and {_SAVE}"),
    (b"\xd0\xcf\x11\xe0", f"an Excel file; open it and {_SAVE}"),
    (b"\x1f\x8b", "packed by gzip; unpack it first"),
    (b"BZh", "packed by bzip2; unpack it first"),
    (b"\xfd7zXZ", "packed by xz; unpack it first"),
    (b"\x28\xb5\x2f\xfd", "packed by zstd; unpack it first"),
    (b"ARROW1", f"an Arrow (Feather) file; {_SAVE}"),
    (b"\x89HDF", f"an HDF5 file; {_SAVE}"),
    (b"\x93NUMPY", f"a NumPy file; {_SAVE}"),
    (b"%PDF", f"a PDF; {_SAVE}"),
    (b"SQLite format 3", f"a database; {_SAVE}"),
    (b"{", f"JSON; {_SAVE}"),
    (b"[", f"JSON; {_SAVE}"),
)


def read_table(
    path: str | Path, needed: Sequence[str], others: Sequence[str] = (), *, what: str, content: bytes | None = None
) -> pa.Table:
    """A table as it stands in a file; names of columns as written, which may occur twice.

    Arguments:
        path: of the file.
        needed: names of columns without which the table is of no use; text without any of them and of `others` is
            refused, that some are missing is for the caller to find.
        others: names of further columns that mean something; all help to find the separator of text.
        what: what the file should be, as errors call it: `score table`, `manifest`.
        content: the file's bytes, where something else has fetched them; `path` is then only what errors name.

    Returns:
        Parquet: columns of any type. Text: columns of strings without spaces around them, null where a cell is empty.

    Raises:
        UserError: there is no such file, it cannot be read, or it is no table.
    """
    if content is None:
        content = _read(Path(path), what)
    if content.startswith(_PARQUET):
        return _parse_parquet(path, content, what)
    for start, kind in _KINDS:
        if content.startswith(start):
            raise UserError(f"'{path}' cannot be read as a {what}, for it is {kind}.")
    if Path(path).suffix.lower() == ".parquet":
        raise UserError(f"'{path}' cannot be read as a {what}: it is called Parquet but is none; write it anew.")
    known = (*needed, *others)
    names, columns = read_delimited(content, f"'{path}'", known)
    plain = {plain_name(name) for name in known}
    if plain.isdisjoint(map(plain_name, names)):
        above = [
            row for row in islice(zip(*columns, strict=True), _TITLES) if not plain.isdisjoint(map(plain_name, row))
        ]
        if above:
            raise UserError(
                f"'{path}' cannot be read as a {what}, for its first line is not that with the names of the columns "
                f"({', '.join(map(shown, above[0]))}); remove the lines above that."
            )
        raise UserError(
            f"'{path}' cannot be read as a {what}, for its first line names no column of one ({', '.join(needed)}); "
            f"{hint_at_columns(names, needed, known)}."
        )
    arrays = [pa.array([cell or None for cell in column], pa.string()) for column in columns]
    return pa.Table.from_arrays(arrays, names=names)


def _read(path: Path, what: str) -> bytes:
    if path.is_dir():
        raise UserError(f"'{path}' is a folder; give the file of the {what} itself.")
    if not path.is_file():
        raise UserError(f"There is no {what} at '{path}'.")
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"'{path}' cannot be read as a {what}: {error.strerror or first_line(error)}.") from error


def _parse_parquet(path: str | Path, content: bytes, what: str) -> pa.Table:
    try:
        table = read_parquet(path, content=content)
        # Bytes that are no text, ends of lists that lie elsewhere: better met here than in the middle of the work.
        table.validate(full=True)
    except (pa.ArrowException, OSError, ValueError, KeyError) as error:
        reason = first_line(error).split(". ")[0].rstrip(".")
        raise UserError(f"'{path}' cannot be read as a {what}: {reason}.") from error
    return table
