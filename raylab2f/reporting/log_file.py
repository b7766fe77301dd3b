"""What a command says, in a file that stays."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from pathlib import Path

from raylab2f.files.permissions import file_mode

__all__ = ["LogFile", "now", "plain"]

#: A log grows no further; a run of weeks writes a tenth of this.
MOST_BYTES = 20_000_000


class LogFile:
    """Appends lines, each with its moment; a file that cannot be written is left alone, for the work matters more.

    Arguments:
        path: of the file, which may be there already.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, lines: Iterable[tuple[datetime.datetime, str]]) -> None:
        """Append lines, each of one moment; characters that would steer a terminal are escaped."""
        try:
            if self.path.exists() and self.path.stat().st_size > MOST_BYTES:
                return
            is_new = not self.path.exists()
            with self.path.open("a", encoding="utf-8", errors="backslashreplace") as file:
                if is_new:
                    self.path.chmod(file_mode(self.path.parent))
                file.writelines(f"{moment:%Y-%m-%d %H:%M:%S%z} {plain(text)}\n" for moment, text in lines)
        except OSError:
            return


def plain(text: str) -> str:
    """Text in one line of characters that can be seen."""
    return "".join(c if c.isprintable() else " " if c == "\n" else c.encode("unicode_escape").decode() for c in text)


def now() -> datetime.datetime:
    """With the time zone, for nodes may have several."""
    return datetime.datetime.now(tz=datetime.timezone.utc).astimezone()
