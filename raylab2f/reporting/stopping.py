"""How a command ends when told to: by Ctrl-C, by SIGTERM (`kill`, a batch system, `jobs stop`), by a closed terminal.

All three end it in the same way: the first signal raises `KeyboardInterrupt`, so that everything on the way out cleans
up; a second one leaves that in peace; a third ends the process at once.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = [
    "INTERRUPTED",
    "SUBMITTED",
    "exit_code",
    "hear_signals_again",
    "how_to_go_on",
    "say_how_to_go_on",
    "stopped_by",
    "stopped_by_signals",
]

#: Environment variable of a command that runs as a job: the job's name.
SUBMITTED = "RAYLAB2F_JOB"
#: Exit code after Ctrl-C; after other signals it is 128 and the signal's number likewise.
INTERRUPTED = 130

_SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
_USUAL = "the same command goes on from there (run-cv with --resume)"
_PATIENT = 2


class _Stopped(KeyboardInterrupt):
    """Of a class of its own: Python's, passing through `exec`, as amid imports, makes `python -m` end with 130."""


class _Heard:
    """What this process was told."""

    def __init__(self) -> None:
        self.first: int | None = None
        self.count = 0
        self.listening = False
        self.go_on: Callable[[], str] = lambda: _USUAL


_heard = _Heard()


@contextmanager
def stopped_by_signals() -> Iterator[None]:
    """Let signals end what is inside the block; outside of a program's main thread, this does nothing."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _heard.__init__()  # type: ignore[misc]  # each command begins anew
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    _heard.listening = True
    hear_signals_again()
    try:
        yield
    finally:
        _heard.listening = False
        for number, handler in before.items():
            signal.signal(number, handler)


def hear_signals_again() -> None:
    """Take signals back from a library that took them for itself."""
    if not _heard.listening or threading.current_thread() is not threading.main_thread():
        return
    for number in _SIGNALS:
        # `nohup` has a closed terminal ignored.
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _hear)


def say_how_to_go_on(sentence: Callable[[], str]) -> None:
    """Let the sentence that a stopped command ends with tell this, asked for at its end; without a full stop."""
    _heard.go_on = sentence


def how_to_go_on() -> str:
    """What was last said so."""
    return _heard.go_on()


def exit_code() -> int:
    """Of a command that was stopped: 130 after Ctrl-C, 143 after SIGTERM, 129 after its terminal closed."""
    return INTERRUPTED if _heard.first is None else 128 + _heard.first


def stopped_by(number: int) -> None:
    """A library was told to stop by this signal, and ends the process."""
    _heard.first = _heard.first or number


def _hear(number: int, frame: FrameType | None) -> None:
    _heard.count += 1
    if _heard.first is None:
        _heard.first = number
        raise _Stopped
    if _heard.count > _PATIENT:
        os._exit(exit_code())
