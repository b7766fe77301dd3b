"""The user's home folder, also where there is none: containers are started with user ids that no passwd file knows.

Ray, torch and others ask for a home and a user's name, and end in tracebacks where they find none.
"""

from __future__ import annotations

import getpass
import os
import tempfile
from pathlib import Path

import platformdirs

from raylab2f.errors import UserError

__all__ = ["ensure_home", "user_cache"]


def ensure_home() -> str | None:
    """See to it that this process, and what it starts, has a home folder and a user's name.

    Without HOME and without an entry in the passwd file, a folder below the system's temporary one serves, which
    belongs to this user alone.

    Returns:
        A sentence that says so, `None` where nothing had to be done.

    Raises:
        UserError: somebody else has that folder, or HOME is no absolute path.
    """
    _ensure_name()
    if not os.environ.get("HOME"):
        # An empty one would make every path below it relative.
        os.environ.pop("HOME", None)
    elif not Path(os.environ["HOME"]).is_absolute():
        raise UserError(f"HOME={os.environ['HOME']} is no absolute path; set HOME to the whole path of a folder.")
    if os.path.expanduser("~") != "~":  # noqa: PTH111  # pathlib raises where this says that there is none
        return None
    folder = Path(tempfile.gettempdir()) / f"raylab2f-home-{os.getuid()}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError as error:
        raise UserError(
            f"HOME is not set, this user has no home folder, and {folder} cannot be made ({error.strerror}); set HOME "
            "to a folder that can be written."
        ) from error
    if folder.is_symlink() or found.st_uid != os.getuid() or found.st_mode & 0o022:
        raise UserError(
            f"HOME is not set, this user has no home folder, and {folder} is open to others; set HOME to a folder of "
            "this user."
        )
    os.environ["HOME"] = str(folder)
    return f"this user has no home folder: {folder} holds caches and Ray's token; set HOME to keep them elsewhere."


def user_cache(elsewhere: str) -> Path:
    """Where this user's caches of ours lie, if no option or variable names another place.

    Arguments:
        elsewhere: the option or variable that does; a part of a sentence.

    Raises:
        UserError: there is no such folder, and it cannot be made.
    """
    ensure_home()
    folder = Path(platformdirs.user_cache_dir("raylab2f"))
    # pathlib raises where this user may not even look.
    there = next(parent for parent in (folder, *folder.parents) if os.path.exists(parent))  # noqa: PTH110
    if there != folder and not (there.is_dir() and os.access(there, os.W_OK | os.X_OK)):
        raise UserError(
            f"{folder} cannot be made, for this user may not write to {there}; set {elsewhere}, or HOME, to a folder "
            "that can be written."
        )
    return folder


def _ensure_name() -> None:
    try:
        getpass.getuser()
    except (KeyError, OSError, ImportError):
        os.environ["LOGNAME"] = f"uid{os.getuid()}"
