"""A command that makes no progress for minutes says where it stands, on standard error.

A process that hangs may hold the interpreter's lock, and then none of its own threads can speak: a small process of its
own watches (`watcher.py`), and hears through a pipe of everything that a `Display` is told. Every thread's stack is
written by a signal handler that needs no lock: `kill -USR1 PID`.

RAYLAB2F_PATIENCE: seconds without progress until something is said, 300 unless it is set. RAYLAB2F_VERBOSE: if set,
stacks are written then too.
"""

from __future__ import annotations

import contextlib
import faulthandler
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from raylab2f.errors import UserError

__all__ = ["be_verbose", "is_verbose", "moved", "resting", "stacks_on_signal", "stage_runs", "watched"]

_PATIENCE, _VERBOSE = "RAYLAB2F_PATIENCE", "RAYLAB2F_VERBOSE"
_SECONDS = 300.0
# Progress comes many times a second; to be told of it so often is enough.
_LEAST_GAP = 0.5
# Short enough for a message to pass whole.
_LONGEST = 200


def stacks_on_signal() -> bool:
    """Let SIGUSR1 write every thread's stack to standard error; whether that is possible here."""
    try:
        faulthandler.register(signal.SIGUSR1, file=sys.__stderr__ or sys.stderr, all_threads=True)
    except (AttributeError, ValueError, OSError, RuntimeError):
        # No such signal on this system, or no file behind standard error.
        return False
    return True


@contextlib.contextmanager
def watched() -> Iterator[None]:
    """Watch this process while it is inside the block.

    Raises:
        UserError: RAYLAB2F_PATIENCE is no number of seconds.
    """
    patience = _patience()
    if _news.pipe is not None or not stacks_on_signal():
        yield
        return
    program = Path(__file__).with_name("watcher.py")
    command = [sys.executable, "-I", "-S", str(program), str(os.getpid()), str(patience)]
    try:
        watcher = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    except OSError:
        # Too many processes, or no interpreter of its own: the command does without.
        yield
        return
    assert watcher.stdin is not None
    os.set_blocking(watcher.stdin.fileno(), False)
    _news.pipe = watcher.stdin.fileno()
    _news.tell()
    try:
        yield
    finally:
        _news.pipe = None
        with contextlib.suppress(OSError):
            watcher.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            watcher.wait(timeout=5)


@contextlib.contextmanager
def stage_runs(title: str) -> Iterator[None]:
    """Say what runs inside the block; such blocks may be nested, and the inner one counts."""
    stage = (title, time.time())
    _news.stages.append(stage)
    _news.tell()
    try:
        yield
    finally:
        _news.stages.remove(stage)
        _news.since = time.time()
        _news.tell()


def moved() -> None:
    """Say that there is progress."""
    if time.monotonic() - _news.told > _LEAST_GAP:
        _news.tell()


@contextlib.contextmanager
def resting() -> Iterator[None]:
    """Silence inside the block means nothing: somebody else is waited for."""
    _news.resting = True
    _news.tell()
    try:
        yield
    finally:
        _news.resting = False
        _news.tell()


def be_verbose() -> None:
    """Write stacks too, in this process and those that it starts."""
    os.environ[_VERBOSE] = "1"
    _news.tell()


def is_verbose() -> bool:
    """Whether stacks are wanted."""
    return bool(os.environ.get(_VERBOSE))


class _News:
    """What the watcher is told."""

    def __init__(self) -> None:
        self.pipe: int | None = None
        self.stages: list[tuple[str, float]] = []
        self.since = time.time()
        self.resting = False
        self.told = 0.0
        self._lock = threading.Lock()

    def tell(self) -> None:
        with self._lock:
            if self.pipe is None:
                return
            self.told = time.monotonic()
            stage, since = self.stages[-1] if self.stages else (None, self.since)
            verbose = is_verbose()
            news = {"stage": stage and stage[:_LONGEST], "since": since, "verbose": verbose, "resting": self.resting}
            # A watcher that is gone, or too busy to read, must not stop the work.
            with contextlib.suppress(OSError):
                os.write(self.pipe, json.dumps(news).encode() + b"\n")


_news = _News()


def _patience() -> float:
    text = os.environ.get(_PATIENCE, "")
    try:
        seconds = float(text or _SECONDS)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < 1e9:
        raise UserError(f"{_PATIENCE}={text}: give a number of seconds above 0.")
    return seconds
