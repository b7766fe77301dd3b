"""What a terminal shows, as a file of plain text in a run's folder."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console

from raylab2f.files.atomic import atomic_path
from raylab2f.files.mirror import local, publish

__all__ = ["text_file"]

_WIDTH = 120


@contextmanager
def text_file(place: str, name: str) -> Iterator[Console]:
    """A console whose lines are the file `name` in the folder `place` after the block: 120 columns, without colours."""
    lines = io.StringIO()
    yield Console(emoji=False, file=lines, width=_WIDTH, no_color=True, force_terminal=False)
    with atomic_path(local(place) / name) as temporary:
        temporary.write_text(lines.getvalue(), encoding="utf-8", errors="backslashreplace")
    publish(place, [name])
