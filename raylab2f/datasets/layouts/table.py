"""Layout `manifest`: a Parquet or CSV file with one row per picture, written by us or by the user.

Columns:

- `path` (required): local file, or a URI that `pyarrow.fs` opens; relative paths start at the manifest's folder, which
  may itself be on a store;
- `label` (required): 0 or nominal, 1 or anomalous;
- `image_id`: unique name; by default the path, if all paths are relative, else the path below their common folder;
- `given_split`: train or test; by default train for nominal pictures and test for anomalous ones;
- `defect_type`: by default good for nominal pictures and defect for anomalous ones;
- `object_id`: the physical part, given for every row or for none;
- `view`, `mask_path`, `foreground_path`: may be empty;
- `width`, `height`, `sha256`, `mask_sha256`, `foreground_sha256`: found from the files where empty.

Other columns are ignored. CSV is UTF-8 with a header, separated by commas or semicolons; an empty cell means no value.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa

from raylab2f.datasets.entries import NOMINAL, Entry, Found, LayoutOptions
from raylab2f.errors import UserError
from raylab2f.files.parquet import read_parquet
from raylab2f.files.places import file_exists, is_uri, join, name_of, parent_of, place_of, read_file, require_store

__all__ = ["LOOKED_FOR", "read", "read_table", "recognises"]

LOOKED_FOR = "a manifest (a .parquet or .csv file, or a folder with manifest.parquet or manifest.csv)"

_SUFFIXES = (".parquet", ".csv")
_LABELS = {"0": 0, "1": 1, "nominal": 0, "anomalous": 1, "false": 0, "true": 1}
_TEXTS = ("object_id", "view", "sha256", "mask_sha256", "foreground_sha256")


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
    return Found(name_of(parent_of(file)) if stem == "manifest" else stem, tuple(read_table(file)))


def read_table(file: Path | str) -> list[Entry]:
    """The rows of a Parquet or CSV manifest; no picture is opened.

    Arguments:
        file: a path, or the URI of a file on a store.

    Raises:
        UserError: the file cannot be read, lacks a required column, or a row has a wrong value.
    """
    file = str(file) if is_uri(file) else str(Path(file).absolute())
    rows = _read_parquet(file) if _suffix(file) == ".parquet" else _read_csv(file)
    columns = set(rows[0]) if rows else {"path", "label"}
    for required in ("path", "label"):
        if required not in columns:
            raise UserError(f"{file}: the column {required} is missing; a manifest needs path and label.")
    for number, row in enumerate(rows, start=1):
        if row["path"] is None:
            raise UserError(f"{file}: row {number} has no path.")
    places = [str(row["path"]) for row in rows]
    defaults = _default_ids(places)
    folder = parent_of(file)
    has_objects = any(row.get("object_id") is not None for row in rows)
    entries = []
    for number, (row, place, default) in enumerate(zip(rows, places, defaults, strict=True), start=1):
        where = f"{file}: row {number} ({place})"
        label = _LABELS.get(str(row["label"]).strip().lower())
        if label is None:
            raise UserError(f"{where} has label {row['label']}; write 0 or nominal, 1 or anomalous.")
        if has_objects and row.get("object_id") is None:
            raise UserError(f"{where} has no object_id, but other rows have; give it to all rows or to none.")
        entries.append(
            Entry(
                image_id=_text(row, "image_id") or default,
                path=_absolute(folder, place),
                label=label,
                defect_type=_text(row, "defect_type") or ("defect" if label else NOMINAL),
                given_split=_text(row, "given_split") or ("test" if label else "train"),
                mask_path=_absolute(folder, _text(row, "mask_path")),
                foreground_path=_absolute(folder, _text(row, "foreground_path")),
                width=_number(row, "width", where),
                height=_number(row, "height", where),
                **{name: _text(row, name) for name in _TEXTS},
            )
        )
    return entries


def _manifest_file(root: Path | str) -> str | None:
    if file_exists(str(root)):
        return str(root) if _suffix(root) in _SUFFIXES else None
    files = [join(root, f"manifest{suffix}") for suffix in _SUFFIXES]
    return next((file for file in files if file_exists(file)), None)


def _suffix(place: Path | str) -> str:
    return PurePosixPath(name_of(place)).suffix.lower()


def _read_parquet(file: str) -> list[dict[str, Any]]:
    try:
        rows = read_parquet(file, content=read_file(file)).to_pylist()
    except (OSError, pa.ArrowException) as error:
        raise UserError(f"{file}: cannot be read as Parquet ({error}).") from error
    return [{name: _without_float(value) for name, value in row.items()} for row in rows]


def _read_csv(file: str) -> list[dict[str, Any]]:
    # Everything stays text: an object called 007 must not become 7.
    try:
        text = read_file(file).decode("utf-8-sig")
        header = text.partition("\n")[0]
        delimiter = ";" if ";" in header and "," not in header else ","
        rows = list(csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{file}: cannot be read as UTF-8 CSV ({error}).") from error
    for number, row in enumerate(rows, start=1):
        if None in row or None in row.values():
            raise UserError(f"{file}: row {number} has another number of cells than the header.")
    return [{name.strip(): value.strip() or None for name, value in row.items()} for row in rows]


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


def _without_float(value: Any) -> Any:
    # pandas turns a column of whole numbers with gaps into floats, and the gaps into NaN.
    if not isinstance(value, float):
        return value
    return None if math.isnan(value) else int(value) if value.is_integer() else value


def _text(row: dict[str, Any], name: str) -> str | None:
    value = row.get(name)
    return None if value is None or value == "" else str(value)


def _number(row: dict[str, Any], name: str, where: str) -> int | None:
    text = _text(row, name)
    if text is None:
        return None
    if not text.isdecimal() or int(text) == 0:
        raise UserError(f"{where} has {name} {text}; give a number of pixels, or leave it empty.")
    return int(text)
