"""How long 10 to 1,000 folds take on 1 to 64 GPUs, from a small model whose numbers are measured on Ray.

python benchmarks/scaling.py --fold-seconds 100 --start-seconds 20

Measured: folds that only sleep and report once a second are driven by `raylab2f.cluster.training.folds.run_folds`,
unchanged, on a machine that claims to have so many processor slots. What lies between two folds of one process is the
gap.

Model: every GPU has one process, ready after `start`; whoever is free takes the next fold, `gap` after its last one.
All processes start at the same time, for in a cluster each has processors of its own.
"""

from __future__ import annotations

import argparse
import heapq
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import ray
import ray.tune
from timeline import read_timeline

from raylab2f.cluster.session import ray_session
from raylab2f.cluster.training import folds as folds_module
from raylab2f.cluster.training.placement import FoldResources
from raylab2f.runs.fold import FoldTask

GPUS = (1, 2, 4, 8, 16, 32, 64)
FOLDS = (10, 100, 640, 1000)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fold-seconds", type=float, default=100.0, help="Of a fold in the model.")
    parser.add_argument("--start-seconds", type=float, default=20.0, help="Until a process is ready, in the model.")
    parser.add_argument("--slots", type=int, nargs="+", default=[4, 16, 64])
    parser.add_argument("--rounds", type=int, default=4, help="Folds per slot.")
    parser.add_argument("--sleep", type=float, default=20.0, help="Seconds of a measured fold.")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".md"))
    options = parser.parse_args()

    measured = {slots: sleep_on_ray(slots, slots * options.rounds, options.sleep) for slots in options.slots}
    gap = max(statistics.fmean(gaps) for gaps in measured.values())
    options.out.write_text(_report(options, measured, gap), encoding="utf-8")
    print(options.out.read_text(encoding="utf-8"))


def makespan(durations: Sequence[float], gpus: int, *, start: float, gap: float) -> float:
    """Seconds until the last of the folds has ended."""
    free = [start] * min(gpus, len(durations))
    ends = []
    for duration in durations:
        ends.append(heapq.heappop(free) + duration)
        heapq.heappush(free, ends[-1] + gap)
    return max(ends)


def sleep_on_ray(slots: int, count: int, seconds: float) -> tuple[float, ...]:
    """Gaps between folds in one slot."""
    folds_module.train_in_trial = _sleep  # what a fold does is replaced, how folds are driven is not
    with tempfile.TemporaryDirectory() as folder, ray_session(cpus=slots):
        tasks = [_task(Path(folder) / "run" / "folds" / str(fold), fold, seconds) for fold in range(count)]
        begin = time.time()
        failures = folds_module.run_folds(tasks, FoldResources(), Path(folder) / "storage")
        end = time.time()
        times = [json.loads((Path(task.folder) / "times.json").read_text(encoding="utf-8")) for task in tasks]
    assert len(failures) == count, "a sleeping fold leaves no result, so it counts as failed"
    return read_timeline([(first, last) for first, last in times], begin, end).gaps


def _task(folder: Path, fold: int, seconds: float) -> FoldTask:
    return FoldTask(
        folder=str(folder),
        fold=fold,
        manifest="",
        detector="sleep",
        config={"seconds": seconds},
        seed=0,
        pictures="",
        stores=(),
    )


def _sleep(config: dict[str, Any]) -> None:
    task = FoldTask.from_dict(config["task"])
    begin = time.time()
    epochs = max(1, round(task.config["seconds"]))
    for epoch in range(1, epochs + 1):
        time.sleep(task.config["seconds"] / epochs)
        ray.tune.report({"fold": task.fold, "epoch": epoch, "epochs": epochs, "loss": 0.0, "pictures_per_second": 0.0})
    Path(task.folder).mkdir(parents=True, exist_ok=True)
    (Path(task.folder) / "times.json").write_text(json.dumps([begin, time.time()]), encoding="utf-8")


def _report(options: argparse.Namespace, measured: dict[int, tuple[float, ...]], gap: float) -> str:
    lines = [
        "# How folds scale over GPUs",
        "",
        f"`python benchmarks/scaling.py --fold-seconds {options.fold_seconds:g} "
        f"--start-seconds {options.start_seconds:g} --rounds {options.rounds} --sleep {options.sleep:g}`",
        "",
        "Measured: seconds between two folds of one process, with sleeping folds that report once a second.",
        "",
        "| processes at the same time | mean | median | largest |",
        "|---|---|---|---|",
    ]
    for slots, gaps in measured.items():
        lines.append(f"| {slots} | {statistics.fmean(gaps):.2f} | {statistics.median(gaps):.2f} | {max(gaps):.2f} |")
    lines += [
        "",
        f"Model: folds of {options.fold_seconds:g} s, {options.start_seconds:g} s until a process is ready, {gap:.2f} "
        "s from fold to fold (the largest mean above). Minutes until all have ended; in brackets the efficiency: what "
        "the folds alone would take if they could be cut at will, over that time.",
        "",
        "| folds | " + " | ".join(f"{gpus} GPU{'s' if gpus > 1 else ''}" for gpus in GPUS) + " |",
        "|---|" + "---|" * len(GPUS),
    ]
    for count in FOLDS:
        cells = []
        for gpus in GPUS:
            seconds = makespan([options.fold_seconds] * count, gpus, start=options.start_seconds, gap=gap)
            cells.append(f"{seconds / 60:.1f} ({count * options.fold_seconds / gpus / seconds:.0%})")
        lines.append(f"| {count:,} | " + " | ".join(cells) + " |")
    lines += [
        "",
        "A number of folds that is no multiple of the GPUs leaves some idle at the end: that, and not Ray, is what the "
        "small percentages show.",
        "",
        f"{os.cpu_count()} processor slots of {platform.machine()} behind all processes; Python "
        f"{platform.python_version()}, ray {version('ray')}.",
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
