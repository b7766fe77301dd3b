"""Pictures as they arrive in a folder: each once, when whoever writes it has finished."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from raylab2f.datasets.discovery import search
from raylab2f.datasets.unlabelled import Unlabelled

__all__ = ["Arrival", "arrivals"]

# A file that has not grown between two looks is whole, unless it is empty: then its writer may not have begun.
_EMPTY_SECONDS = 2.0


@dataclass(frozen=True)
class Arrival:
    """A picture that is there.

    Arguments:
        picture: its id is its path below the folder.
        seen: when it was first seen, or last grew; seconds since the epoch.
    """

    picture: Unlabelled
    seen: float


def arrivals(folder: Path, known: set[str], poll_seconds: float) -> Iterator[Arrival]:
    """Pictures in a folder and below it, without end; those of one look in the order of their times and names.

    Arguments:
        known: ids that are not handed out (again); those that are, are added.
        poll_seconds: between two looks.
    """
    waiting: dict[str, tuple[tuple[int, int], float]] = {}
    while True:
        ready: list[tuple[int, str, Arrival]] = []
        began = time.monotonic()
        found = sorted(search(folder).pictures)
        for path in found:
            name = path.relative_to(folder).as_posix()
            if name in known:
                continue
            try:
                status = path.stat()
            except OSError:
                continue
            state, now = (status.st_size, status.st_mtime_ns), time.time()
            before = waiting.get(name)
            if before is None or before[0] != state:
                waiting[name] = (state, now)
                # One that was written well before this look needs no second one.
                if status.st_size == 0 or now - status.st_mtime < max(poll_seconds, 1.0):
                    continue
            if status.st_size == 0 and now - waiting[name][1] < _EMPTY_SECONDS:
                continue
            seen = waiting.pop(name)[1]
            ready.append((status.st_mtime_ns, name, Arrival(Unlabelled(name, str(path)), seen)))
        for _, name, arrival in sorted(ready, key=lambda one: one[:2]):
            known.add(name)
            yield arrival
        gone = waiting.keys() - {path.relative_to(folder).as_posix() for path in found}
        for name in gone:
            del waiting[name]
        # A large folder is not looked at all the time.
        time.sleep(max(poll_seconds, time.monotonic() - began))
