"""Pictures as they arrive in a folder: when whoever writes one has finished, and again when it was written anew."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from raylab2f.datasets.discovery import search
from raylab2f.datasets.unlabelled import UNREAD, Unlabelled
from raylab2f.reporting.watchdog import moved

__all__ = ["Arrival", "arrivals"]

# A file that has not grown between two looks is whole, unless it is empty: then its writer may not have begun.
_EMPTY_SECONDS = 2.0
# Size and time of change in nanoseconds.
_State = tuple[int, int]


@dataclass(frozen=True)
class Arrival:
    """A picture that is there.

    Arguments:
        picture: its id is its path below the folder.
        seen: when it was first seen, or last grew; seconds since the epoch.
    """

    picture: Unlabelled
    seen: float


def arrivals(
    folder: Path, known: set[str], poll_seconds: float, say: Callable[[str], None] = lambda _: None
) -> Iterator[Arrival]:
    """Pictures in a folder and below it, without end; those of one look in the order of their times and names.

    One that changes after it was handed out is handed out again, so that a name that is used again, or a file that was
    not yet whole, has the verdict of what lies there.

    Arguments:
        known: ids that were judged before; not handed out as they lie there at the first look.
        poll_seconds: between two looks.
        say: hears when the folder is gone, such as a share that is no longer mounted, and when it is back.
    """
    done: dict[str, _State | None] = {}
    waiting: dict[str, tuple[_State, float]] = {}
    first = there = True
    while True:
        if folder.is_dir() != there:
            there = not there
            say(f"{folder} is there again" if there else f"{folder} is gone; waiting for it")
        began = time.monotonic()
        ready: list[tuple[int, Arrival]] = []
        found = {path.relative_to(folder).as_posix(): (path, why) for path, why in _files(folder)}
        for name, (path, why) in found.items():
            state, now = _state(path), time.time()
            if first and name in known:
                done[name] = state
            if name in done and done[name] == state:
                continue
            if why is None and (state is None or not _is_whole(name, state, now, poll_seconds, waiting)):
                continue
            seen = waiting.pop(name, (state, now))[1]
            done[name] = state
            ready.append((0 if state is None else state[1], Arrival(Unlabelled(name, str(path), problem=why), seen)))
        for _, arrival in sorted(ready, key=lambda one: (one[0], one[1].picture.image_id)):
            yield arrival
        for name in waiting.keys() - found.keys():
            del waiting[name]
        first = False
        # Nothing arrives for hours at times, and that is no hang.
        moved()
        # A large folder is not looked at all the time.
        time.sleep(max(poll_seconds, time.monotonic() - began))


def _files(folder: Path) -> Iterator[tuple[Path, str | None]]:
    """Pictures, and what cannot be one though it looks like it, with the reason."""
    tree = search(folder)
    yield from ((path, None) for path in sorted(tree.pictures))
    yield from tree.broken
    yield from ((path, UNREAD) for path in tree.unread)


def _state(path: Path) -> _State | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns


def _is_whole(
    name: str, state: _State, now: float, poll_seconds: float, waiting: dict[str, tuple[_State, float]]
) -> bool:
    size, changed = state
    before = waiting.get(name)
    if before is None or before[0] != state:
        waiting[name] = (state, now)
        # One that was written well before this look needs no second one.
        if size == 0 or now - changed / 1e9 < max(poll_seconds, 1.0):
            return False
    return size > 0 or now - waiting[name][1] >= _EMPTY_SECONDS
