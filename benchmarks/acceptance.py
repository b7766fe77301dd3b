"""How often `accept` says "shown" of a rate no better than its limit, and how often of a better one, by simulation.

Data sets are drawn from populations whose truth is known (`simulated_factory`) and judged by both kinds of evidence:
the folds of `run-cv` (the bound behind the default interval, one-sided) and one finished model with a fixed threshold
(exact binomial bounds over objects). Every data set has its own branch of the seed; finished portions are kept in
`--work`, and a stopped run goes on where it was.

Run: OMP_NUM_THREADS=1 python benchmarks/acceptance.py [--datasets 1000] [--only 20+60]
The results go to acceptance.md beside this file.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import sys
import time

import numpy as np
from simulated_factory import Setting, draw_scores
from simulated_portions import bootstrap_seed, options_of, plan_of, simulate_all

from raylab2f.evaluation.decisions.object_scores import parse_object_score
from raylab2f.evaluation.decisions.thresholds import parse_strategy
from raylab2f.evaluation.intervals.interval_table import build_intervals
from raylab2f.evaluation.intervals.methods import BOUNDS, clopper_pearson_interval
from raylab2f.evaluation.outcomes.judging import build_problem, judge
from raylab2f.evaluation.outcomes.metrics import Costs
from raylab2f.seeding import numpy_generator

SETTINGS = (
    Setting(20, 60, 6, 0.5, 2.0),
    Setting(50, 150, 6, 0.5, 2.0),
    Setting(100, 200, 4, 0.5, 2.0),
    Setting(200, 300, 2, 0.5, 2.0),
    Setting(300, 450, 2, 0.5, 2.0),
    # Pictures of an object that say nearly the same, and pictures that are all there is.
    Setting(20, 60, 6, 0.9, 2.0),
    Setting(50, 150, 6, 0.9, 2.0),
    Setting(20, 60, 1, 0.0, 2.0),
    # Few errors.
    Setting(20, 60, 6, 0.5, 3.0),
    Setting(50, 150, 6, 0.5, 3.0),
    Setting(100, 200, 4, 0.5, 3.0),
    Setting(300, 450, 2, 0.5, 3.0),
    # Some defects much easier than others.
    Setting(40, 100, 4, 0.3, 3.0, spread=1.5),
    Setting(20, 60, 6, 0.3, 3.0, spread=1.5),
    Setting(60, 150, 4, 0.3, 3.0, spread=2.0),
)
CONFIDENCE = 0.95
#: The limit as a multiple of the true rate; 1: "shown" is an error.
MULTIPLES = (1.0, 1.25, 1.5, 2.0, 3.0)
LEVELS = ("image", "object")
RATES = ("escape_rate", "overkill_rate")
#: Finished models: objects of a class, and the true rate.
OBJECTS = (20, 50, 100, 300)
TRUE_RATES = (0.005, 0.02, 0.05, 0.1, 0.2)

_YOUDEN = parse_strategy("youden")
_MAX = parse_object_score("max")


def main() -> None:
    options = options_of(__file__, __doc__.splitlines()[0])
    started = time.perf_counter()
    results = {}
    for setting, (truths, found) in simulate_all(simulate, SETTINGS, options, __file__).items():
        truth = [1 - truths[level, metric] for level in LEVELS for metric in ("recall", "specificity")]
        results[setting] = np.array(truth), found["ends"]
    text = _report(results, options, time.perf_counter() - started)
    options.out.write_text(text, encoding="utf-8")
    sys.stdout.write(text)


def simulate(setting: Setting, number: int, replicates: int, seed: int) -> dict[str, np.ndarray]:
    """`ends`: (rates at both levels, 2) one-sided lower and upper bounds of one data set."""
    rng = numpy_generator(seed, "data", setting.name, number)
    scores, _ = draw_scores(setting, plan_of(setting, number, "object", seed), rng)
    problem = build_problem(scores, (_YOUDEN,), _MAX, Costs())
    intervals = build_intervals(
        scores,
        problem,
        judge(problem, np.ones((len(problem.strata), 1))),
        _MAX,
        methods=[BOUNDS],
        confidence=2 * CONFIDENCE - 1,
        replicates=replicates,
        seed=bootstrap_seed(setting, number, seed),
    )
    place = {(estimate.level, estimate.metric): index for index, estimate in enumerate(problem.estimates)}
    rows = [place[level, rate] for level in LEVELS for rate in RATES]
    return {"ends": np.stack([end[rows] for end in intervals.ends[BOUNDS]], axis=1)}


def _finished(objects: int, rate: float, datasets: int, seed: int) -> np.ndarray:
    """(datasets,) upper bounds of finished models that judge so many objects of six alike pictures, at a threshold
    where the largest score of an object errs with probability `rate`.
    """
    rng = numpy_generator(seed, "finished", objects, str(rate))
    common, own = rng.standard_normal((datasets, objects, 1)), rng.standard_normal((datasets, objects, 6))
    scores = (np.sqrt(0.5) * common + np.sqrt(0.5) * own).max(axis=2)
    # The threshold is fixed before: from a sample of its own.
    many = np.sqrt(0.5) * rng.standard_normal((400_000, 1)) + np.sqrt(0.5) * rng.standard_normal((400_000, 6))
    threshold = np.quantile(many.max(axis=1), 1 - rate)
    return clopper_pearson_interval((scores >= threshold).mean(axis=1), objects, 2 * CONFIDENCE - 1)[1]


def _report(results: dict[Setting, tuple[np.ndarray, np.ndarray]], options: argparse.Namespace, seconds: float) -> str:
    error = (0.05 * 0.95 / options.datasets) ** 0.5
    lines = [
        "# How often a limit is said to be kept",
        "",
        f"`python benchmarks/acceptance.py --datasets {options.datasets}`: {options.datasets:,} simulated data sets a "
        f"setting, {options.replicates} bootstrap replicates, 10 folds, strategy youden, one-sided confidence of "
        f"{CONFIDENCE:.0%}; {seconds / 60:.0f} minutes for what was not there from an earlier run. Standard error of a "
        f"share of 0.05: {error:.3f}; in bold what lies more than twice that above 0.05.",
        "",
        "## Folds of `run-cv`",
        "",
        "Share of the data sets of which `accept` says that the limit is kept, by the limit as a multiple of the true "
        "rate (1: the limit is the truth, so that saying so is an error), and share that refutes a limit equal to the "
        "truth.",
        "",
        "| objects x pictures | level | rate | truth | "
        + " | ".join(f"shown at {m:g}" for m in MULTIPLES)
        + " | refuted at 1 |",
        "|---|---|---|---|" + "---|" * (len(MULTIPLES) + 1),
    ]
    worst = 0.0
    for setting, (truth, ends) in results.items():
        for row, (level, rate) in enumerate((level, rate) for level in LEVELS for rate in RATES):
            low, high = ends[:, row, 0], ends[:, row, 1]
            shown = [float((high <= multiple * truth[row]).mean()) for multiple in MULTIPLES]
            refuted = float((low > truth[row]).mean())
            worst = max(worst, shown[0])
            cells = [_bold(shown[0], error), *(f"{value:.2f}" for value in shown[1:]), _bold(refuted, error)]
            lines.append(f"| {setting.name} | {level} | {rate} | {truth[row]:.3f} | " + " | ".join(cells) + " |")
    lines += [
        "",
        f'The largest share of false "shown" is {worst:.3f}.',
        "",
        "## A finished model, judged on parts that nothing else has seen",
        "",
        "Share of 'shown' where the limit is the true rate, objects of six alike pictures, the largest score counts:",
        "",
        "| objects of the class | " + " | ".join(f"true rate {rate:g}" for rate in TRUE_RATES) + " |",
        "|---|" + "---|" * len(TRUE_RATES),
    ]
    for objects in OBJECTS:
        found = [(_finished(objects, rate, 20 * options.datasets, options.seed) <= rate).mean() for rate in TRUE_RATES]
        lines.append(f"| {objects} | " + " | ".join(f"{value:.3f}" for value in found) + " |")
    return "\n".join([*lines, ""])


def _bold(share: float, error: float) -> str:
    return f"**{share:.3f}**" if share > 0.05 + 2 * error else f"{share:.3f}"


if __name__ == "__main__":
    main()
