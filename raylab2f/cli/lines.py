"""Lines that a command prints as they are: whole, however narrow the terminal, and whatever signs names hold."""

from __future__ import annotations

from rich.console import Console

__all__ = ["print_lines"]


def print_lines(console: Console, *lines: str) -> None:
    """Print each on a line of its own; brackets are no markup, and nothing is coloured or wrapped."""
    for line in lines:
        console.print(line, highlight=False, markup=False, soft_wrap=True)
