"""The digest by which a stored file is known to be as it was written."""

from __future__ import annotations

import hashlib
from pathlib import Path

__all__ = ["sha256_of"]

_BLOCK = 1 << 20


def sha256_of(path: str | Path) -> str:
    """A file's sha256, hexadecimal, read in blocks."""
    digest = hashlib.sha256()
    with Path(path).open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()
