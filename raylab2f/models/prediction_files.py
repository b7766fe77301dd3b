"""Rows of predictions as they come, into files of a folder or to a stream."""

from __future__ import annotations

import csv
import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Literal, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from raylab2f.files.atomic import atomic_path, write_error
from raylab2f.files.permissions import make_folders

__all__ = ["Format", "RowWriter", "appending", "stream_writer", "write_overlay", "written_whole"]

Format = Literal["csv", "jsonl", "parquet"]
_KEPT = re.compile(r"[^\w.-]+")
_LONGEST = 80


class RowWriter(Protocol):
    """Takes rows of one schema."""

    def write(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write rows, in order."""


class _Text:
    """CSV or JSON lines on an open file; a line is out when the call returns."""

    def __init__(self, file: IO[str], schema: pa.Schema, kind: str, *, heading: bool = True) -> None:
        self._file, self._names, self._kind = file, schema.names, kind
        self._csv = csv.writer(file, lineterminator="\n")
        if kind == "csv" and heading:
            self._csv.writerow(self._names)

    def write(self, rows: Sequence[Mapping[str, Any]]) -> None:
        for row in rows:
            if self._kind == "csv":
                # As short as they can be read back to the same number.
                self._csv.writerow(["" if row[name] is None else row[name] for name in self._names])
            else:
                self._file.write(json.dumps({name: row[name] for name in self._names}, ensure_ascii=False) + "\n")
        self._file.flush()


class _Parquet:
    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._schema = schema
        self.file = pq.ParquetWriter(path, schema, compression="zstd")

    def write(self, rows: Sequence[Mapping[str, Any]]) -> None:
        if rows:
            self.file.write_table(pa.Table.from_pylist(list(rows), schema=self._schema))


def stream_writer(stream: IO[str], schema: pa.Schema, kind: Literal["csv", "jsonl"]) -> RowWriter:
    """Rows on a stream, such as the standard output."""
    return _Text(stream, schema, kind)


@contextmanager
def written_whole(path: Path, schema: pa.Schema, kind: Format) -> Iterator[RowWriter]:
    """A file that appears under its name when the block ends; what was written before an interruption or an error is
    kept as `NAME.partial.SUFFIX`.
    """
    partial = path.with_name(f"{path.stem}.partial{path.suffix}")
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        make_folders(path.parent)
        try:
            with _open(temporary, schema, kind) as writer:
                yield writer
        except BaseException:
            temporary.replace(partial)
            raise
        temporary.replace(path)
        partial.unlink(missing_ok=True)
    except OSError as error:
        raise write_error(path, error) from error


@contextmanager
def _open(path: Path, schema: pa.Schema, kind: Format) -> Iterator[RowWriter]:
    if kind == "parquet":
        parquet = _Parquet(path, schema)
        try:
            yield parquet
        finally:
            parquet.file.close()
        return
    with path.open("w", encoding="utf-8", newline="", errors="backslashreplace") as file:
        yield _Text(file, schema, kind)


@contextmanager
def appending(path: Path, schema: pa.Schema, kind: Literal["csv", "jsonl"]) -> Iterator[tuple[RowWriter, set[str]]]:
    """A file that grows, line by line; and the image ids that it holds already."""
    try:
        make_folders(path.parent)
        known = set(_image_ids(path, kind)) if path.exists() else set()
        with path.open("a", encoding="utf-8", newline="", errors="backslashreplace") as file:
            yield _Text(file, schema, kind, heading=file.tell() == 0), known
    except OSError as error:
        raise write_error(path, error) from error


def _image_ids(path: Path, kind: str) -> Iterator[str]:
    with path.open(encoding="utf-8", newline="", errors="replace") as file:
        if kind == "csv":
            yield from (row["image_id"] for row in csv.DictReader(file) if row.get("image_id"))
            return
        for line in file:
            # The last line of a killed process may be cut off.
            with suppress(ValueError, KeyError, TypeError):
                yield str(json.loads(line)["image_id"])


def write_overlay(folder: Path, image_id: str, png: bytes) -> Path:
    """Keep a picture under a name that is its own, whatever its id is; returns the file."""
    # Two ids that look alike as names of files have different digests.
    digest = hashlib.sha256(image_id.encode("utf-8", "surrogateescape")).hexdigest()[:8]
    name = _KEPT.sub("-", image_id).strip("-.")[-_LONGEST:]
    path = folder / f"{name}.{digest}.png"
    with atomic_path(path) as temporary:
        temporary.write_bytes(png)
    return path
