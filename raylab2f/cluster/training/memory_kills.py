"""A fold's process that Ray's memory monitor kills counts as a process that died, and not as the end of all folds.

Ray 2.60's Tune restarts a trial whose actor died (`RayActorError`), but hands on to the driver what the memory monitor
leaves behind (`OutOfMemoryError`), and with it every other trial ends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import ray
from ray._raylet import PlacementGroupID
from ray.air.execution._internal.event_manager import RayEventManager
from ray.exceptions import OutOfMemoryError, RayActorError
from ray.util.placement_group import PlacementGroup, placement_group_table, remove_placement_group

from raylab2f.errors import first_line

__all__ = [
    "MEMORY_RAN_OUT",
    "MemoryRanOutError",
    "memory_kill",
    "memory_kills_are_deaths",
    "memory_kills_named",
    "release_slots",
]


# How Ray's own sentence about a kill goes on after the number of processes.
_MONITOR = "killed due to the node running low on memory"

#: What the error of a trial that was killed for memory begins with.
MEMORY_RAN_OUT = "memory ran out, and Ray ended the fold's process"


class MemoryRanOutError(Exception):
    """Ray's memory monitor killed a process; begins with `MEMORY_RAN_OUT`."""


@contextmanager
def memory_kills_named() -> Iterator[None]:
    """Raise `MemoryRanOutError` for a Ray error inside the block of which a memory kill is the cause."""
    try:
        yield
    except Exception as error:
        if _MONITOR in str(error):
            raise MemoryRanOutError(memory_kill(error)) from error
        raise


def release_slots() -> None:
    """Give back what trainers hold that were killed together with what should have tidied up after them.

    Only while none of this process's folds runs. Groups of other people's jobs are not touched.
    """
    job = ray.get_runtime_context().get_job_id()
    for identity, group in placement_group_table().items():
        if identity.endswith(job) and group["state"] != "REMOVED":
            remove_placement_group(PlacementGroup(PlacementGroupID(bytes.fromhex(identity))))


@contextmanager
def memory_kills_are_deaths() -> Iterator[None]:
    """Let Tune, inside the block, treat a trial killed for memory as one whose process died."""
    events: Any = RayEventManager
    original = events.track_future

    def track_future(
        manager: RayEventManager,
        future: Any,
        on_result: Callable[[Any], None] | None = None,
        on_error: Callable[[Exception], None] | None = None,
    ) -> None:
        original(manager, future, on_result, on_error and _translated(on_error))

    events.track_future = track_future
    try:
        yield
    finally:
        events.track_future = original


def _translated(on_error: Callable[[Exception], None]) -> Callable[[Exception], None]:
    def translate(error: Exception) -> None:
        if isinstance(error, OutOfMemoryError):
            error = RayActorError(error_msg=memory_kill(error))
        on_error(error)

    return translate


def memory_kill(error: Exception) -> str:
    """What became of a fold's process, with the line in which Ray's monitor says what it did."""
    lines = str(error).splitlines()
    said = next((line.strip() for line in lines if _MONITOR in line), first_line(error))
    return f"{MEMORY_RAN_OUT} ({said})"
