"""How often the intervals contain the truth, and how far the estimates are from it, by simulation.

Data sets are drawn from populations whose truth is known (`simulated_factory`), evaluated as `raylab2f evaluate` does,
and compared with the truth. Every data set has its own branch of the seed, so the results do not depend on the number
of processes; finished portions are kept in `--work`, and a stopped run goes on where it was.

Run: OMP_NUM_THREADS=1 python benchmarks/coverage.py [--datasets 1000] [--only 20+60]
The results go to coverage.md beside this file.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import sys
import time

import numpy as np
from coverage_tables import write_tables
from simulated_factory import ESTIMANDS, Setting, draw_scores
from simulated_portions import bootstrap_seed, options_of, plan_of, simulate_all

from raylab2f.evaluation.cautions import find_cautions
from raylab2f.evaluation.decisions.object_scores import parse_object_score
from raylab2f.evaluation.decisions.thresholds import parse_strategy
from raylab2f.evaluation.intervals.interval_table import build_intervals
from raylab2f.evaluation.intervals.methods import INTERVALS
from raylab2f.evaluation.outcomes.judging import Problem, build_problem, judge
from raylab2f.evaluation.outcomes.means import fold_mean
from raylab2f.evaluation.outcomes.metrics import Costs
from raylab2f.evaluation.scores import Scores
from raylab2f.seeding import numpy_generator

SETTINGS = (
    # By number of objects.
    Setting(10, 40, 6, 0.5, 2.0),
    Setting(20, 60, 6, 0.5, 2.0),
    Setting(50, 150, 6, 0.5, 2.0),
    Setting(100, 200, 4, 0.5, 2.0),
    Setting(200, 300, 2, 0.5, 2.0),
    # By intra-object correlation.
    Setting(20, 60, 6, 0.0, 2.0),
    Setting(20, 60, 6, 0.9, 2.0),
    Setting(50, 150, 6, 0.0, 2.0),
    Setting(50, 150, 6, 0.9, 2.0),
    # By separation: hard, easy, nearly perfect.
    Setting(20, 60, 6, 0.5, 1.0),
    Setting(20, 60, 6, 0.5, 3.0),
    Setting(20, 60, 6, 0.5, 4.5),
    Setting(50, 150, 6, 0.5, 3.0),
    # One picture an object; few nominal objects to train on; some defects much easier than others.
    Setting(20, 60, 1, 0.0, 2.0),
    Setting(20, 30, 3, 0.3, 2.0),
    Setting(40, 100, 4, 0.3, 3.0, spread=1.5),
    # Every object has a defective picture, so good pictures train.
    Setting(21, 0, 8, 0.5, 2.0, defective=1),
    Setting(51, 0, 8, 0.5, 2.0, defective=1),
    Setting(99, 0, 8, 0.5, 2.0, defective=1),
    Setting(51, 0, 8, 0.9, 2.0, defective=1),
    Setting(51, 0, 8, 0.5, 3.0, defective=1),
    Setting(51, 0, 8, 0.5, 3.0, spread=1.5, defective=3),
)

CONFIDENCE = 0.95

# What is there for contrast and takes long is computed for every fourth data set only.
CONTRAST_EVERY = 4
CONTRAST_METHODS = ("object-bootstrap-bca", "naive-picture-bootstrap")

PROTOCOLS = ("recommended", "threshold chosen on the judged pictures", "split by picture", "both mistakes")

_YOUDEN = parse_strategy("youden")
_MAX = parse_object_score("max")


def main() -> None:
    options = options_of(__file__, __doc__.splitlines()[0])
    started = time.perf_counter()
    results = {
        setting: found | {"truth": np.array([truth[estimand] for estimand in ESTIMANDS])}
        for setting, (truth, found) in simulate_all(simulate, SETTINGS, options, __file__).items()
    }
    text = write_tables(
        results,
        list(INTERVALS),
        PROTOCOLS,
        replicates=options.replicates,
        seconds=time.perf_counter() - started,
    )
    options.out.write_text(text, encoding="utf-8")
    sys.stdout.write(text)


def simulate(setting: Setting, number: int, replicates: int, seed: int) -> dict[str, np.ndarray]:
    """Draw and evaluate one data set.

    Returns:
        `ends`: (methods, 2, estimands) and `means`: (protocols, estimands), NaN where not computed; `controls`: (4,);
        `warned`: (), whether the summary warns.
    """

    def sample(split_by: str) -> tuple[Scores, np.ndarray]:
        # The same data set whatever the folds.
        rng = numpy_generator(seed, "data", setting.name, number)
        return draw_scores(setting, plan_of(setting, number, split_by, seed), rng)

    contrast = number % CONTRAST_EVERY == 0
    methods = [method for method in INTERVALS if contrast or method not in CONTRAST_METHODS]
    scores, controls = sample("object")
    problem = build_problem(scores, (_YOUDEN,), _MAX, Costs())
    outcomes = judge(problem, np.ones((len(problem.strata), 1)))
    intervals = build_intervals(
        scores,
        problem,
        outcomes,
        _MAX,
        methods=methods,
        confidence=CONFIDENCE,
        replicates=replicates,
        seed=bootstrap_seed(setting, number, seed),
    )
    columns = _columns(problem)
    ends = np.full((len(INTERVALS), 2, len(ESTIMANDS)), np.nan)
    for row, method in enumerate(INTERVALS):
        if method in methods:
            ends[row] = [_pick(end, columns) for end in intervals.ends[method]]
    means = np.full((len(PROTOCOLS), len(ESTIMANDS)), np.nan)
    means[0] = _pick(fold_mean(outcomes.values)[:, 0], columns)
    if contrast:
        means[1] = _means(scores, swap=True)
        # An object whose pictures lie in several partitions has no outcome of its own.
        image = [level == "image" for level, _ in ESTIMANDS]
        by_picture, _ = sample("picture")
        for row, swap in ((2, False), (3, True)):
            means[row, image] = _means(by_picture, swap=swap)[image]
    cautions = find_cautions(scores, problem, outcomes, intervals, setting.folds, next(iter(INTERVALS)))
    return {"ends": ends, "means": means, "controls": controls, "warned": np.array(bool(cautions))}


def _means(scores: Scores, *, swap: bool) -> np.ndarray:
    problem = build_problem(scores, (_YOUDEN,), _MAX, Costs(), swap=swap)
    values = fold_mean(judge(problem, np.ones((len(problem.strata), 1))).values)[:, 0]
    return _pick(values, _columns(problem))


def _columns(problem: Problem) -> list[int | None]:
    place = {(estimate.level, estimate.metric): index for index, estimate in enumerate(problem.estimates)}
    return [place.get(estimand) for estimand in ESTIMANDS]


def _pick(values: np.ndarray, columns: list[int | None]) -> np.ndarray:
    """NaN for the estimands of a level that is left out."""
    return np.array([np.nan if column is None else values[column] for column in columns])


if __name__ == "__main__":
    main()
