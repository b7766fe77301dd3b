"""A fold's process that Ray's memory monitor kills counts as a process that died, and not as the end of all folds.

Ray 2.60's Tune restarts a trial whose actor died (`RayActorError`), but hands on to the driver what the memory monitor
leaves behind (`OutOfMemoryError`), and with it every other trial ends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ray.air.execution._internal.event_manager import RayEventManager
from ray.exceptions import OutOfMemoryError, RayActorError

__all__ = ["MEMORY_RAN_OUT", "memory_kills_are_deaths"]


#: What the error of a trial that was killed for memory begins with.
MEMORY_RAN_OUT = "memory ran out, and Ray ended the fold's process"


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
            error = RayActorError(error_msg=f"{MEMORY_RAN_OUT} ({str(error).splitlines()[0]})")
        on_error(error)

    return translate
