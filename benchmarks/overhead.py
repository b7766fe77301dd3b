"""What a run takes beyond training: start, between folds, end; for folds inside their trial and for TorchTrainer.

python benchmarks/overhead.py

Pictures and features are made by a first run that does not count. Folds are short, since what is measured does not
depend on their length.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

from timeline import Timeline, read_timeline


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folds", type=int, default=10)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".md"))
    options = parser.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        common = ["--folds", str(options.folds), "--epochs", str(options.epochs), "--cache", f"{folder}/cache"]
        _run([*common[2:], "--folds", "1"], Path(folder) / "first")
        rows = {
            "in its trial": _run(common, Path(folder) / "trial"),
            "TorchTrainer, 2 workers": _run([*common, "--workers-per-fold", "2"], Path(folder) / "trainer"),
        }
        imports = {
            name: _import_seconds(name)
            for name in ("raylab2f.cli", "ray", "torch", "raylab2f.workflows.cross_validation")
        }
    options.out.write_text(_report(rows, imports, options.folds, options.epochs), encoding="utf-8")
    print(options.out.read_text(encoding="utf-8"))


def _run(options: list[str], out: Path) -> tuple[Timeline, float]:
    """Timeline of a run of the program on the rendered pictures, and the seconds it took."""
    program = Path(sys.executable).with_name("raylab2f")
    begin = time.time()
    subprocess.run([program, "run-cv", *options, "--out", out], check=True, stdout=subprocess.DEVNULL)
    end = time.time()
    folds = []
    for record in out.glob("folds/*/fold.json"):
        stop = record.stat().st_mtime
        folds.append((stop - json.loads(record.read_text(encoding="utf-8"))["seconds"], stop))
    return read_timeline(folds, begin, end), end - begin


def _idle(folds: int) -> Callable[[Timeline, float], float]:
    """Mean time that a slot has no fold, per fold that follows another one."""

    def seconds(line: Timeline, whole: float) -> float:
        return (line.slots * (whole - line.before - line.after) - line.work) / (folds - line.slots)

    return seconds


def _import_seconds(module: str) -> float:
    """Of a new process that imports the module, without that of an empty one; the median of three."""

    def seconds(code: str) -> float:
        begin = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True)
        return time.perf_counter() - begin

    seconds(f"import {module}")
    return statistics.median(seconds(f"import {module}") - seconds("pass") for _ in range(3))


def _report(rows: dict[str, tuple[Timeline, float]], imports: dict[str, float], folds: int, epochs: int) -> str:
    names = list(rows)
    lines = [
        "# What a run takes beyond training",
        "",
        f"`python benchmarks/overhead.py --folds {folds} --epochs {epochs}`: rendered pictures, preset demo, features "
        "found in the cache. Seconds.",
        "",
        "| | " + " | ".join(names) + " |",
        "|---|" + "---|" * len(names),
    ]
    for what, value in (
        ("the whole run", lambda line, whole: whole),
        ("folds at the same time", lambda line, whole: line.slots),
        ("a fold: training, scoring, writing", lambda line, whole: line.work / folds),
        ("from the command to the first fold", lambda line, whole: line.before),
        ("from a fold to the next in its slot, mean, idle slots at the end included", _idle(folds)),
        ("from the last fold to the end (intervals, diagnosis)", lambda line, whole: line.after),
        ("the run without training", lambda line, whole: whole - line.work / line.slots),
    ):
        cells = [value(*row) for row in rows.values()]
        lines.append(f"| {what} | " + " | ".join(f"{c}" if isinstance(c, int) else f"{c:.1f}" for c in cells) + " |")
    lines += ["", "Imports, in a process of their own: "]
    lines[-1] += ", ".join(f"`{name}` {seconds:.1f}" for name, seconds in imports.items()) + "."
    lines += [
        "",
        f"{os.cpu_count()} processor slots of {platform.machine()}; Python {platform.python_version()}, "
        f"ray {version('ray')}, torch {version('torch')}.",
        "",
        "A fold of several workers starts two or more processes that import torch, each time; a fold of one worker "
        "takes over the process of the one before. So let one worker train a fold where it can, and several folds at a "
        "time fill the cluster.",
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
