"""The digest by which a stored file is known to be as it was written."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

__all__ = ["digested_once", "sha256_of"]

_BLOCK = 1 << 20
# A file that was written just now may be written again within one tick of the file system's clock.
_SETTLED_NS = 2 * 10**9

_known: ContextVar[dict[tuple[int, ...], str] | None] = ContextVar("digests of files by identity", default=None)


@contextmanager
def digested_once() -> Iterator[None]:
    """Read a file that does not change only once inside the block, however often its digest is asked for.

    A block is one command: what is damaged between two of them is seen. Blocks may be nested; the outer one counts.
    """
    if _known.get() is not None:
        yield
        return
    token = _known.set({})
    try:
        yield
    finally:
        _known.reset(token)


def sha256_of(path: str | Path) -> str:
    """A file's sha256, hexadecimal, read in blocks."""
    digest = hashlib.sha256()
    known = _known.get()
    with Path(path).open("rb") as file:
        found = os.fstat(file.fileno())
        identity = (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
        if known is not None and identity in known:
            return known[identity]
        while block := file.read(_BLOCK):
            digest.update(block)
    if known is not None and time.time_ns() - max(found.st_mtime_ns, found.st_ctime_ns) > _SETTLED_NS:
        known[identity] = digest.hexdigest()
    return digest.hexdigest()
