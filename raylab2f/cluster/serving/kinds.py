"""Which kinds of pictures are taken over HTTP, told from a file's first bytes: decoders of rarer formats, some of which
run other programs, are not for strangers' files.
"""

from __future__ import annotations

__all__ = ["KINDS", "is_known_kind"]

#: For sentences.
KINDS = "PNG, JPEG, TIFF, BMP, WebP, PGM or PPM"

_BEGINNINGS = (
    b"\x89PNG\r\n\x1a\n",
    b"\xff\xd8\xff",
    b"II*\0",
    b"MM\0*",
    b"BM",
    b"P4",
    b"P5",
    b"P6",
)


def is_known_kind(content: bytes) -> bool:
    """Whether a file begins as one of the `KINDS`."""
    return content.startswith(_BEGINNINGS) or (content[:4] == b"RIFF" and content[8:12] == b"WEBP")
