"""Which folds are done, which run and how far they are, which wait: as one line, and as a table for other programs."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["FoldTally", "tally_line"]

_NAMED = 4


class FoldTally:
    """Hears what folds report.

    Arguments:
        titles: what to call each fold that will be run, by key.
        finished: folds that were finished before.
        clock: seconds that only grow.
    """

    def __init__(
        self, titles: Mapping[str, str], finished: int = 0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.finished = finished
        self.folds: dict[str, dict[str, Any]] = {
            key: {"fold": title, "state": "waiting"} for key, title in titles.items()
        }
        self._clock = clock
        self._began: dict[str, tuple[float, int]] = {}

    def update(self, key: str, numbers: Mapping[str, Any]) -> None:
        """What a fold reports; see `cluster.training.folds.Progress`."""
        fold = self.folds[key]
        if numbers.get("done"):
            fold["state"] = "failed" if numbers.get("failed") else "finished"
            fold.pop("seconds_left", None)
            return
        fold["state"] = "running"
        if "epoch" not in numbers:
            return
        epoch, epochs, moment = int(numbers["epoch"]), int(numbers["epochs"]), self._clock()
        began, first = self._began.setdefault(key, (moment, epoch))
        fold |= {"epoch": epoch, "epochs": epochs, "loss": float(numbers["loss"])}
        if epoch > first:
            fold["seconds_left"] = (moment - began) / (epoch - first) * (epochs - epoch)

    def stop(self) -> None:
        """The command ends before its folds do."""
        for fold in self.folds.values():
            if fold["state"] == "running":
                fold["state"] = "stopped"
                fold.pop("seconds_left", None)

    @property
    def any_waits_alone(self) -> bool:
        """Whether folds wait and none runs."""
        states = {fold["state"] for fold in self.folds.values()}
        return "waiting" in states and "running" not in states

    def to_dict(self) -> dict[str, Any]:
        """`finished_before`, and `folds`: a list of `fold`, `state`, and of those that run or ran `epoch`, `epochs`,
        `loss` and perhaps `seconds_left`.
        """
        return {"finished_before": self.finished, "folds": [dict(fold) for fold in self.folds.values()]}


def tally_line(tally: Mapping[str, Any]) -> str:
    """`FoldTally.to_dict` as one line."""
    folds, before = tally["folds"], tally["finished_before"]
    states = [fold["state"] for fold in folds]
    done = states.count("finished") + before
    counts = [f"{done} of {len(folds) + before} done"]
    counts += [
        f"{states.count(state)} {state}" for state in ("running", "stopped", "waiting", "failed") if state in states
    ]
    running = [fold for fold in folds if fold["state"] in ("running", "stopped")]
    parts = [f"folds: {', '.join(counts)}", *(_running(fold) for fold in running[:_NAMED])]
    if len(running) > _NAMED:
        parts.append(f"{len(running) - _NAMED} more")
    return "; ".join(parts)


def _running(fold: Mapping[str, Any]) -> str:
    if "epoch" not in fold:
        return f"{fold['fold']} {'starts' if fold['state'] == 'running' else 'had not begun'}"
    left = f", {_time(fold['seconds_left'])} left" if "seconds_left" in fold else ""
    return f"{fold['fold']} epoch {fold['epoch']} of {fold['epochs']}, loss {fold['loss']:.4g}{left}"


def _time(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"
