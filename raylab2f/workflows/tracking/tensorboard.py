"""Losses and speeds of the folds as TensorBoard event files, one folder per fold."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tensorboardX import SummaryWriter

from raylab2f.cluster.training.folds import Progress
from raylab2f.files.mirror import local
from raylab2f.workflows.tracking.harmless import Harmless

__all__ = ["tensorboard_logging"]

_SCALARS = ("loss", "pictures_per_second")


@contextmanager
def tensorboard_logging(warn: Callable[[str], None]) -> Iterator[Progress]:
    """Yield what to call with a fold's numbers: they go to `tensorboard/fold-K` in the run's folder, by epoch.

    Arguments:
        warn: called with a sentence if they cannot be written; the run goes on without them.
    """
    files = Harmless("TensorBoard's files", warn)
    writers: dict[str, SummaryWriter] = {}

    def write(folder: str, numbers: dict[str, Any]) -> None:
        if "epoch" not in numbers:
            return
        if folder not in writers:
            path = local(folder)
            writers[folder] = SummaryWriter(str(path.parent.parent / "tensorboard" / f"fold-{path.name}"))
        for name in _SCALARS:
            writers[folder].add_scalar(name, numbers[name], numbers["epoch"])

    try:
        yield files.guard(write)
    finally:
        for writer in writers.values():
            files(writer.close)
