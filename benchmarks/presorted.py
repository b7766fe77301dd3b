"""How often the intervals of `pg2` to `pb5` contain what they are about: `python benchmarks/presorted.py [DATASETS]`.

Normal scores of objects of one picture, the defective ones higher by a shift, one fold that judges half of the objects
(a threshold is of no concern here). What an interval should contain is the metric's mean over data sets of that size;
beside it stands its value for infinitely many objects. Results go to presorted.md beside this file.
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"

import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
from scipy.special import ndtr, ndtri

from raylab2f.evaluation.decisions.object_scores import parse_object_score
from raylab2f.evaluation.decisions.strategies import parse_strategy
from raylab2f.evaluation.intervals.interval_table import build_intervals
from raylab2f.evaluation.outcomes.judging import build_problem, judge
from raylab2f.evaluation.outcomes.metrics import Costs
from raylab2f.evaluation.outcomes.presorted import PRESORTED
from raylab2f.evaluation.scores import prepare_scores

#: Defective and good objects judged, and the shift of the defective ones' scores in standard deviations.
SETTINGS = [(n, g, shift) for n, g in ((20, 20), (50, 50), (100, 100), (200, 200), (500, 500)) for shift in (1.5, 3.0)]
REPLICATES = 500


def interval_of(defective: int, good: int, shift: float, rng: np.random.Generator) -> np.ndarray:
    """(metrics, 3) estimates and ends of 95 % intervals of one data set."""
    label = np.r_[np.ones(2 * defective, int), np.zeros(2 * good, int)]
    names = [str(number) for number in range(len(label))]
    table = pa.table(
        {
            "image_id": names,
            "object_id": names,
            "label": label,
            "score": rng.normal(shift * label),
            "partition": np.where(np.arange(len(label)) % 2, "inference", "threshold"),
        }
    )
    scores, rule = prepare_scores(table), parse_object_score("max")
    problem = build_problem(scores, (parse_strategy("youden"),), rule, Costs())
    outcomes = judge(problem, np.ones((len(problem.strata), 1)))
    found = build_intervals(
        scores,
        problem,
        outcomes,
        rule,
        methods=["object-bootstrap"],
        confidence=0.95,
        replicates=REPLICATES,
        seed=0,
    )
    place = {(estimate.level, estimate.metric): row for row, estimate in enumerate(problem.estimates)}
    rows = [place["object", name] for name in PRESORTED]
    low, high = found.ends["object-bootstrap"]
    return np.column_stack((outcomes.values[rows, 0, 0], low[rows], high[rows]))


def main() -> None:
    datasets = int(sys.argv[1]) if len(sys.argv) > 1 else 400
    lines = [
        "# Coverage of the intervals of presorted shares",
        "",
        f"`python benchmarks/presorted.py {datasets}`: {datasets} simulated data sets a row, 95 % intervals of the "
        f"default method, {REPLICATES} replicates. *covered*: how often the interval holds the metric's mean over data "
        "sets of that size; *infinite*: the metric's value for infinitely many objects.",
        "",
        "| objects judged | shift | metric | mean | infinite | covered | mean width |",
        "|---|---|---|---|---|---|---|",
    ]
    for number, (defective, good, shift) in enumerate(SETTINGS):
        rng = np.random.default_rng(number)
        found = np.array([interval_of(defective, good, shift, rng) for _ in range(datasets)])
        for row, (name, (_, share)) in enumerate(PRESORTED.items()):
            value, low, high = found[:, row].T
            # Two normal distributions of one width: the same for either class.
            infinite = ndtr(shift + ndtri(share))
            covered = ((low <= value.mean()) & (value.mean() <= high)).mean()
            lines.append(
                f"| {defective} + {good} | {shift:g} | {name} | {value.mean():.3f} | {infinite:.3f} | {covered:.2f} | "
                f"{(high - low).mean():.2f} |"
            )
    Path(__file__).with_suffix(".md").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
