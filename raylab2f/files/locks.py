"""Folders in which one process works at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock

from raylab2f.errors import UserError
from raylab2f.files.atomic import write_error

__all__ = ["folder_in_use"]


@contextmanager
def folder_in_use(folder: Path) -> Iterator[None]:
    """Be the only process of those that ask this way which works in a folder; it is made if it is not there.

    The lock is the operating system's and ends with the process; where the file system has none, nobody is kept out.

    Raises:
        UserError: another process works there, or nobody may write there.
    """
    lock = filelock.FileLock(folder / ".in-use.lock")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except filelock.Timeout as error:
        raise UserError(f"{folder}: another command works there; wait for its end, or stop it.") from error
    except NotImplementedError:
        yield
        return
    except OSError as error:
        raise write_error(folder, error) from error
    try:
        yield
    finally:
        lock.release()
