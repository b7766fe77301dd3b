"""How `evaluate` grows with the number of pictures: `python benchmarks/evaluate_scale.py [PICTURES...]`.

Simulated scores, four pictures an object, a tenth of the objects defective, ten folds. Each fold holds out a tenth of
the objects (`once`: a row for each picture) or all of them (`every fold`: ten rows for each picture); half of the
held-out objects choose the threshold, the others are judged. Each size runs in a process of its own, one thread, 1,000
replicates, all intervals and shortcuts. Results go to evaluate_scale.md beside this file.
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"

import json
import platform
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa

FOLDS = 10
PICTURES_PER_OBJECT = 4
REPLICATES = 1_000
SIZES = (10_000, 30_000, 100_000, 300_000, 1_000_000)
#: Ten rows for each picture: the largest has as many rows as the largest above.
SIZES_EVERY_FOLD = (10_000, 100_000)


def simulate(pictures: int, every_fold: bool) -> pa.Table:
    """A score table; see the head of this file."""
    rng = np.random.default_rng(0)
    objects = pictures // PICTURES_PER_OBJECT
    owner = np.repeat(np.arange(objects), PICTURES_PER_OBJECT)
    defective = np.arange(objects) < objects // 10
    base = 2.0 * defective[owner] + 0.7 * rng.standard_normal(objects)[owner] + 0.7 * rng.standard_normal(len(owner))
    shuffled = rng.permutation(objects)
    blocks = []
    for fold in range(FOLDS):
        held_out = shuffled if every_fold else shuffled[fold::FOLDS]
        judged = np.zeros(objects, dtype=bool)
        judged[rng.permutation(held_out)[: len(held_out) // 2]] = True
        rows = np.flatnonzero(np.isin(owner, held_out))
        columns = {
            "fold": np.full(len(rows), fold),
            "partition": np.where(judged[owner[rows]], "inference", "threshold"),
            "image_id": np.char.add("i", rows.astype(str)),
            "object_id": np.char.add("o", owner[rows].astype(str)),
            "label": defective[owner[rows]].astype(int),
            "score": base[rows] + 0.3 * rng.standard_normal(len(rows)),
        }
        blocks.append(pa.table(columns))
    return pa.concat_tables(blocks)


def measure(pictures: int, every_fold: bool) -> dict[str, float]:
    """Processor seconds, wall-clock seconds and memory of one evaluation, in this process."""
    from raylab2f.evaluation import evaluate

    table = simulate(pictures, every_fold)
    before = _peak()
    wall, processor = time.perf_counter(), time.process_time()
    summary = evaluate(table, strategies=("youden", "cost"), replicates=REPLICATES, prevalence=0.02)
    taken = {"processor": time.process_time() - processor, "wall": time.perf_counter() - wall}
    row = summary.find("escape_rate")
    assert row.interval is not None
    return taken | {
        "rows": table.num_rows,
        "peak": _peak(),
        "before": before,
        "width": row.interval.high - row.interval.low,
    }


def _peak() -> float:
    """GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def main(sizes: tuple[int, ...]) -> None:
    lines = [
        "# How `evaluate` grows with the number of pictures",
        "",
        f"`python benchmarks/evaluate_scale.py`, one thread of {platform.machine()}, Python "
        f"{platform.python_version()}, numpy {np.__version__}; {PICTURES_PER_OBJECT} pictures an object, {FOLDS} "
        f"folds, {REPLICATES:,} replicates, two strategies, all intervals and shortcuts; peak memory of the process, "
        "imports and the table included.",
        "",
        "| held out | pictures | objects | rows | processor | wall clock | a row | peak memory |",
        "|---|---|---|---|---|---|---|---|",
    ]
    jobs = [(size, False) for size in sizes] + [(size, True) for size in SIZES_EVERY_FOLD if size <= max(sizes)]
    for pictures, every_fold in jobs:
        done = subprocess.run(
            [sys.executable, __file__, "--one", str(pictures), str(int(every_fold))],
            check=True,
            capture_output=True,
            text=True,
        )
        got = json.loads(done.stdout)
        lines.append(
            f"| {'every fold' if every_fold else 'once'} | {pictures:,} | {pictures // PICTURES_PER_OBJECT:,} "
            f"| {got['rows']:,} | {got['processor']:.1f} s | {got['wall']:.1f} s "
            f"| {1e6 * got['processor'] / got['rows']:.0f} us | {got['peak']:.2f} GiB |"
        )
        print(lines[-1], flush=True)
    Path(__file__).with_suffix(".md").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        print(json.dumps(measure(int(sys.argv[2]), bool(int(sys.argv[3])))))
    else:
        main(tuple(int(size) for size in sys.argv[1:]) or SIZES)
