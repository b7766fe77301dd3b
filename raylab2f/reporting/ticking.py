"""Something said again and again while work goes on."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from raylab2f.errors import UserError

__all__ = ["ticking"]

_VARIABLE = "RAYLAB2F_PROGRESS_SECONDS"
_SECONDS, _FIRST = 60.0, 10.0


@contextmanager
def ticking(say: Callable[[], None]) -> Iterator[None]:
    """Call `say` from a thread of its own after 10 seconds inside the block, then every minute.

    RAYLAB2F_PROGRESS_SECONDS: other seconds than 60, the first ones included where they are fewer.

    Raises:
        UserError: the variable is no number of seconds.
    """
    every, over = _interval(), threading.Event()

    def run() -> None:
        wait = min(_FIRST, every)
        while not over.wait(wait):
            wait = every
            say()

    thread = threading.Thread(target=run, name="progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        # What is being said is said to its end, but nobody waits for a cluster that does not answer.
        thread.join(timeout=1.0)


def _interval() -> float:
    text = os.environ.get(_VARIABLE, "")
    try:
        seconds = float(text or _SECONDS)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < 1e9:
        raise UserError(f"{_VARIABLE}={text}: give a number of seconds above 0.")
    return seconds
