"""What a fold's process holds, and how long it takes, with features read as they are needed and with all held.

    python benchmarks/memory_budget.py --pictures 10000 --budget 8GiB --compare 1000 --work /tmp/budget

Writes a feature store of `--pictures` pictures, maps of 512 x 40 x 40 in float16, `--distinct` parts of 64 pictures
under as many names as needed (hard links: reading through the page cache costs the same, the disk is spared; from a
cold disk add what it takes to read the store once per pass). Every case is a process of its own, with Ray imported as
in a fold's: it fits the detector, or trains steps of it, and scores 64 pictures. Resident and anonymous memory (VmRSS
and RssAnon of /proc/self/status) are sampled 50 times a second; Linux only. Held and read are compared on `--compare`
pictures, with the budget scaled down alike, but not below `--least`. Results go to memory_budget.md beside this file.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from raylab2f.features.store import FeatureStore
from raylab2f.features.store_writing import array_path, finish_store, write_part
from raylab2f.files.atomic import write_json
from raylab2f.options.quantities import bytes_of
from raylab2f.runs.memory_budget import size_text
from raylab2f.versions import version_of

SHAPE = (512, 40, 40)
SCALES = {"layer": SHAPE, "half": (512, 20, 20), "quarter": (512, 10, 10)}
ROWS = 64
JUDGED = 64
# Of a detector that trains in steps, so many pictures an epoch: two of CS-Flow's batches.
DRAWN = 32
CASES = ("mahalanobis", "padim", "patchcore", "csflow")


def write_store(folder: Path, pictures: int, distinct: int) -> None:
    """A store of so many pictures, of which `distinct` parts differ."""
    generator = np.random.default_rng(0)
    for part, start in enumerate(range(0, pictures, ROWS)):
        count = min(ROWS, pictures - start)
        names = [f"{row:06d}.png" for row in range(start, start + count)]
        if part < distinct or count < ROWS:
            maps = [generator.normal(size=(count, *shape)).astype(np.float32) for shape in SCALES.values()]
            write_part(folder, part, names, list(SCALES), maps)
            continue
        source = part % distinct
        for layer in SCALES:
            os.link(array_path(folder, source, layer), array_path(folder, part, layer))
        record = json.loads((folder / f"part-{source:05d}.json").read_text(encoding="utf-8"))
        write_json(folder / f"part-{part:05d}.json", record | {"image_ids": names})
    finish_store(folder, {"layers": list(SCALES), "dtype": "float16"})


class MemoryWatch:
    """Peaks of this process's resident and anonymous memory, in bytes."""

    def __enter__(self) -> MemoryWatch:
        self.rss = self.anonymous = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(0.02):
            said = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
            self.rss = max(self.rss, int(said["VmRSS"].split()[0]) << 10)
            self.anonymous = max(self.anonymous, int(said["RssAnon"].split()[0]) << 10)


def one_case(store_folder: str, detector: str, pictures: int, budget: int) -> dict[str, float]:
    """Fit or train and score in this process. `budget` 0: hold everything."""
    import ray.tune  # noqa: F401  # what a fold's process has loaded
    import torch

    from raylab2f.detectors.base import Samples
    from raylab2f.detectors.registry import detector_class, preset_config
    from raylab2f.detectors.training import predict_batches, train_epochs
    from raylab2f.runs.fold_memory import FoldSize, plan_streaming
    from raylab2f.runs.streaming import streamed_samples

    torch.set_num_threads(1)
    store = FeatureStore.open(store_folder)
    layers = tuple(SCALES) if detector == "csflow" else ("layer",)
    store = replace(store, layers=layers)
    shapes = [SCALES[layer] for layer in layers]
    cls = detector_class(detector)
    config = replace(preset_config(detector, "fast"), size=(320, 320), layers=("layer",))
    if detector == "mahalanobis":
        # As many as PaDiM has: the product of 512 by 512 for sixteen million positions is what would be timed.
        config = replace(config, dimensions=100)
    if config.schedule.epochs:
        config = replace(config, schedule=replace(config.schedule, epochs=1, samples_per_epoch=DRAWN))
    size = FoldSize(detector, config, shapes, "float16", pictures, JUDGED)
    streaming = plan_streaming(size, budget or None)
    assert (streaming is None) == (not budget), "the case is not what it should be"

    def samples(names: list[str]) -> Samples:
        if streaming is not None:
            return streamed_samples(names, [store], None, torch.device("cpu"), streaming)
        return Samples([torch.from_numpy(store.read(names, layer)) for layer in layers])

    with MemoryWatch() as watch:
        started = time.perf_counter()
        train = samples(list(store.image_ids[:pictures]))
        made = cls(config, shapes)
        made.begin(train, 0)
        for _ in train_epochs(made, train, config.schedule, made.optimizers(), seed=0):
            pass
        seconds = time.perf_counter() - started
        del train
        list(predict_batches(made, samples(list(store.image_ids[:JUDGED])), 32))
    return {"rss": watch.rss, "anonymous": watch.anonymous, "seconds": seconds, "held": size.held}


