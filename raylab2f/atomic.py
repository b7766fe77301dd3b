"""Files appear whole or not at all: written under a temporary name, then renamed."""

from __future__ import annotations

import errno
import json
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from raylab2f.errors import UserError

__all__ = ["atomic_path", "write_json", "write_parquet"]

# There is no room, or no more for this user, or for a file of this size.
_DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it to `path` on success, delete it on failure.

    Raises:
        UserError: there is no room.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        yield temporary
        temporary.replace(path)
    except OSError as error:
        # NumPy says of a disk that is full only that it wrote less than it was asked to.
        code = errno.ENOSPC if error.errno is None else error.errno
        if code not in _DISK_FULL:
            raise
        raise UserError(
            f"{path} cannot be written ({os.strerror(code)}); make room: the same command goes on from there (run-cv "
            "with --resume if --out holds the run already)."
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: str | Path, value: Any) -> None:
    """Write `value` as indented JSON; NaN and infinities are refused, for no other tool reads them."""
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False) + "\n", encoding="utf-8")


def write_parquet(path: str | Path, table: pa.Table) -> None:
    """Write `table` as zstd-compressed Parquet."""
    with atomic_path(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")
