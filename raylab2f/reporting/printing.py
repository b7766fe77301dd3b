"""Output that never fails for a name's sake."""

from __future__ import annotations

import sys
from typing import Any

from rich.console import Console

__all__ = ["plain_console", "print_any_name"]


def plain_console(**settings: Any) -> Console:
    """A console on which names stay as they are: rich would make a sign of `:A:`, as in `own:A: ...`."""
    return Console(emoji=False, **settings)


def print_any_name() -> None:
    """Let characters that the terminal's encoding lacks, or that are none, be printed as escapes."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")
