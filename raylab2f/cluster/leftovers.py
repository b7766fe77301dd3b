"""Folders of private clusters: each has a lock while its run lives, and what a killed run left is deleted by the next.

Ray's folder holds sockets, logs and the cluster's token; whoever is killed outright deletes nothing.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import filelock

__all__ = ["own_folder"]

_PREFIX = "raylab2f-"
_LOCK = "alive.lock"
# A folder is made before it is locked.
_SETTLED_SECONDS = 60.0


@contextmanager
def own_folder() -> Iterator[Path]:
    """A new folder that only this user enters, deleted after the block; those of dead runs of this user are, too.

    Ray's sockets lie in it, whose paths must be short.
    """
    above = Path("/tmp") if Path("/tmp").is_dir() else Path(tempfile.gettempdir())
    _delete_abandoned(above)
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=above))
    lock = filelock.FileLock(folder / _LOCK)
    # Where the file system has no locks, nobody is told that a run is dead, either.
    with suppress(NotImplementedError, OSError):
        lock.acquire(timeout=0)
    try:
        yield folder
    finally:
        lock.release()
        # Ray leaves its logs and sockets where they are, some megabytes a run.
        shutil.rmtree(folder, ignore_errors=True)


def _delete_abandoned(above: Path) -> None:
    for folder in above.glob(f"{_PREFIX}*"):
        with suppress(OSError, NotImplementedError, filelock.Timeout):
            if _is_settled(folder) and filelock.FileLock(folder / _LOCK).acquire(timeout=0):
                shutil.rmtree(folder, ignore_errors=True)


def _is_settled(folder: Path) -> bool:
    """Whether a folder of this user's private clusters has had the time to be locked."""
    if folder.is_symlink() or not folder.is_dir() or not (folder / _LOCK).is_file():
        return False
    own = not hasattr(os, "getuid") or folder.stat().st_uid == os.getuid()
    return own and time.time() - (folder / _LOCK).stat().st_mtime > _SETTLED_SECONDS
