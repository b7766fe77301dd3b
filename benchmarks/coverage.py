"""How often the intervals contain the truth, and how far the estimates are from it, by simulation.

Data sets are drawn from populations whose truth is known (`simulated_factory`), evaluated as `raylab2f evaluate` does,
and compared with the truth. Every data set has its own branch of the seed, so the results do not depend on the number
of processes; finished portions are kept in `--work`, and a stopped run goes on where it was.

Run: OMP_NUM_THREADS=1 python benchmarks/coverage.py [--datasets 1000] [--only 20+60]
The results go to coverage.md beside this file.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import hashlib
import multiprocessing
import sys
import time
from functools import cache
from pathlib import Path

import numpy as np
from coverage_tables import write_tables
from simulated_factory import ESTIMANDS, Plan, Setting, draw_scores, plan_folds, true_values

import raylab2f.evaluation
from raylab2f.evaluation.cautions import find_cautions
from raylab2f.evaluation.decisions.object_scores import parse_object_score
from raylab2f.evaluation.decisions.thresholds import parse_strategy
from raylab2f.evaluation.intervals.interval_table import build_intervals
from raylab2f.evaluation.intervals.methods import INTERVALS
from raylab2f.evaluation.outcomes.judging import Problem, build_problem, judge
from raylab2f.evaluation.outcomes.means import fold_mean
from raylab2f.evaluation.outcomes.metrics import Costs
from raylab2f.evaluation.scores import Scores
from raylab2f.files.atomic import atomic_path
from raylab2f.seeding import numpy_generator, seed_sequence

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

# Data sets in one portion of work.
PORTION = 25
# Different fold plans of a setting; data sets share them in turn, for planning takes longer than drawing.
PLANS = 20
CONFIDENCE = 0.95

# What is there for contrast and takes long is computed for every fourth data set only.
CONTRAST_EVERY = 4
CONTRAST_METHODS = ("object-bootstrap-bca", "naive-picture-bootstrap")

PROTOCOLS = ("recommended", "threshold chosen on the judged pictures", "split by picture", "both mistakes")

_YOUDEN = parse_strategy("youden")
_MAX = parse_object_score("max")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--datasets", type=int, default=1000, help="simulated data sets per setting")
    parser.add_argument("--replicates", type=int, default=500, help="of the bootstrap")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="settings whose name contains this text")
    parser.add_argument("--work", type=Path, default=Path("build/coverage"), help="folder for finished portions")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".md"))
    options = parser.parse_args()
    settings = [setting for setting in SETTINGS if options.only in setting.name]
    started = time.perf_counter()

    portions = -(-options.datasets // PORTION)
    key = _code_digest()
    jobs = [
        (setting, portion, options.replicates, options.seed, options.work / key)
        for setting in settings
        for portion in range(portions)
    ]
    # Round by round, so that a stopped run has something of every setting.
    jobs.sort(key=lambda job: job[1])
    context = multiprocessing.get_context("spawn")
    with context.Pool(options.processes) as pool:
        truths = dict(zip(settings, pool.starmap(true_values, [(s, options.seed) for s in settings], 1), strict=True))
        for done, _ in enumerate(pool.imap_unordered(_run_portion, jobs), start=1):
            if done % max(1, len(jobs) // 20) == 0:
                sys.stderr.write(f"{done} of {len(jobs)} portions, {time.perf_counter() - started:.0f} s\n")
    results = {}
    for setting in settings:
        parts = [_load(_portion_path(job)) for job in jobs if job[0] == setting]
        joined = {name: np.concatenate([part[name] for part in parts])[: options.datasets] for name in parts[0]}
        truth = np.array([truths[setting][estimand] for estimand in ESTIMANDS])
        results[setting] = joined | {"truth": truth}
    text = write_tables(
        results, list(INTERVALS), PROTOCOLS, replicates=options.replicates, seconds=time.perf_counter() - started
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
        return draw_scores(setting, _plan(setting, number % PLANS, split_by, seed), rng)

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
        seed=int(seed_sequence(seed, "replicates", setting.name, number).generate_state(1)[0]),
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


@cache
def _plan(setting: Setting, number: int, split_by: str, seed: int) -> Plan:
    branch = seed_sequence(seed, "plan", setting.name, number).generate_state(1)
    return plan_folds(setting, int(branch[0]), split_by)


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


def _run_portion(job: tuple[Setting, int, int, int, Path]) -> None:
    setting, portion, replicates, seed, _ = job
    path = _portion_path(job)
    if path.exists():
        return
    numbers = range(portion * PORTION, (portion + 1) * PORTION)
    found = [simulate(setting, number, replicates, seed) for number in numbers]
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez(file, **{name: np.array([one[name] for one in found]) for name in found[0]})


def _portion_path(job: tuple[Setting, int, int, int, Path]) -> Path:
    setting, portion, replicates, seed, folder = job
    content = repr((setting, replicates, seed)).encode()
    return folder / hashlib.blake2b(content, digest_size=8).hexdigest() / f"{portion:04d}.npz"


def _load(path: Path) -> dict[str, np.ndarray]:
    with np.load(path, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


def _code_digest() -> str:
    """Portions count only for the code that made them."""
    package = Path(raylab2f.evaluation.__file__).parent
    digest = hashlib.blake2b(digest_size=8)
    for path in (
        *sorted(package.rglob("*.py")),
        *(Path(__file__).with_name(f"{name}.py") for name in ("coverage", "simulated_factory")),
    ):
        digest.update(path.read_bytes())
    return digest.hexdigest()


if __name__ == "__main__":
    main()
