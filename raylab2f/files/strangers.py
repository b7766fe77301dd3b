"""JSON files from anybody: read within bounds, or refused in one sentence."""

from __future__ import annotations

import json
import math
import os
import stat
from pathlib import Path
from typing import Any

from raylab2f.errors import UserError, first_line

__all__ = ["read_json", "require_readable", "require_regular"]

#: Records hold a few lines for each picture at most; whatever is larger is something else.
MOST_BYTES = 1 << 28
_LONGEST_NUMBER = 400


def read_json(path: str | Path, most_bytes: int = MOST_BYTES) -> Any:
    """What a JSON file says.

    Arguments:
        path: of a file, which need not be one that its reader, or a process of ours, wrote.
        most_bytes: a larger one is refused.

    Raises:
        UserError: it is no regular file, too large, not to be read by this user, or no JSON that other tools read: not
            UTF-8, nested deeper than Python goes, with numbers that are none or that no number of ours is as long as.
        FileNotFoundError: there is none.
    """
    path = Path(path)
    content = _content(path, most_bytes)
    try:
        return json.loads(content.decode("utf-8"), parse_int=_whole, parse_float=_finite, parse_constant=_no_number)
    except (ValueError, RecursionError, MemoryError) as error:
        raise UserError(f"{path} cannot be read as JSON ({_reason(error)}); restore it, or name another.") from error


def require_regular(path: str | Path) -> None:
    """`UserError` if something else than a file, such as a pipe, lies at a path: to open that may take for ever.

    Raises:
        FileNotFoundError: nothing lies there.
    """
    if not stat.S_ISREG(os.stat(path).st_mode):  # noqa: PTH116  # of paths of any kind
        raise UserError(f"{path} is no regular file; put one in its place.")


def require_readable(error: PermissionError, path: str | Path) -> UserError:
    """What to raise where this user may not read a file that is somebody else's."""
    return UserError(
        f"{error.filename or path} may not be read by this user; ask its owner for permission (chmod -R g+rX, or o+rX)."
    )


def _content(path: Path, most_bytes: int) -> bytes:
    try:
        # A pipe without a writer would keep who opens it waiting.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))
    except PermissionError as error:
        raise require_readable(error, path) from error
    except FileNotFoundError:
        raise
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}); mend that, or name another.") from error
    try:
        # Before it becomes a file of Python's, which names a folder by the descriptor's number only.
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise UserError(f"{path} is no regular file; put one in its place.")
        if found.st_size > most_bytes:
            raise UserError(f"{path} has {found.st_size:,} bytes, more than any record of ours; name another.")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read(most_bytes)
    finally:
        os.close(descriptor)


def _reason(error: BaseException) -> str:
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    return first_line(error)


def _whole(text: str) -> int:
    if len(text) > _LONGEST_NUMBER:
        raise ValueError(f"a number of {len(text):,} digits")
    return int(text)


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:20]} is beyond all numbers")
    return value


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no number")
