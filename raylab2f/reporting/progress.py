"""One display for a whole run: bars on a terminal, a line per event elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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

from raylab2f.reporting.watchdog import moved, stage_runs

__all__ = ["Display"]


class Display:
    """Says what is going on, on the terminal and to the watchdog.

    Arguments:
        console: where to; bars are drawn only on a terminal.
    """

    def __init__(self, console: Console) -> None:
        self.console = console

    def say(self, text: str) -> None:
        """One plain line."""
        moved()
        self.console.print(escape(text), highlight=False, soft_wrap=True)

    def warn(self, text: str) -> None:
        """One line that must not be missed."""
        moved()
        self.console.print(f"[bold yellow]warning:[/] {escape(text)}", highlight=False, soft_wrap=True)

    @contextmanager
    def stage(self, title: str) -> Iterator[Callable[[int, int], None]]:
        """A stage of work; yields what to call with (done, in all). If that is never called, nothing is shown."""
        started = time.monotonic()
        total = 0

        def line() -> None:
            if total:
                self.say(f"{title}: {total} in {time.monotonic() - started:.0f} s")

        with stage_runs(title), self._bars() as bars:
            task: TaskID | None = None

            def advance(done: int, of: int) -> None:
                nonlocal task, total
                moved()
                total = of
                if task is None:
                    task = bars.add_task(title, total=of, detail="")
                bars.update(task, completed=done, total=of)

            yield advance
        line()

    @contextmanager
    def folds(self, titles: dict[str, str], finished: int) -> Iterator[Callable[[str, dict[str, Any]], None]]:
        """The folds in work; yields what to call with a fold's key and its newest numbers.

        Arguments:
            titles: what to call each fold that will be run, by key.
            finished: folds that were finished before.
        """
        with stage_runs("folds"), self._bars() as bars:
            every = bars.add_task("folds", total=finished + len(titles), completed=finished, detail="")
            tasks: dict[str, TaskID] = {}

            def update(key: str, numbers: dict[str, Any]) -> None:
                moved()
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
