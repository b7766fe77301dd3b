"""Run as a program of its own: says where the process that started it stands when that makes no progress.

    python watcher.py PID SECONDS

Reads JSON lines from standard input, one whenever something moves: `stage` (what runs, or null), `since` (when that
began, seconds since 1970) and `verbose`; `resting` while silence means nothing. Ends when that process does. Knows the
standard library only, for it must start at once.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import sys
import time


def main(pid: int, patience: float) -> None:
    """Watch until standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    news: dict[str, object] = {"stage": None, "since": time.time(), "verbose": False, "resting": False}
    # Rarely: after the first word, each silence must be twice as long as the one before it.
    moved, wait, pending = time.monotonic(), patience, b""
    while True:
        left = moved + wait - time.monotonic()
        if select.select([sys.stdin], [], [], max(left, 0.0))[0]:
            read = os.read(sys.stdin.fileno(), 1 << 16)
            if not read:
                return
            *lines, pending = (pending + read).split(b"\n")
            if lines:
                news.update(json.loads(lines[-1]))
                moved, wait = time.monotonic(), patience
        elif news["resting"]:
            moved = time.monotonic()
        else:
            say(pid, news, wait)
            wait = 2 * wait if news["verbose"] else float(1 << 30)


def say(pid: int, news: dict[str, object], seconds: float) -> None:
    """One line, and for those who asked for it every thread's stack."""
    stage = f"the stage '{news['stage']}' runs" if news["stage"] else "no stage runs"
    since = time.strftime("%H:%M:%S", time.localtime(float(str(news["since"]))))
    silence = f"{seconds / 60:.0f} min" if seconds >= 60 else f"{seconds:g} s"
    line = f"raylab2f: nothing has moved for {silence}; {stage} since {since}"
    if news["verbose"]:
        print(f"{line}; its threads:", file=sys.stderr, flush=True)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGUSR1)
    else:
        print(
            f"{line}; `kill -USR1 {pid}` shows where its threads are, and so does `raylab2f --verbose` by itself",
            file=sys.stderr,
            flush=True,
        )


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]))
