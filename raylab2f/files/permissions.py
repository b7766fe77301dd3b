"""Who may read and write what we make: as the user's umask says, and in a folder that a group shares, the group too.

A folder is shared by a group where its set-group-id bit is set and the group may write there (`chmod 2775`). What is
made below belongs to that group then, and its members may replace it, whatever their umask.
"""

from __future__ import annotations

import errno
import os
import re
import stat
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from raylab2f.errors import UserError

__all__ = ["delete_damaged", "file_mode", "is_shared", "lock_mode", "make_folders", "open_to_all", "share_below"]

_SHARED = stat.S_ISGID | stat.S_IWGRP
_GROUP_FILE, _GROUP_FOLDER = 0o060, stat.S_ISGID | 0o070
_UMASK = re.compile(r"^Umask:\s*([0-7]+)$", re.MULTILINE)
_asking = threading.Lock()
# The user's, while another one is set.
_laid_aside: list[int] = []


def is_shared(folder: Path) -> bool:
    """Whether a group shares a folder; `False` where that cannot be known."""
    try:
        return folder.stat().st_mode & _SHARED == _SHARED
    except OSError:
        return False


def file_mode(folder: Path) -> int:
    """The mode of a file that is made in a folder."""
    return 0o666 & ~_umask() | (_GROUP_FILE if is_shared(folder) else 0)


def lock_mode(folder: Path) -> int:
    """The mode of a lock in a folder: who may make files there must be able to take it."""
    try:
        return stat.S_IMODE(folder.stat().st_mode) & 0o666 | 0o600
    except OSError:
        return 0o600


def make_folders(folder: Path) -> None:
    """Make a folder and those above it that are missing.

    Raises:
        OSError: one cannot be made.
    """
    missing = []
    # Not by `exists`, which raises where this user may not look; making the folder says what is wrong there.
    for path in (folder, *folder.parents):
        if os.path.isdir(path):  # noqa: PTH112
            break
        missing.append(path)
    for path in reversed(missing):
        _make(path)


def share_below(folder: Path) -> None:
    """Open all in a folder of this user's, and itself, to the group that shares the folder above; else do nothing.

    Raises:
        OSError: something there is not this user's.
    """
    if not is_shared(folder.parent):
        return
    for parent, _, names in os.walk(folder):
        for path in (Path(parent, name) for name in names):
            if not path.is_symlink():
                path.chmod(stat.S_IMODE(path.stat().st_mode) | _GROUP_FILE)
        Path(parent).chmod(stat.S_IMODE(Path(parent).stat().st_mode) | _GROUP_FOLDER)


@contextmanager
def open_to_all() -> Iterator[None]:
    """Inside the block, whatever others' code makes is open to everybody who may enter the folder above.

    What is made by us has its mode all the same: as the user's umask says.
    """
    _laid_aside.append(_umask())
    os.umask(0)
    try:
        yield
    finally:
        os.umask(_laid_aside.pop())


def delete_damaged(path: Path) -> None:
    """Delete a file of a cache that is not as it was written, if it is there.

    Raises:
        UserError: this user may not.
    """
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise
        raise UserError(
            f"{path.parent} is damaged ({path.name}), and this user may not mend it; ask its owner to delete it, or "
            "choose another --cache."
        ) from error


def _make(path: Path) -> None:
    try:
        if is_shared(path.parent):
            _make_shared(path)
        else:
            path.mkdir(0o777 & ~_umask())
    except OSError:
        # Somebody else was quicker, or a file lies there.
        if not path.is_dir():
            raise


def _make_shared(path: Path) -> None:
    """A folder that is the group's from the moment when others see it."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{uuid.uuid4().hex[:8]}.tmp")
    temporary.mkdir(0o777 & ~_umask())
    try:
        temporary.chmod(stat.S_IMODE(temporary.stat().st_mode) | _GROUP_FOLDER)
        # In place of another's that is still empty; one that is not stays.
        temporary.rename(path)
    except OSError:
        temporary.rmdir()
        raise


def _umask() -> int:
    if _laid_aside:
        return _laid_aside[0]
    try:
        if found := _UMASK.search(Path("/proc/self/status").read_text(encoding="utf-8", errors="replace")):
            return int(found[1], 8)
    except OSError:
        pass
    # Elsewhere it can only be read by setting it.
    with _asking:
        mask = os.umask(0o077)
        os.umask(mask)
    return mask
