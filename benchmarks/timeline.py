"""From when folds began and ended to what lay between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Timeline", "read_timeline"]


@dataclass(frozen=True)
class Timeline:
    """Where the time of a run went, in seconds.

    Arguments:
        before: from the run's begin until the first fold begins.
        gaps: between the end of a fold and the begin of the next one in the same slot.
        after: from the end of the last fold until the run's end.
        work: of all folds together.
        slots: folds that ran at the same time at most.
    """

    before: float
    gaps: tuple[float, ...]
    after: float
    work: float
    slots: int


def read_timeline(folds: Sequence[tuple[float, float]], begin: float, end: float) -> Timeline:
    """A run from `begin` to `end` whose folds took (begin, end), in seconds on one clock.

    A fold is taken to follow the one that ended first of those that nothing has followed yet.
    """
    free: list[float] = []
    gaps = []
    slots = 0
    for start, stop in sorted(folds):
        before = [moment for moment in free if moment <= start]
        if before:
            gaps.append(start - min(before))
            free.remove(min(before))
        else:
            slots += 1
        free.append(stop)
    return Timeline(
        before=min(start for start, _ in folds) - begin,
        gaps=tuple(gaps),
        after=end - max(stop for _, stop in folds),
        work=sum(stop - start for start, stop in folds),
        slots=slots,
    )
