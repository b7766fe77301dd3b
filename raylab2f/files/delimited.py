"""Tables that are text: CSV, TSV and their relatives, from any program in any country."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Collection, Iterator
from itertools import chain

from raylab2f.errors import UserError
from raylab2f.files.columns import plain_name

__all__ = ["read_delimited"]

_SEPARATORS = (",", ";", "\t", "|")
# UTF-32's mark for little ends begins with that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# Spreadsheets write the separator in front of the header.
_SEPARATOR_LINE = re.compile(r'\s*"?sep=(.)"?[ \t]*(?:\r\n|\r|\n)', re.IGNORECASE)
# After the last line; a cell that holds it was never closed.
_END = "\x1fend of the table"


def read_delimited(content: bytes, where: str, known: Collection[str]) -> tuple[list[str], list[list[str]]]:
    """The cells of a table, all as text without spaces around them.

    Columns are separated by commas, semicolons, tabs or |, whichever finds the most known columns in the header, then
    the most columns. Cells may be in quotes. Empty lines are left out, as are columns without name and content.

    Arguments:
        content: bytes of the file: UTF-8, or what its byte order mark says.
        where: the file, to begin a sentence with.
        known: names of columns that mean something, which help to find the separator.

    Returns:
        Names of the columns as written, and the cells of each.

    Raises:
        UserError: this is no such table.
    """
    text = _decode(content, where)
    mark = _SEPARATOR_LINE.match(text)
    text = text[mark.end() :] if mark else text
    header_line = next((line for line in io.StringIO(text, newline="") if line.strip()), None)
    if header_line is None:
        raise UserError(f"{where} is empty; its first line names the columns.")
    separator = mark[1] if mark else _find_separator(header_line, known, where)
    rows = _rows(text, separator, where)
    _, header = next(rows, (0, []))
    columns: list[list[str]] = [[] for _ in header]
    for number, (line, row) in enumerate(rows, start=1):
        if len(row) != len(header):
            raise UserError(
                f"{where} cannot be read: row {number} has another number of cells than the header (line {line} has "
                f"{len(row)}, not {len(header)}); {_why_uneven(row, header, separator, known)}."
            )
        for column, cell in zip(columns, row, strict=True):
            column.append(cell)
    named = [place for place, name in enumerate(header) if name or any(columns[place])]
    return [header[place] for place in named], [columns[place] for place in named]


def _decode(content: bytes, where: str) -> str:
    encoding = next((encoding for mark, encoding in _MARKS if content.startswith(mark)), "utf-8")
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        name = "UTF-8" if encoding.startswith("utf-8") else encoding.upper()
        raise UserError(
            f"{where} cannot be read as {name} text, first in line {line}; save it as CSV in UTF-8."
        ) from error
    if "\0" in text:
        raise UserError(f"{where} cannot be read as text, for it holds NUL bytes; save it as CSV in UTF-8.")
    return text


def _find_separator(header: str, known: Collection[str], where: str) -> str:
    plain = {plain_name(name) for name in known}

    def merit(separator: str) -> tuple[int, int]:
        try:
            cells = next(csv.reader([header], delimiter=separator, skipinitialspace=True))
        except csv.Error as error:
            raise _too_long(where, 1) from error
        return len({plain_name(cell) for cell in cells} & plain), len(cells)

    return max(_SEPARATORS, key=merit)


def _rows(text: str, separator: str, where: str) -> Iterator[tuple[int, list[str]]]:
    """Number of the line and cells of each row that has any."""
    reader = csv.reader(chain(io.StringIO(text, newline=""), [_END]), delimiter=separator, skipinitialspace=True)
    line = 1
    while True:
        try:
            row = next(reader)
        except csv.Error as error:
            raise _too_long(where, line) from error
        if row == [_END]:
            return
        if any(_END in cell for cell in row):
            raise UserError(
                f"{where} cannot be read: a quote in or after line {line} is never closed; close it or remove it."
            )
        cells = [cell.strip() for cell in row]
        if any(cells):
            yield line, cells
        line = reader.line_num + 1


def _why_uneven(row: list[str], header: list[str], separator: str, known: Collection[str]) -> str:
    plain = {plain_name(name) for name in known}
    if plain.isdisjoint(map(plain_name, header)) and not plain.isdisjoint(map(plain_name, row)):
        return "the lines above that with the names of the columns must go"
    if len(row) < len(header):
        return "cells are missing there; leave none out, also where nothing stands in them"
    return f"put cells that hold {_show(separator)}, such as numbers with decimal commas, in quotes"


def _too_long(where: str, line: int) -> UserError:
    return UserError(
        f"{where} cannot be read: a cell in line {line} has more than {csv.field_size_limit()} letters; it is no "
        "table, or a quote is never closed."
    )


def _show(separator: str) -> str:
    return {"\t": "a tab", ",": "a comma", ";": "a semicolon"}.get(separator, f"'{separator}'")
