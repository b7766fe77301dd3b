"""Who may read and write what we make: as the user's umask says, and in a folder that a group shares, the group too.

A folder is shared by a group where its set-group-id bit is set and the group may write there (`chmod 2775`). What is
made below belongs to that group then, and its members may replace it, whatever their umask.
"""

from __future__ import annotations

import os
import re
import stat
import threading
from pathlib import Path

__all__ = ["file_mode", "is_shared", "lock_mode", "make_folders"]

_SHARED = stat.S_ISGID | stat.S_IWGRP
_GROUP_FILE, _GROUP_FOLDER = 0o060, stat.S_ISGID | 0o070
_UMASK = re.compile(r"^Umask:\s*([0-7]+)$", re.MULTILINE)
_asking = threading.Lock()


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
        shared = is_shared(path.parent)
        try:
            path.mkdir()
        except FileExistsError:
            # Somebody else was quicker, or a file lies there.
            if not path.is_dir():
                raise
            continue
        if shared:
            path.chmod(path.stat().st_mode | _GROUP_FOLDER)


def _umask() -> int:
    try:
        if found := _UMASK.search(Path("/proc/self/status").read_text(encoding="ascii", errors="replace")):
            return int(found[1], 8)
    except OSError:
        pass
    # Elsewhere it can only be read by setting it.
    with _asking:
        mask = os.umask(0o077)
        os.umask(mask)
    return mask
