"""`progress.json` in a run's folder: how far its folds are, for whoever cannot see the command that runs them."""

from __future__ import annotations

import datetime
import time
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from raylab2f.errors import UserError
from raylab2f.files.atomic import write_json
from raylab2f.files.mirror import fetch_file, local, publish
from raylab2f.files.places import join, name_of
from raylab2f.files.strangers import read_json
from raylab2f.reporting.fold_tally import FoldTally, tally_line
from raylab2f.reporting.log_file import plain

__all__ = ["LOG", "ProgressRecord", "progress_of_run"]

#: What a run's command says, line by line.
LOG = "log.txt"
_NAME = "progress.json"
_SECONDS = 2.0
_STORE_SECONDS = 30.0
_MOST_BYTES = 1 << 24


class ProgressRecord:
    """Writes the file of one run; called as `cluster.training.folds.Progress`, with folds of other runs too.

    Arguments:
        place: of the run's folder.
        folders: of the folds that will be run.
        finished: folds that were finished before.
    """

    def __init__(self, place: str, folders: Iterable[str], finished: int) -> None:
        self.place = place
        self.tally = FoldTally({folder: f"fold {name_of(folder)}" for folder in folders}, finished)
        self._written = self._published = 0.0
        self._write()

    def __call__(self, folder: str, numbers: dict[str, Any]) -> None:
        if folder not in self.tally.folds:
            return
        self.tally.update(folder, numbers)
        if numbers.get("done") or time.monotonic() - self._written > _SECONDS:
            self._write(last=bool(numbers.get("done")))

    def stop(self) -> None:
        """Record that the command ends before its folds do; those that are over stay so."""
        self.tally.stop()
        self._write(last=True)

    def _write(self, *, last: bool = False) -> None:
        self._written = time.monotonic()
        moment = datetime.datetime.now(tz=datetime.timezone.utc).isoformat(timespec="seconds")
        # A run whose progress cannot be recorded goes on.
        with suppress(OSError, UserError):
            write_json(local(self.place) / _NAME, {"updated": moment, **self.tally.to_dict()})
            if last or self._written - self._published > _STORE_SECONDS:
                self._published = self._written
                publish(self.place, [_NAME, LOG])


def progress_of_run(place: str) -> list[str]:
    """What a run's folder says of its progress, as lines.

    Raises:
        UserError: there is no run, or its record cannot be read.
    """
    path = fetch_file(join(place, _NAME))
    if not path.parent.is_dir() or not fetch_file(join(place, "run.json")).exists():
        raise UserError(
            f"{place} holds no run, or none yet: it appears once its pictures are read. Give the name of a job, or the "
            "folder of a run."
        )
    if not path.exists():
        return [f"{place}: no fold has begun"]
    content = read_json(path, _MOST_BYTES)
    try:
        line, moment = tally_line(content), datetime.datetime.fromisoformat(content["updated"])
        ago = (datetime.datetime.now(tz=datetime.timezone.utc) - moment).total_seconds()
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise UserError(f"{path} is no record of ours; see {LOG} beside it.") from error
    return [plain(f"{place}: {line}"), f"  {ago:.0f} s ago; more in {join(place, LOG)}"]
