"""Output that never fails for a name's sake."""

from __future__ import annotations

import sys

__all__ = ["print_any_name"]


def print_any_name() -> None:
    """Let characters that the terminal's encoding lacks, or that are none, be printed as escapes."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")
