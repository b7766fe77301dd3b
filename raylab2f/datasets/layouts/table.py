"""Layout `manifest`: a Parquet, CSV or TSV file with one row per picture, written by us or by the user.

Columns:

- `path` (required): local file, or a URI that `pyarrow.fs` opens; relative paths start at the manifest's folder, which
  may itself be on a store;
- `label` (required): 0 or nominal, 1 or anomalous, or another of `files.cells.LABEL_WORDS`;
- `image_id`: unique name; by default the path, if all paths are relative, else the path below their common folder;
- `given_split`: train or test; by default train for nominal pictures and test for anomalous ones;
- `defect_type`: by default good for nominal pictures and defect for anomalous ones;
- `object_id`: the physical part, given for every row or for none;
- `view`, `condition`, `mask_path`, `foreground_path`: may be empty;
- `size`: of the defect, above 0, in any unit; empty where it is not known, and of no meaning for nominal pictures;
- `width`, `height`, `sha256`, `mask_sha256`, `foreground_sha256`: found from the files where empty.

Other columns are ignored; those whose names suggest that one of these is meant are said. What is read as a table, and
what cells mean, is as for score tables: `files.tables` and `files.cells`. An empty cell, `nan`, `none`, `null` or `NA`
means no value.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from raylab2f.datasets.entries import NOMINAL, Entry, Found, LayoutOptions
from raylab2f.errors import UserError, first_line
from raylab2f.files.cells import clean_name, clean_path, clean_text, is_missing, read_label, shown
from raylab2f.files.columns import hint_at_columns, select_columns, unread_columns
from raylab2f.files.places import file_exists, is_uri, join, name_of, parent_of, place_of, read_file, require_store
from raylab2f.files.tables import TABLE_SUFFIXES
from raylab2f.files.tables import read_table as read_any_table
from raylab2f.pitfalls import Caution, unread_cautions

__all__ = ["LOOKED_FOR", "read", "read_table", "read_unlabelled", "recognises"]

LOOKED_FOR = "a manifest (a .parquet, .csv or .tsv file, or a folder with manifest.parquet or manifest.csv)"

_REQUIRED = ("path", "label")
_NAMES = ("image_id", "object_id", "view", "condition", "defect_type", "given_split")
_PATHS = ("path", "mask_path", "foreground_path")
_TEXTS = ("sha256", "mask_sha256", "foreground_sha256")
_SIZES = ("width", "height")
_COLUMNS = (*_REQUIRED, *_NAMES, *_PATHS[1:], *_TEXTS, *_SIZES, "size")
# Tables that people take for manifests as well; the reader says what to do with them.
_SUFFIXES = (*TABLE_SUFFIXES, ".xlsx", ".xls")


def recognises(root: Path | str, options: LayoutOptions) -> bool:
    """Whether `root` is a manifest or a folder that holds one."""
    return _manifest_file(root) is not None


def read(root: Path | str, options: LayoutOptions) -> Found:
    """The manifest's rows; the dataset is called like the file, or like the folder of a file called manifest."""
    file = _manifest_file(root)
    if file is None:
        require_store(str(root))
        raise UserError(f"{root}: this is not {LOOKED_FOR}.")
    stem = PurePosixPath(name_of(file)).stem
    entries, unread = _read(file)
    return Found(
        name_of(parent_of(file)) if stem == "manifest" else stem, tuple(entries), warnings=tuple(unread), recorded=True
    )


def read_table(file: Path | str) -> list[Entry]:
    """The rows of a manifest; no picture is opened.

    Arguments:
        file: a path, or the URI of a file on a store.

    Raises:
        UserError: the file cannot be read, lacks a required column, or a row has a wrong value.
    """
    return _read(file)[0]


def read_unlabelled(file: Path | str) -> list[Entry]:
    """As `read_table`, of a manifest that need not say what its pictures are: all labels are `None`."""
    return _read(file, ("path",))[0]


def _read(file: Path | str, required: tuple[str, ...] = _REQUIRED) -> tuple[list[Entry], list[Caution]]:
    """The rows, and what is said of columns that are not read; labels count only where they are required."""
    file = str(file) if is_uri(file) else str(Path(file).absolute())
    rows, unread = _rows(file, required)
    places = [row["path"] for row in rows]
    defaults = _default_ids(places)
    folder = parent_of(file)
    has_objects = any(row["object_id"] is not None for row in rows)
    entries = []
    for number, (row, place, default) in enumerate(zip(rows, places, defaults, strict=True), start=1):
        where = f"{file}: row {number} ({place})"
        label = read_label(row["label"]) if "label" in required else None
        if label is None and "label" in required:
            said = "no label" if is_missing(row["label"]) else f"label {shown(str(row['label']))}"
            raise UserError(f"{where} has {said}; write 0 or nominal, 1 or anomalous.")
        if has_objects and row["object_id"] is None:
            raise UserError(
                f"{where} has no object_id, but other rows have; give it to all rows or to none (empty cells, nan, "
                "none, null and NA are no names)."
            )
        entries.append(
            Entry(
                image_id=row["image_id"] or default,
                path=_absolute(folder, place),
                label=None if label is None else int(label),
                defect_type=row["defect_type"] or ("defect" if label else NOMINAL),
                given_split=_split(row["given_split"], where) or ("test" if label else "train"),
                object_id=row["object_id"],
                view=row["view"],
                condition=row["condition"],
                mask_path=_absolute(folder, row["mask_path"]),
                foreground_path=_absolute(folder, row["foreground_path"]),
                width=_number(row, "width", where),
                height=_number(row, "height", where),
                size=_defect_size(row["size"], bool(label), where),
                **{name: row[name] for name in _TEXTS},
            )
        )
    return entries, unread


