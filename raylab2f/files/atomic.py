"""Files appear whole or not at all: written under a temporary name, then renamed."""

from __future__ import annotations

import errno
import json
import os
import re
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from raylab2f.errors import UserError
from raylab2f.files.permissions import file_mode, make_folders

__all__ = ["STALE_SECONDS", "atomic_path", "remove_temporaries", "write_error", "write_json", "write_parquet"]

# There is no room, or no more for this user, or for a file of this size.
_DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
# The place itself is wrong, or not for this user.
_NO_PLACE = frozenset(
    {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST, errno.ENAMETOOLONG, errno.ELOOP}
)
#: A temporary file that nobody has written to for a day belongs to a process that was killed.
STALE_SECONDS = 86_400.0
_TEMPORARY = re.compile(r"\..+\.\d+\.[0-9a-f]{8}\.tmp")


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it to `path` on success, delete it on failure. The file's mode is
    that of `permissions.file_mode`, whoever writes it.

    Raises:
        UserError: there is no room, or nobody may write there.
    """
    path = Path(path)
    try:
        make_folders(path.parent)
    except OSError as error:
        raise write_error(path, error) from error
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        yield temporary
        # Some writers keep others out of what they write.
        temporary.chmod(file_mode(path.parent))
        temporary.replace(path)
    except OSError as error:
        # NumPy says of a disk that is full only that it wrote less than it was asked to.
        if error.errno is None:
            error.errno = errno.ENOSPC
        if error.errno not in _DISK_FULL and error.filename not in (None, str(temporary)):
            raise
        raise write_error(path, error) from error
    finally:
        temporary.unlink(missing_ok=True)


def remove_temporaries(folder: str | Path, older_than: float = 0.0) -> None:
    """Delete, in a folder and those below, what processes that were killed left under temporary names.

    Arguments:
        older_than: seconds since such a file was last written to.
    """
    limit = time.time() - older_than
    for parent, _, names in os.walk(folder):
        for path in (Path(parent, name) for name in names if _TEMPORARY.fullmatch(name)):
            with suppress(OSError):
                if path.stat().st_mtime <= limit:
                    path.unlink()


def write_json(path: str | Path, value: Any) -> None:
    """Write `value` as indented JSON; NaN and infinities are refused, for no other tool reads them."""
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False) + "\n", encoding="utf-8")


def write_parquet(path: str | Path, table: pa.Table) -> None:
    """Write `table` as zstd-compressed Parquet."""
    with atomic_path(path) as temporary:
        # Absolute, for pyarrow takes `a:b/c.parquet` for a URI.
        pq.write_table(table, temporary.absolute(), compression="zstd")


def write_error(path: Path, error: OSError) -> OSError | UserError:
    """What to raise when a file or folder cannot be written: a sentence for the user, or else the error as it is."""
    # A folder cannot be made where a file lies.
    reason = os.strerror(errno.ENOTDIR if error.errno == errno.EEXIST else error.errno or 0)
    if error.errno in _DISK_FULL:
        return UserError(
            f"{path} cannot be written ({reason}); make room: the same command goes on from there (run-cv with "
            "--resume if --out holds the run already)."
        )
    if error.errno in _NO_PLACE:
        return UserError(f"{path} cannot be written ({reason}); choose a place that can.")
    return error
