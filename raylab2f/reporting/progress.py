"""One display for a whole run: bars on a terminal, a line per event elsewhere."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from raylab2f.reporting.fold_tally import FoldTally, tally_line
from raylab2f.reporting.log_file import LogFile, now
from raylab2f.reporting.ticking import ticking
from raylab2f.reporting.watchdog import moved, stage_runs

__all__ = ["Display"]

# Lines that are said before there is a file for them.
_KEPT = 1000


class Display:
    """Says what is going on, on the terminal and to the watchdog.

    Arguments:
        console: where to; bars are drawn only on a terminal.
    """

    def __init__(self, console: Console) -> None:
        self.console = console
        self._said: deque[tuple[datetime, str]] = deque(maxlen=_KEPT)
        self._logs: list[LogFile] = []

    def say(self, text: str) -> None:
        """One plain line."""
        moved()
        self._keep(text)
        self.console.print(escape(text), highlight=False, soft_wrap=True)

    def warn(self, text: str) -> None:
        """One line that must not be missed."""
        moved()
        self._keep(f"warning: {text}")
        self.console.print(f"[bold yellow]warning:[/] {escape(text)}", highlight=False, soft_wrap=True)

    @contextmanager
    def kept_in(self, paths: Sequence[Path]) -> Iterator[None]:
        """Append what is said inside the block, and what was said before it, to these files."""
        self._logs = [LogFile(path) for path in paths]
        for log in self._logs:
            log.write(self._said)
        try:
            yield
        finally:
            self._logs = []
            self._said.clear()

    def _keep(self, text: str) -> None:
        line = (now(), text)
        self._said.append(line)
        for log in self._logs:
            log.write([line])

    def _mention(self, text: str) -> None:
        """A line on what goes on: no sign of progress, and on a terminal the bars say it."""
        self._keep(text)
        if not self.console.is_terminal:
            self.console.print(escape(text), highlight=False, soft_wrap=True)

    @contextmanager
    def stage(self, title: str) -> Iterator[Callable[[int, int], None]]:
        """A stage of work; yields what to call with (done, in all). If that is never called, nothing is shown."""
        started = time.monotonic()
        total = reached = 0

        def line() -> None:
            if total:
                self.say(f"{title}: {total} in {time.monotonic() - started:.0f} s")

        def mention() -> None:
            if reached < total:
                self._mention(f"{title}: {reached} of {total}")

        with stage_runs(title), self._bars() as bars, ticking(mention):
            task: TaskID | None = None

            def advance(done: int, of: int) -> None:
                nonlocal task, total, reached
                moved()
                total, reached = of, done
                if task is None:
                    task = bars.add_task(title, total=of, detail="")
                bars.update(task, completed=done, total=of)

            yield advance
        line()

    @contextmanager
    def folds(
        self, titles: dict[str, str], finished: int, waiting: Callable[[], str | None] = lambda: None
    ) -> Iterator[Callable[[str, dict[str, Any]], None]]:
        """The folds in work; yields what to call with a fold's key and its newest numbers.

        Every minute a line says which are done, run and wait, on the console where that is no terminal.

        Arguments:
            titles: what to call each fold that will be run, by key.
            finished: folds that were finished before.
            waiting: asked while folds wait and none runs: a line that says what for, or `None` where they only start.
        """
        tally = FoldTally(titles, finished)

        def mention() -> None:
            if tally.any_waits_alone and (reason := waiting()):
                # Others are waited for: that is no hang.
                moved()
                self._mention(reason)
            else:
                self._mention(tally_line(tally.to_dict()))

        with stage_runs("folds"), self._bars() as bars, ticking(mention):
            every = bars.add_task("folds", total=finished + len(titles), completed=finished, detail="")
            tasks: dict[str, TaskID] = {}

            def update(key: str, numbers: dict[str, Any]) -> None:
                moved()
                tally.update(key, numbers)
                title = titles[key]
                if numbers.get("done"):
                    if key in tasks:
                        bars.remove_task(tasks.pop(key))
                    bars.advance(every)
                    self.say(f"{title}: {'failed' if numbers.get('failed') else 'finished'}")
                    return
                if key not in tasks:
                    tasks[key] = bars.add_task(title, total=None, detail="")
                if "epoch" in numbers:
                    detail = f"loss {numbers['loss']:.4g}, {numbers['pictures_per_second']:.0f} pictures/s"
                    bars.update(tasks[key], completed=numbers["epoch"], total=numbers["epochs"], detail=detail)

            yield update

    def _bars(self) -> Progress:
        return Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[detail]}"),
            console=self.console,
            transient=True,
            disable=not self.console.is_terminal,
        )
