"""The one exception that means: the user can mend this; and how others are quoted in it."""

from __future__ import annotations

import errno
import os

__all__ = ["UserError", "first_line", "refused_by_system"]

# The system refuses a file or folder for what it is, or for lack of room; no fault of the program.
_REFUSALS = frozenset(
    getattr(errno, name)
    for name in (
        "EACCES", "EBUSY", "EDQUOT", "EEXIST", "EFBIG", "EIO", "EISDIR", "ELOOP", "EMFILE", "ENAMETOOLONG", "ENFILE",
        "ENOENT", "ENOSPC", "ENOTDIR", "EPERM", "EROFS", "ESTALE",
    )
    if hasattr(errno, name)
)  # fmt: skip
_LONGEST = 200


class UserError(Exception):
    """A mistake in what the user gave us.

    The message is one sentence that names the file or option at fault and how to mend it. The command line
    prints it without a traceback and exits with code 2.
    """


def first_line(error: BaseException) -> str:
    """What an error says, for a sentence that quotes it: its first line, or its kind where it says nothing."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip()


def refused_by_system(error: OSError) -> UserError | None:
    """What the user can mend where the system refuses a file or folder; `None` where it is something else."""
    if error.errno is None or error.errno not in _REFUSALS:
        return None
    reason = os.strerror(error.errno)
    if error.filename is not None:
        name = repr(os.fsdecode(error.filename) if isinstance(error.filename, (str, bytes)) else error.filename)
        shown = name if len(name) <= _LONGEST else f"{name[:_LONGEST]}...'"
        if error.errno == errno.EACCES:
            return UserError(
                f"{shown}: {reason}; ask its owner for permission (to read: chmod -R g+rX, or o+rX), or name another "
                "place."
            )
        return UserError(f"{shown}: {reason}; mend that, or name another place.")
    return UserError(f"Something cannot be read or written ({reason}); mend that, and give the command again.")
