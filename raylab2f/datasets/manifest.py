"""The manifest: one row per picture, and the fingerprint that identifies a dataset."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from raylab2f.datasets.entries import NOMINAL, Entry, first_few, refuse_duplicates
from raylab2f.datasets.layouts.table import read_table
from raylab2f.datasets.pictures import PIXEL_LIMIT
from raylab2f.datasets.probing import probe_entries
from raylab2f.errors import UserError
from raylab2f.files.atomic import write_parquet

__all__ = ["MANIFEST_SCHEMA", "fingerprint", "manifest_table", "read_manifest", "validate_manifest", "write_manifest"]

MANIFEST_SCHEMA = pa.schema(
    [
        pa.field("image_id", pa.string(), nullable=False),  # relative path, unique
        pa.field("path", pa.string(), nullable=False),  # absolute, a URI, or relative to the manifest's folder
        pa.field("given_split", pa.string(), nullable=False),  # "train" or "test": as the dataset's authors split it
        pa.field("label", pa.int8(), nullable=False),  # 0 nominal, 1 anomalous
        pa.field("defect_type", pa.string(), nullable=False),  # "good" for nominal pictures and for no others
        pa.field("object_id", pa.string(), nullable=False),  # the physical part
        pa.field("view", pa.string()),  # what tells pictures of one object apart
        pa.field("mask_path", pa.string()),  # where the defect is; of the picture's size
        pa.field("foreground_path", pa.string()),  # where the part is; of the picture's size
        pa.field("width", pa.int32(), nullable=False),
        pa.field("height", pa.int32(), nullable=False),
        pa.field("sha256", pa.string(), nullable=False),  # of the picture's file, hexadecimal
        pa.field("mask_sha256", pa.string()),  # of the mask's file, where there is a mask
        pa.field("foreground_sha256", pa.string()),
        pa.field(
            "condition", pa.string()
        ),  # what varies between sessions: light, batch, camera; the column may be absent
        pa.field("size", pa.float64()),  # of the defect, in any unit; the column may be absent
    ]
)
# Where files lie says nothing about what they show.
_PLACES = ("path", "mask_path", "foreground_path")
# Columns that later versions added: absent from older manifests, and no part of the fingerprint while they are empty.
_OPTIONAL = ("condition", "size")


def fingerprint(table: pa.Table) -> str:
    """Identity of a dataset: 16 hexadecimal digits.

    Independent of the order of rows and of where the files lie; changes with any picture's, mask's or foreground's
    content and with every other column of the manifest.

    Raises:
        UserError: the table is no valid manifest.
    """
    validate_manifest(table)
    names = [
        name
        for name in MANIFEST_SCHEMA.names
        if name not in _PLACES and not (name in _OPTIONAL and _is_empty(table, name))
    ]
    digest = hashlib.sha256(json.dumps(names).encode())
    for row in table.select(names).sort_by("image_id").to_pylist():
        digest.update(json.dumps(list(row.values()), ensure_ascii=True).encode())
    return digest.hexdigest()[:16]


def validate_manifest(table: pa.Table) -> None:
    """Check columns, types and values.

    Raises:
        UserError: names the first rule that is broken and where.
    """
    for field in MANIFEST_SCHEMA:
        if field.name not in table.column_names:
            if field.name in _OPTIONAL:
                continue
            raise UserError(f"manifest: the column {field.name} is missing.")
        column = table[field.name]
        if column.type != field.type:
            raise UserError(f"manifest: the column {field.name} must be {field.type}, not {column.type}.")
        if not field.nullable and column.null_count:
            raise UserError(f"manifest: the column {field.name} must have a value in every row.")
    if table.num_rows == 0:
        raise UserError("manifest: there are no pictures in it.")
    refuse_duplicates(table["image_id"].to_pylist(), "manifest")
    nominal = pc.equal(table["label"], 0)
    rules = {
        "label must be 0 or 1": pc.is_in(table["label"], pa.array([0, 1], pa.int8())),
        'given_split must be "train" or "test"': pc.is_in(table["given_split"], pa.array(["train", "test"])),
        f'defect_type must be "{NOMINAL}" for label 0 and another for label 1': pc.equal(
            nominal, pc.equal(table["defect_type"], NOMINAL)
        ),
        "object_id must not be empty": pc.not_equal(table["object_id"], ""),
        "width and height must be positive": pc.and_(pc.greater(table["width"], 0), pc.greater(table["height"], 0)),
        "a mask must come with its mask_sha256": _both_or_none(table["mask_path"], table["mask_sha256"]),
        "a foreground must come with its foreground_sha256": _both_or_none(
            table["foreground_path"], table["foreground_sha256"]
        ),
    }
    for rule, holds in rules.items():
        if not pc.all(holds).as_py():
            broken = table["image_id"].filter(pc.invert(holds)).to_pylist()
            raise UserError(f"manifest: {rule}, but not so for {first_few(broken)}.")


def read_manifest(path: str | Path) -> pa.Table:
    """A manifest in `MANIFEST_SCHEMA` from Parquet or CSV, written by `write_manifest` or by the user.

    Columns that may be absent and what is put there: see `layouts.table`. An absent `object_id` becomes the image id.
    Pictures whose size or checksums are not recorded are read; the files of other rows are not touched.

    Raises:
        UserError: the file cannot be read, breaks a rule, or names a picture that has to be read and cannot.
    """
    entries = list(read_table(path))
    open_rows = [index for index, entry in enumerate(entries) if not _is_complete(entry)]
    for index, probed in zip(
        open_rows, probe_entries([entries[index] for index in open_rows], PIXEL_LIMIT), strict=True
    ):
        if probed.problem is not None:
            raise UserError(f"{path}: {probed.entry.image_id}: {probed.problem}.")
        entries[index] = probed.entry
    return manifest_table(entries)


def write_manifest(path: str | Path, table: pa.Table) -> None:
    """Write a valid manifest as Parquet; relative paths in it must be relative to the folder it is written to.

    Raises:
        UserError: the table is no valid manifest, or the file name does not end in .parquet.
    """
    if Path(path).suffix.lower() != ".parquet":
        raise UserError(f"{path}: manifests are written as Parquet; choose a file name that ends in .parquet.")
    validate_manifest(table)
    write_parquet(path, table.select([name for name in MANIFEST_SCHEMA.names if name in table.column_names]))


def manifest_table(entries: Sequence[Entry]) -> pa.Table:
    """Entries whose files were read as a table in `MANIFEST_SCHEMA`; without an object id, a picture is its own object.

    Raises:
        UserError: the entries break a rule of the manifest.
    """
    rows = [{**asdict(entry), "object_id": entry.object_id or entry.image_id} for entry in entries]
    table = pa.Table.from_pylist(rows, schema=MANIFEST_SCHEMA)
    validate_manifest(table)
    return table


def _is_empty(table: pa.Table, name: str) -> bool:
    return name not in table.column_names or table[name].null_count == table.num_rows


def _both_or_none(left: pa.ChunkedArray, right: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.equal(pc.is_valid(left), pc.is_valid(right))


def _is_complete(entry: Entry) -> bool:
    return (
        None not in (entry.width, entry.height, entry.sha256)
        and (entry.mask_path is None) == (entry.mask_sha256 is None)
        and (entry.foreground_path is None) == (entry.foreground_sha256 is None)
    )
