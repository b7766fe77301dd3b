"""What a run is doing, for Prometheus: gauges, counters and histograms through Ray's own metrics.

Each node of a cluster offers them at its metrics port with the prefix `ray_`, a private one only if it has a dashboard;
docs/grafana.json draws them. All are recorded by the driver, from what folds report to it anyway, so a fold's process
does nothing for them. Names are short ASCII: `schweißnaht` is `schwei%C3%9Fnaht` there.

| name | kind | tags | |
|---|---|---|---|
| `raylab2f_folds` | gauge | run, detector, state | folds planned, running, finished, failed |
| `raylab2f_epoch`, `raylab2f_epochs` | gauge | run, detector, fold | epochs done, epochs in all |
| `raylab2f_loss` | gauge | run, detector, fold | mean over the last epoch's pictures |
| `raylab2f_pictures_per_second` | gauge | run, detector, fold | over all workers, in the last epoch |
| `raylab2f_gpu_memory_bytes` | gauge | run, detector, fold | largest so far, in the first worker |
| `raylab2f_fold_seconds` | histogram | run, detector | from start to end of a fold that finished |
| `raylab2f_features` | counter | run, detector, source | pictures whose features were `stored` or `computed` |
"""

from __future__ import annotations

import time
from collections import Counter as Tally
from collections.abc import Iterable
from typing import Any

from ray.util.metrics import Counter, Gauge, Histogram

from raylab2f.cluster.names import as_tag
from raylab2f.files.places import name_of, parent_of
from raylab2f.runs.fold import FoldTask

__all__ = ["FoldMonitor", "record_features"]

_RUN = ("run", "detector")
_FOLD = ("run", "detector", "fold")
_STATES = ("planned", "running", "finished", "failed")
_GAUGES = {
    "epoch": "raylab2f_epoch",
    "epochs": "raylab2f_epochs",
    "loss": "raylab2f_loss",
    "pictures_per_second": "raylab2f_pictures_per_second",
    "gpu_memory": "raylab2f_gpu_memory_bytes",
}
_FOLD_SECONDS = [10.0, 30, 60, 120, 300, 600, 1800, 3600, 4 * 3600, 12 * 3600]


class FoldMonitor:
    """Records what it is told of folds; called as `folds.Progress`.

    Arguments:
        tasks: all folds of one run or several; those not among `missing` were finished before.
        missing: folders of the folds to be trained.
    """

    def __init__(self, tasks: Iterable[FoldTask], missing: Iterable[str]) -> None:
        self.tasks = {task.folder: task for task in tasks}
        self.states = dict.fromkeys(self.tasks, "finished") | dict.fromkeys(missing, "planned")
        self.started: dict[str, float] = {}
        self.folds = Gauge("raylab2f_folds", "Folds by state.", (*_RUN, "state"))
        self.numbers = {key: Gauge(name, f"{key} of a fold in training.", _FOLD) for key, name in _GAUGES.items()}
        self.seconds = Histogram("raylab2f_fold_seconds", "Duration of finished folds.", _FOLD_SECONDS, _RUN)
        self._count()

    def __call__(self, folder: str, numbers: dict[str, Any]) -> None:
        task = self.tasks[folder]
        tags = run_tags(task)
        if numbers.get("done"):
            state = "failed" if numbers.get("failed") else "finished"
            if state == "finished" and folder in self.started:
                self.seconds.observe(time.monotonic() - self.started.pop(folder), tags)
        else:
            self.started.setdefault(folder, time.monotonic())
            state = "running"
        self.states[folder] = state
        # Every time, changed or not: Ray drops a gauge that nobody has set for a while.
        self._count()
        for key in self.numbers.keys() & numbers.keys():
            self.numbers[key].set(float(numbers[key]), {**tags, "fold": str(task.fold)})

    def _count(self) -> None:
        tally = Tally((*run_tags(task).values(), self.states[folder]) for folder, task in self.tasks.items())
        for run, detector in {(run, detector) for run, detector, _ in tally}:
            for state in _STATES:
                self.folds.set(tally[run, detector, state], {"run": run, "detector": detector, "state": state})


def record_features(run: str, detector: str, *, stored: int, computed: int) -> None:
    """Count pictures by where their features came from: the store, or the backbone."""
    counter = Counter("raylab2f_features", "Pictures by the source of their features.", (*_RUN, "source"))
    for source, count in (("stored", stored), ("computed", computed)):
        if count:
            counter.inc(count, {"run": as_tag(run), "detector": as_tag(detector), "source": source})


def run_tags(task: FoldTask) -> dict[str, str]:
    """`run` (the name of its folder, see `as_tag`) and `detector`."""
    return {"run": as_tag(name_of(parent_of(parent_of(task.folder)))), "detector": as_tag(task.detector)}
