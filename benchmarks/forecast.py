"""How far `--dry-run` is from what runs take: `python benchmarks/forecast.py [FOLDER]`; the table is printed.

Each run starts without prepared pictures and features. Wall-clock time of the whole command, on a machine without other
work.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RUNS = {
    "GLASS, demo, 2 folds, 1 epoch": ["--folds", "2", "--epochs", "1"],
    "GLASS, demo, 4 folds": ["--folds", "4"],
    "CS-Flow, demo, 2 folds": ["--detector", "csflow", "--preset", "fast", "--folds", "2"],
}
_UNITS = {"s": 1.0, "min": 60.0, "h": 3600.0}


def main(folder: Path) -> None:
    program = Path(sys.executable).with_name("raylab2f")
    environment = {**os.environ, "RAYLAB2F_CACHE": str(folder / "cache"), "COLUMNS": "200"}

    def run(*options: str) -> tuple[float, str]:
        started = time.perf_counter()
        done = subprocess.run(
            [program, "run-cv", *options], env=environment, capture_output=True, text=True, check=True
        )
        return time.perf_counter() - started, done.stdout

    # Renders the demo, which every run finds then.
    run("--dry-run", "--folds", "2", "--out", str(folder / "none"))
    print("| run | forecast | took | took / forecast |\n|---|---|---|---|")
    for name, options in RUNS.items():
        for made in ("pictures", "features"):
            shutil.rmtree(folder / "cache" / made, ignore_errors=True)
        _, said = run(*options, "--dry-run", "--out", str(folder / "none"))
        forecast = _seconds(said)
        took, _ = run(*options, "--out", str(folder / re.sub(r"\W+", "-", name)))
        print(f"| {name} | {forecast:.0f} s | {took:.0f} s | {took / forecast:.2f} |", flush=True)


def _seconds(said: str) -> float:
    (cell,) = re.findall(r"time: everything, if nobody else uses the cluster *│ *(.*?) *│", said)
    return sum(float(amount) * _UNITS[unit] for amount, unit in re.findall(r"(\d+) (s|min|h)", cell))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as temporary:
            main(Path(temporary))