def run_case(store: Path, detector: str, pictures: int, budget: int) -> dict[str, float]:
    command = [sys.executable, __file__, "--case", f"{store},{detector},{pictures},{budget}"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    result = json.loads(done.stdout.splitlines()[-1])
    print(detector, pictures, size_text(budget) if budget else "held", result, flush=True)
    return result


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--pictures", type=int, default=10_000)
    parser.add_argument("--budget", default="8GiB")
    parser.add_argument("--compare", type=int, default=1000)
    parser.add_argument("--least", default="1GiB")
    parser.add_argument("--distinct", type=int, default=16)
    parser.add_argument("--work", type=Path, default=Path("/tmp/memory-budget"))
    parser.add_argument("--only", action="append", choices=CASES, help="of the large cases")
    parser.add_argument("--compare-only", action="append", choices=CASES)
    parser.add_argument("--case", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.case:
        store, detector, pictures, budget = given.case.split(",")
        print(json.dumps(one_case(store, detector, int(pictures), int(budget))))
        return
    store = given.work / "store"
    if not (store / "store.json").exists():
        store.mkdir(parents=True)
        write_store(store, given.pictures, given.distinct)
    budget = bytes_of(given.budget, "--budget")
    small = max(bytes_of(given.least, "--least"), budget * given.compare // given.pictures)
    rows, compared = [], []
    for detector in given.only or CASES:
        found = run_case(store, detector, given.pictures, budget)
        rows.append(
            f"| `{detector}` | {found['held'] / 2**30:.1f} GiB | {found['rss'] / 2**30:.2f} GiB | "
            f"{found['anonymous'] / 2**30:.2f} GiB | {found['seconds']:.0f} s |"
        )
    for detector in given.compare_only or CASES:
        held, read = (run_case(store, detector, given.compare, own) for own in (0, small))
        compared.append(
            f"| `{detector}` | {held['rss'] / 2**30:.2f} GiB | {read['rss'] / 2**30:.2f} GiB | "
            f"{read['anonymous'] / 2**30:.2f} GiB | {held['seconds']:.1f} s | {read['seconds']:.1f} s | "
            f"{read['seconds'] / held['seconds']:.2f} |"
        )
    shutil.rmtree(given.work)
    versions = ", ".join(f"{name} {version_of(name)}" for name in ("torch", "numpy", "ray"))
    lines = [
        "# Features within a memory budget",
        "",
        f"`python benchmarks/memory_budget.py --pictures {given.pictures} --budget {given.budget} --compare "
        f"{given.compare} --least {given.least}`: maps of 512 x 40 x 40 in float16, one thread, presets `fast` (100 "
        f"dimensions for `mahalanobis`, too); CS-Flow trains on {DRAWN} pictures drawn from all, with maps of 20 x 20 "
        "and 10 x 10 beside the others.",
        "",
        f"{given.pictures:,} pictures, `--memory-budget {size_text(budget)}`; peaks of the process, which has Ray and "
        "torch loaded:",
        "",
        "| detector | forecast, all held | resident | anonymous | fitted or trained in |",
        "|---|---|---|---|---|",
        *rows,
        "",
        f"{given.compare:,} pictures, held and with `--memory-budget {size_text(small)}`:",
        "",
        "| detector | resident, held | resident, read | anonymous, read | held | read | read / held |",
        "|---|---|---|---|---|---|---|",
        *compared,
        "",
        f"The store's {-(-given.pictures // ROWS)} parts are hard links to {given.distinct} that differ, which stay in "
        "the page cache; from a cold disk every pass over the pictures adds the time to read the store.",
        "",
        f"{os.cpu_count()} processor slots of {platform.machine()}, shared with other work; Python "
        f"{platform.python_version()}, {versions}.",
    ]
    Path(__file__).with_suffix(".md").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
