"""Parquet files from anybody, read without running anything that stands in them.

A Parquet file may say that a column's bytes are objects of another library. Ray Data, once imported, registers such a
type whose values are pickles, and unpickles them whenever a value is looked at. Nothing here is stored like that, so
every file passes through this module.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from raylab2f.errors import UserError
from raylab2f.files.cells import shown
from raylab2f.files.strangers import require_regular

__all__ = ["read_parquet", "refuse_objects"]

# Arrow's own and pandas' periods and intervals are plain numbers and text underneath.
_PLAIN = ("arrow.", "pandas.")
# The one of Arrow's own names whose type was itself a pickle.
_PICKLED = "arrow.py_extension_type"
_NAME = b"ARROW:extension:name"


def read_parquet(path: str | Path, columns: Sequence[str] | None = None, content: bytes | None = None) -> pa.Table:
    """The table in one Parquet file; folders' names add no columns.

    Arguments:
        path: of the file.
        columns: to read; `None`: all.
        content: the file's bytes, where something else has fetched them; `path` is then only what errors name.

    Raises:
        UserError: a column is there twice, or holds objects of another library.
        OSError, pyarrow.ArrowException: as `pyarrow.parquet.read_table`.
    """
    # Absolute, for pyarrow takes `a:b/c.parquet` for a URI.
    whole = Path(path).absolute()
    if content is None:
        require_regular(whole)
    try:
        schema = pq.read_schema(whole if content is None else pa.BufferReader(content))
    except pa.ArrowException:
        raise
    except ValueError as error:
        # A registered type that cannot make sense of its own description.
        raise _refusal(path, "a column") from error
    twice = next((name for name, count in Counter(schema.names).items() if count > 1), None)
    if twice is not None:
        # Arrow itself reads no column of such a file.
        raise UserError(f"'{path}' has the column {shown(twice)} more than once; rename or remove one.")
    refuse_objects(schema if columns is None else pa.schema([f for f in schema if f.name in columns]), path)
    source = whole if content is None else pa.BufferReader(content)
    return pq.read_table(source, columns=None if columns is None else list(columns), partitioning=None)


def refuse_objects(schema: pa.Schema, where: str | Path) -> None:
    """`UserError` if a column of a schema read from `where` holds objects of another library."""
    for field in schema:
        if any(not name.startswith(_PLAIN) or name == _PICKLED for name in _extensions(field)):
            raise _refusal(where, f"the column {field.name}")


def _refusal(where: str | Path, what: str) -> UserError:
    return UserError(f"{where}: {what} holds Python objects, which can run code; write text and numbers instead.")


def _extensions(field: pa.Field) -> Iterator[str]:
    """Names of the extension types in a field, registered or not, at any depth."""
    if field.metadata and _NAME in field.metadata:
        yield field.metadata[_NAME].decode(errors="replace")
    yield from _type_extensions(field.type)


def _type_extensions(kind: pa.DataType) -> Iterator[str]:
    if isinstance(kind, pa.BaseExtensionType):
        yield kind.extension_name
        yield from _type_extensions(kind.storage_type)
    elif pa.types.is_dictionary(kind):
        yield from _type_extensions(kind.value_type)
    else:
        for index in range(kind.num_fields):
            yield from _extensions(kind.field(index))
