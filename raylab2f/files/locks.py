"""Folders in which one process works at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import filelock

from raylab2f.errors import UserError
from raylab2f.files.atomic import write_error
from raylab2f.files.permissions import lock_mode, make_folders

__all__ = ["empty_folders_removed", "folder_in_use"]

_LOCK = ".in-use.lock"


@contextmanager
def folder_in_use(folder: Path) -> Iterator[None]:
    """Be the only process of those that ask this way which works in a folder; it is made if it is not there.

    The lock is the operating system's and ends with the process; where the file system has none, nobody is kept out.

    Raises:
        UserError: another process works there, or nobody may write there.
    """
    try:
        make_folders(folder)
        lock = filelock.FileLock(folder / _LOCK, mode=lock_mode(folder))
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


@contextmanager
def empty_folders_removed(folder: Path) -> Iterator[None]:
    """Delete, after the block, a folder that was not there before and holds nothing but a lock, and likewise those
    above it.
    """
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        yield
    finally:
        # Whoever else made something there meanwhile keeps it: only what is empty can be deleted.
        with suppress(OSError):
            if made and {path.name for path in folder.iterdir()} <= {_LOCK}:
                (folder / _LOCK).unlink(missing_ok=True)
                for path in made:
                    path.rmdir()
