"""How often intervals of probabilities' metrics contain what they are about: `python benchmarks/probabilities.py [N]`.

Normal scores of objects of one picture, the defective ones 1.5 standard deviations higher, one fold: half of the
objects fit the calibrator, the others judge it. What an interval should contain is the metric's mean over data sets of
that size. Results of N (200) data sets a row go to probabilities.md beside this file.
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"

import sys
from pathlib import Path

import numpy as np
import pyarrow as pa

from raylab2f.evaluation.decisions.object_scores import parse_object_score
from raylab2f.evaluation.probabilities.calibrators import CALIBRATORS
from raylab2f.evaluation.probabilities.levels import judge_probabilities
from raylab2f.evaluation.probabilities.reliability import RELIABILITY_METRICS
from raylab2f.evaluation.scores import prepare_scores

#: Objects of either class that judge; as many fit.
SIZES = (20, 50, 100)
SHIFT = 1.5
REPLICATES = 200


def judged(objects: int, calibrator: str, rng: np.random.Generator) -> tuple[np.ndarray, float]:
    """(metrics, 3) estimates and ends of 95 % intervals of one data set, NaN for none, and the ECE by chance."""
    label = np.repeat([1, 0], 2 * objects)
    names = [str(number) for number in range(len(label))]
    table = pa.table(
        {
            "image_id": names,
            "object_id": names,
            "label": label,
            "score": rng.normal(SHIFT * label),
            "partition": np.where(np.arange(len(label)) % 2, "inference", "threshold"),
        }
    )
    found = judge_probabilities(
        prepare_scores(table),
        parse_object_score("max"),
        calibrator,
        prevalence=None,
        ratio=1.0,
        methods=["object-bootstrap"],
        default="object-bootstrap",
        confidence=0.95,
        replicates=REPLICATES,
        seed=0,
    )
    rows = [row for row in found.estimates if row.level == "object"]
    nothing = [np.nan] * 3
    values = [nothing if row.interval is None else [row.mean, row.interval.low, row.interval.high] for row in rows]
    assert found.reliability is not None
    return np.array(values), found.reliability["levels"]["object"]["chance_ece"]


def main() -> None:
    datasets = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    lines = [
        "# Coverage of the intervals of probabilities' metrics",
        "",
        f"`python benchmarks/probabilities.py {datasets}`: {datasets} simulated data sets a row, one fold, 95 % "
        f"intervals of the default method, {REPLICATES} replicates. *covered*: how often the interval holds the "
        "metric's mean over data sets of that size.",
        "",
        "| calibrator | objects judged | metric | mean | covered | mean width |",
        "|---|---|---|---|---|---|",
    ]
    for number, (calibrator, objects) in enumerate((c, n) for c in CALIBRATORS for n in SIZES):
        rng = np.random.default_rng(number)
        found = [judged(objects, calibrator, rng) for _ in range(datasets)]
        values = np.array([one for one, _ in found])
        for row, metric in enumerate(RELIABILITY_METRICS):
            value, low, high = values[~np.isnan(values[:, row, 0]), row].T
            if len(value) < datasets / 2:
                continue
            covered = ((low <= value.mean()) & (value.mean() <= high)).mean()
            by_chance = f" (by chance {np.mean([chance for _, chance in found]):.3f})" if metric == "ece" else ""
            width = (high - low).mean()
            cells = (calibrator, f"{objects} + {objects}", metric, f"{value.mean():.3f}{by_chance}")
            lines.append(f"| {' | '.join(cells)} | {covered:.2f} | {width:.2f} |")
    Path(__file__).with_suffix(".md").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
