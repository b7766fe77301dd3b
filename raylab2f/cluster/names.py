"""Names that Ray takes, from names in any alphabet and of any length."""

from __future__ import annotations

import hashlib
import re
from urllib.parse import quote_from_bytes

__all__ = ["as_folder", "as_tag"]

# What OpenCensus allows in a tag, and what is left of a folder's name beside what Tune and Train append.
_LONGEST_TAG = 200
_LONGEST_FOLDER = 60
_READABLE = "".join(map(chr, range(32, 127))).replace("%", "")


def as_tag(name: str) -> str:
    """A name as the value of a metric's tag, which must be short ASCII: other bytes percent-encoded, like in a URI.

    Names that differ stay different; ordinary ones stay as they are.
    """
    return _cut(quote_from_bytes(name.encode("utf-8", "surrogatepass"), safe=_READABLE), _LONGEST_TAG, name)


def as_folder(name: str) -> str:
    """A name as part of the name of a folder of Ray's: ASCII letters, digits, points, hyphens, underscores."""
    return _cut(re.sub(r"[^A-Za-z0-9_.-]", "_", name), _LONGEST_FOLDER, name)


def _cut(text: str, longest: int, name: str) -> str:
    if len(text) <= longest:
        return text
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:12]
    return f"{text[: longest - 13]}-{digest}"
