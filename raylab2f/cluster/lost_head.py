"""A head that is lost while a command needs it: Ray would end the process, with a line of its core for a reason.

It gives the head a minute to come back (RAY_gcs_rpc_server_reconnect_timeout_s). A little earlier it is said here.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from raylab2f.cluster.asking import knock

__all__ = ["ended_with_head"]

_RAY_WAITS = "RAY_gcs_rpc_server_reconnect_timeout_s"
_RAY_WAITS_SECONDS = 60.0
_EARLIER = 5.0
_KNOCK_EVERY = 5.0
_SHOW_CURSOR = "\x1b[?25h"


@contextmanager
def ended_with_head(address: str, head: str) -> Iterator[None]:
    """End this process, with a sentence and code 2, when the head is lost inside the block.

    Arguments:
        address: as the user gave it.
        head: its host and port.
    """
    over = threading.Event()
    thread = threading.Thread(target=_watch, args=(address, head, over), name="head", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()


def _watch(address: str, head: str, over: threading.Event) -> None:
    patience = max(1.0, _ray_waits() - _EARLIER)
    answered = time.monotonic()
    while not over.wait(min(_KNOCK_EVERY, patience / 3)):
        if _answers(head):
            answered = time.monotonic()
        elif time.monotonic() - answered > patience and not over.is_set():
            _end(address, patience)


def _answers(head: str) -> bool:
    try:
        knock(head)
    except OSError:
        return False
    return True


def _ray_waits() -> float:
    try:
        return float(os.environ.get(_RAY_WAITS, _RAY_WAITS_SECONDS))
    except ValueError:
        return _RAY_WAITS_SECONDS


def _end(address: str, seconds: float) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(_SHOW_CURSOR)
    sys.stderr.write(
        f"error: --address {address}: the cluster's head has not answered for {seconds:g} s, and what is not finished "
        "is lost with it; start the head again, then give the same command (run-cv with --resume).\n"
    )
    sys.stdout.flush()
    sys.stderr.flush()
    # What waits for the head cannot be interrupted, and Ray would end the process in the same way.
    os._exit(2)
