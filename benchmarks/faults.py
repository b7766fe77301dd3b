"""Faults that are too slow for the tests, injected into real runs: what is lost, and how soon folds train again.

    python benchmarks/faults.py --work /tmp/faults

Every fault meets a CS-Flow run of 3 folds on 200 small pictures whose results without a fault are known. Recovery is
the time from the fault, or from giving the command again where that is needed, until the work that was hit goes on: a
fold trains, a part of the features is written. Results go to faults.md beside this file. Linux only.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import signal
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import ray

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))

from ray_head import BIN, Head, marked_processes, title, trains_a_fold
from watched import Watched

PICTURES, DEFECTIVE = 200, 40
EPOCHS = 15
# Bytes by which the limit of memory lies above what is in use.
ROOM = 4 << 30


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="an empty folder")
    parser.add_argument("--only", nargs="*", choices=[f.__name__ for f in FAULTS], help="functions of this file")
    options = parser.parse_args()
    work = options.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    if not (work / "undisturbed" / "summary.json").exists():
        write_pictures(work)
        run(work, "undisturbed").wait()
    for fault in FAULTS:
        if not options.only or fault.__name__ in options.only:
            print(fault.__name__, flush=True)
            row = [*fault(work), os.getloadavg()[1]]
            print(*row, sep=" | ", flush=True)
            (work / f"{fault.__name__}.json").write_text(json.dumps(row), encoding="utf-8")
    found = [work / f"{fault.__name__}.json" for fault in FAULTS]
    write_results([json.loads(path.read_text(encoding="utf-8")) for path in found if path.exists()])


def a_driver_is_killed(work: Path) -> tuple[str, str, float]:
    """`kill -9` of the program after its first fold."""
    first = run(work, "driver")
    first.wait(until=lambda: finished(work / "driver"))
    first.process.kill()
    first.process.communicate()
    kept = finished(work / "driver")
    first.wait_for_processes()
    begun = time.monotonic()
    second = run(work, "driver", "--resume")
    second.wait(until=lambda: training(second.mark))
    seconds = time.monotonic() - begun
    second.wait()
    check(work, "driver", kept)
    return "the driver is killed", f"no finished fold ({len(kept)} of 3 kept)", seconds


def a_training_worker_is_killed(work: Path) -> tuple[str, str, float]:
    """`kill -9` of the process that trains, in the middle of a fold."""
    watched = run(work, "worker")
    watched.wait(until=lambda: finished(work / "worker") and training(watched.mark))
    killed = training(watched.mark)
    for pid in killed:
        os.kill(pid, signal.SIGKILL)
    begun = time.monotonic()
    watched.wait(until=lambda: training(watched.mark) - killed)
    seconds = time.monotonic() - begun
    said = watched.wait()
    assert watched.process.returncode == 0, said
    check(work, "worker", {})
    return "a training worker is killed", "what came after the fold's last checkpoint", seconds


def a_node_is_killed(work: Path) -> tuple[str, str, float]:
    """All processes of the second of two nodes, while folds train on both."""
    with Head(work / "two nodes", cpus=1) as head:
        node = head.add_node()
        more = ("--max-parallel-folds", "2", "--address", head.address)
        watched = run(work, "node", *more, environment={**head.environment, "RAY_AUTH_TOKEN": head.token})
        watched.wait(until=lambda: training(node) and training(f"{head.mark}\0"))
        head.kill_node(node)
        begun = time.monotonic()
        while head.alive_nodes() > 1:
            time.sleep(0.1)
        seconds = time.monotonic() - begun
        said = watched.wait(seconds=500)
        assert watched.process.returncode == 0, said
    check(work, "node", {})
    return "a node is killed (until Ray counts it as lost)", "what came after its fold's last checkpoint", seconds


def the_head_is_killed(work: Path) -> tuple[str, str, float]:
    """All processes of `ray start --head` while a submitted run trains; a new head, the job once more."""
    out = work / "head"
    with Head(work / "first head") as head:
        job = submit(head, work, "head")
        job.wait(until=lambda: finished(out) and training(head.mark), seconds=500)
        kept = finished(out)
    job.process.communicate(timeout=120)
    assert job.process.returncode != 0
    begun = time.monotonic()
    with Head(work / "second head") as head:
        started = time.monotonic() - begun
        job = submit(head, work, "head", "--resume")
        job.wait(until=lambda: training(head.mark))
        seconds = time.monotonic() - begun
        said = job.wait(seconds=500)
        assert job.process.returncode == 0, said
    check(work, "head", kept)
    lost = f"no finished fold ({len(kept)} of 3 kept); {started:.0f} s of the recovery are the new head's start"
    return "the head node is killed, and a new one started, during a submitted run", lost, seconds


def an_extraction_actor_is_killed(work: Path) -> tuple[str, str, float]:
    """`kill -9` of one of the processes that hold the backbone, when the first part of the features is there."""
    cache = work / "actor cache"
    shutil.copytree(work / "cache" / "pictures", cache / "pictures")
    watched = run(work, "actor", cache=cache)

    def parts() -> int:
        return len(list(cache.glob("features/*/part-*.json")))

    def extractors() -> list[int]:
        return [pid for pid in marked_processes(watched.mark) if "_Extractor" in title(pid)]

    watched.wait(until=lambda: parts() > 0 and extractors())
    before = parts()
    os.kill(extractors()[0], signal.SIGKILL)
    begun = time.monotonic()
    watched.wait(until=lambda: parts() > before)
    seconds = time.monotonic() - begun
    watched.wait()
    arrays = sorted((work / "cache" / "features").glob("*/*.npy"))
    assert arrays
    same = [a.read_bytes() == (cache / a.relative_to(work / "cache")).read_bytes() for a in arrays]
    assert all(same), same
    check(work, "actor", {})
    total = len(list((work / "cache" / "features").glob("*/part-*.json")))
    return "a process that extracts features is killed", f"parts in work ({before} of {total} were done)", seconds


def memory_runs_out(work: Path) -> tuple[str, str, float]:
    """Another program takes the machine's memory until Ray's monitor kills the process that trains, then gives it back.

    The monitor's limit is set 4 GiB above what is in use, so that the machine itself never runs out.
    """
    total, free = (memory(name) for name in ("MemTotal", "MemAvailable"))
    limit = {"RAY_memory_usage_threshold": f"{1 - (free - ROOM) / total:.3f}"}
    watched = run(work, "memory", environment=limit)
    watched.wait(until=lambda: finished(work / "memory") and training(watched.mark))
    killed = training(watched.mark)
    taken = np.ones(ROOM + ROOM // 2, np.uint8)
    said = watched.wait(until=lambda: not training(watched.mark) & killed)
    assert watched.process.poll() is None, said
    del taken
    begun = time.monotonic()
    said = watched.wait(until=lambda: training(watched.mark) - killed)
    assert watched.process.poll() is None, said
    seconds = time.monotonic() - begun
    said = watched.wait()
    assert watched.process.returncode == 0, said
    check(work, "memory", {})
    return (
        "memory runs out, and Ray's monitor kills the process that trains",
        "what came after its last checkpoint",
        seconds,
    )


def memory(name: str) -> int:
    """Bytes of a line in /proc/meminfo."""
    lines = Path("/proc/meminfo").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:")) * 1024


FAULTS = (
    a_driver_is_killed,
    a_training_worker_is_killed,
    a_node_is_killed,
    the_head_is_killed,
    an_extraction_actor_is_killed,
    memory_runs_out,
)


def write_pictures(work: Path) -> None:
    generator = np.random.default_rng(0)
    lines = ["path,label,object_id"]
    (work / "pictures").mkdir(parents=True)
    for number in range(PICTURES):
        picture = generator.normal(generator.uniform(90, 150), 12, (96, 96, 3))
        label = int(number < DEFECTIVE)
        if label:
            cv2.circle(picture, tuple(map(int, generator.integers(20, 76, 2))), 11, (250, 30, 30), -1)
        cv2.imwrite(str(work / "pictures" / f"{number:03d}.png"), picture.clip(0, 255).astype(np.uint8))
        lines.append(f"pictures/{number:03d}.png,{label},part {number}")
    (work / "plates.csv").write_text("\n".join(lines), encoding="utf-8")


def words(work: Path, out: str, *more: str, cache: Path | None = None) -> list[str]:
    options = {
        "data": work / "plates.csv",
        "cache": cache or work / "cache",
        "out": work / out,
        "detector": "csflow",
        "layers": "blocks.4",
        "preset": "fast",
        "size": 64,
        "folds": 3,
        "epochs": EPOCHS,
        "max-parallel-folds": 1,
        "replicates": 200,
    }
    return ["run-cv", *(str(word) for name, value in options.items() for word in (f"--{name}", value)), *more]


def run(
    work: Path, out: str, *more: str, cache: Path | None = None, environment: dict[str, str] | None = None
) -> Watched:
    return Watched([str(BIN / "raylab2f"), *words(work, out, *more, cache=cache)], environment)


def submit(head: Head, work: Path, out: str, *more: str) -> Watched:
    command = [str(BIN / "raylab2f"), "submit", "--address", head.dashboard, "--follow", "--", *words(work, out, *more)]
    return Watched(command, {**head.environment, "RAY_AUTH_TOKEN": head.token})


def training(mark: str) -> set[int]:
    """Processes that train a fold."""
    return {pid for pid in marked_processes(mark) if trains_a_fold(pid)}


def finished(out: Path) -> dict[str, int]:
    """Finished folds, and when their models were written."""
    return {p.parent.name: (p.parent / "model.safetensors").stat().st_mtime_ns for p in out.glob("folds/*/fold.json")}


def check(work: Path, out: str, kept: dict[str, int]) -> None:
    """The run ended as the undisturbed one, and the folds `kept` were not trained again."""
    assert kept.items() <= finished(work / out).items(), (kept, finished(work / out))
    ours, theirs = (json.loads((work / name / "summary.json").read_text("utf-8")) for name in (out, "undisturbed"))
    assert ours["folds"] == {"planned": 3, "finished": 3}, ours["folds"]
    for one, other in zip(ours["estimates"], theirs["estimates"], strict=True):
        assert one["metric"] == other["metric"]
        assert one["mean"] is other["mean"] is None or abs(one["mean"] - other["mean"]) < 1e-3, (one, other)


def write_results(rows: list[list]) -> None:
    lines = [
        "# Faults, what they cost, and how soon work goes on",
        "",
        "`python benchmarks/faults.py`: each fault in a CS-Flow run of 3 folds whose summary was afterwards that of an "
        "undisturbed run. Seconds are from the fault, or from giving the command again, until a fold trains (until the "
        "next part of the features, for the extraction).",
        "",
        "| fault | lost | seconds to recover | load |",
        "|---|---|---|---|",
        *(f"| {fault} | {lost} | {seconds:.0f} | {load:.0f} |" for fault, lost, seconds, load in rows),
        "",
        f"{os.cpu_count()} cores of {platform.machine()}, shared with other work: the load is the mean number of "
        "processes that ran or wanted to, over five minutes. "
        f"Python {platform.python_version()}, ray {ray.__version__}.",
    ]
    Path(__file__).with_suffix(".md").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