def _manifest_file(root: Path | str) -> str | None:
    if file_exists(str(root)):
        return str(root) if _suffix(root) in _SUFFIXES else None
    found = [file for suffix in TABLE_SUFFIXES if file_exists(file := join(root, f"manifest{suffix}"))]
    if len(found) > 1:
        raise UserError(f"{root} holds {' and '.join(map(name_of, found))}; name the file of the one that is meant.")
    return found[0] if found else None


def _suffix(place: Path | str) -> str:
    return PurePosixPath(name_of(place)).suffix.lower()


def _rows(file: str, required: tuple[str, ...]) -> tuple[list[dict[str, Any]], list[Caution]]:
    """What each row says in each of `_COLUMNS`, `None` where nothing, labels as they stand; and what is said of other
    columns.
    """
    try:
        content = read_file(file)
    except OSError as error:
        raise UserError(f"{file}: cannot be read ({error.strerror or first_line(error)}).") from error
    table = read_any_table(file, required, _COLUMNS, what="manifest", content=content)
    names = table.column_names
    table = select_columns(table, _COLUMNS, file)
    if missing := [name for name in required if name not in table.column_names]:
        raise UserError(
            f"{file}: the column {missing[0]} is missing; a manifest needs {' and '.join(required)}; "
            f"{hint_at_columns(names, missing, _COLUMNS)}."
        )
    rows = [dict.fromkeys(_COLUMNS) | row for row in table.to_pylist()]
    for number, row in enumerate(rows, start=1):
        for name in _COLUMNS:
            if name != "label":
                row[name] = _clean(row[name], name, f"{file}: row {number}")
        if row["path"] is None:
            raise UserError(f"{file}: row {number} has no path.")
    return rows, list(unread_cautions(unread_columns(names, _COLUMNS)))


def _clean(value: Any, name: str, where: str) -> str | None:
    if value is not None and not isinstance(value, str | int | float):
        raise UserError(f"{where} has {type(value).__name__} as {name}, not text.")
    try:
        text = clean_path(value) if name in _PATHS else clean_text(value) if name in _TEXTS else clean_name(value)
    except ValueError as error:
        raise UserError(
            f"{where} has {name} {error}, a number that was rounded on its way, so that different names may look "
            "alike; write the names as text."
        ) from error
    if text is not None and not {"\n", "\r", "\0"}.isdisjoint(text):
        raise UserError(f"{where} has a line break or a NUL in {name}; a quote may be open there.")
    return text


def _default_ids(places: Sequence[str]) -> list[str]:
    parts = [(place if "://" in place else Path(place).as_posix()).split("/") for place in places]
    if all("://" not in place and not Path(place).is_absolute() for place in places):
        common = 0
    else:
        heads = [part[:-1] for part in parts]
        levels = enumerate(zip(*heads, strict=False))
        common = next((index for index, level in levels if len(set(level)) > 1), min(map(len, heads)))
    return ["/".join(part[common:]) for part in parts]


def _absolute(folder: str, place: str | None) -> Any:
    if place is None or place.startswith("file://"):
        return place
    if is_uri(place):
        return place_of(place)
    if not is_uri(folder):
        return str(Path(folder) / place)
    if place.startswith("/"):
        return place
    for part in PurePosixPath(place).parts:
        folder = parent_of(folder) if part == ".." else join(folder, part)
    return folder


def _split(text: str | None, where: str) -> str | None:
    if text is not None and text.lower() not in ("train", "test"):
        raise UserError(f"{where} has given_split {shown(text)}; write train or test, or leave it empty.")
    return None if text is None else text.lower()


def _number(row: dict[str, Any], name: str, where: str) -> int | None:
    text = row[name]
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 2**31):
        raise UserError(f"{where} has {name} {shown(text)}; give a number of pixels, or leave it empty.")
    return int(text)


def _defect_size(text: str | None, anomalous: bool, where: str) -> float | None:
    if text is None or not anomalous:
        return None
    try:
        size = float(text)
    except ValueError:
        size = math.nan
    if not 0 < size < math.inf:
        raise UserError(f"{where} has size {shown(text)}; give the defect's size, a number above 0, or leave it empty.")
    return size
