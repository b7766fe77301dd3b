"""How fast the bootstrap over objects is, beside scipy.stats.bootstrap on the same job.

The job: 10,000 replicates, 10 folds, 568 pictures of 71 objects in each fold, 5 threshold strategies chosen anew in
every replicate and fold, all metrics at picture and object level, one core. Plain scipy gets the same statistic of
the same objects, written with numpy in the straightforward way, for far fewer replicates and two metrics only; its
time is scaled up by the number of replicates. If the package `confidenceinterval` is installed, its bootstrap of one
metric of one fold (pictures, fixed threshold: the only thing it can do) is timed as well.

Run: OMP_NUM_THREADS=1 python benchmarks/bootstrap_speed.py
Results go to bootstrap_speed.md beside this file.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import importlib.util
import platform
import resource
import sys
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pyarrow as pa
import scipy.stats

from raylab2f.evaluation import evaluate
from raylab2f.evaluation.bootstrap import bootstrap_chunks
from raylab2f.evaluation.intervals import percentile_interval
from raylab2f.evaluation.metrics import Costs
from raylab2f.evaluation.object_scores import parse_object_score
from raylab2f.evaluation.outcomes import Problem, build_problem
from raylab2f.evaluation.scores import Scores, prepare_scores
from raylab2f.evaluation.thresholds import parse_strategy

STRATEGIES = ("youden", "cost", "target-recall", "f1", "mcc")
REPLICATES = 10_000
FOLDS = 10
OBJECTS, PICTURES = 71, 8
SCIPY_REPLICATES = 100


def simulate(objects: int, pictures: int, folds: int = FOLDS) -> pa.Table:
    """Half of the objects anomalous; each fold splits the objects in halves and adds its own noise."""
    rng = np.random.default_rng(0)
    owner = np.repeat(np.arange(objects), pictures)
    label = owner < objects // 2
    base = 1.5 * label + 0.7 * rng.standard_normal(objects)[owner] + 0.7 * rng.standard_normal(len(owner))
    blocks = []
    for fold in range(folds):
        judged = np.zeros(objects, dtype=bool)
        for members in np.split(np.arange(objects), [objects // 2]):
            judged[rng.permutation(members)[: len(members) // 2]] = True
        columns = {
            "fold": np.full(len(owner), fold),
            "partition": np.where(judged[owner], "inference", "threshold"),
            "image_id": np.arange(len(owner)).astype(str),
            "object_id": owner.astype(str),
            "label": label.astype(int),
            "score": base + 0.3 * rng.standard_normal(len(owner)),
        }
        blocks.append(pa.table(columns))
    return pa.concat_tables(blocks)


def build(table: pa.Table, strategies: tuple[str, ...] = STRATEGIES) -> tuple[Scores, Problem]:
    scores = prepare_scores(table)
    parsed = [parse_strategy(text) for text in strategies]
    return scores, build_problem(scores, parsed, parse_object_score("max"), Costs(prevalence=0.02))


def seconds(call) -> tuple[float, object]:
    start = time.perf_counter()
    result = call()
    return time.perf_counter() - start, result


def straightforward(scores: Scores):
    """statistic(anomalous objects, nominal objects) -> mean over folds of balanced accuracy (Youden) and AUROC."""
    folds = []
    for fold in range(len(scores.folds)):
        sides = []
        for judged in (False, True):
            rows = np.flatnonzero((scores.fold == fold) & (scores.judged == judged))
            members = [rows[scores.object[rows] == o] for o in range(len(scores.object_anomalous))]
            sides.append([(scores.score[m], scores.label[m]) for m in members])
        folds.append(sides)

    def gather(side, drawn):
        return (np.concatenate([side[o][part] for o in drawn]) for part in (0, 1))

    def statistic(anomalous, nominal):
        drawn = np.concatenate((anomalous, nominal)).astype(int)
        values = []
        for chooses, judges in folds:
            score, label = gather(chooses, drawn)
            order = np.argsort(-score, kind="stable")
            last = np.append(np.diff(score[order]) != 0, True)
            gain = (np.cumsum(label[order]) / label.sum() - np.cumsum(~label[order]) / (~label).sum())[last]
            threshold = score[order][last][np.argmax(gain.round(12))]
            score, label = gather(judges, drawn)
            flagged = score >= threshold
            positives, negatives = label.sum(), (~label).sum()
            ranks = scipy.stats.rankdata(score)
            auroc = (ranks[label].sum() - positives * (positives + 1) / 2) / (positives * negatives)
            values.append(((flagged[label].mean() + 1 - flagged[~label].mean()) / 2, auroc))
        return np.mean(values, axis=0)

    return statistic


def run_scipy(scores: Scores) -> tuple[float, np.ndarray]:
    members = (np.flatnonzero(scores.object_anomalous), np.flatnonzero(~scores.object_anomalous))
    time_taken, result = seconds(
        lambda: scipy.stats.bootstrap(
            members,
            straightforward(scores),
            n_resamples=SCIPY_REPLICATES,
            vectorized=False,
            method="percentile",
            rng=np.random.default_rng(1),
        )
    )
    return time_taken, result.bootstrap_distribution


def run_confidenceinterval(scores: Scores) -> str:
    if importlib.util.find_spec("confidenceinterval") is None:
        return "| `confidenceinterval` | not installed | |"
    from confidenceinterval.bootstrap import bootstrap_ci
    from sklearn.metrics import balanced_accuracy_score

    rows = (scores.fold == 0) & scores.judged
    label, flagged = scores.label[rows].astype(int), (scores.score[rows] >= np.median(scores.score[rows])).astype(int)
    time_taken, _ = seconds(
        lambda: bootstrap_ci(
            label,
            flagged,
            metric=balanced_accuracy_score,
            n_resamples=1000,
            method="bootstrap_percentile",
            random_state=np.random.default_rng(0),
        )
    )
    return (
        f"| `confidenceinterval` {version('confidenceinterval')}: balanced accuracy of one fold, threshold fixed | "
        f"{time_taken:.2f} s for 1,000 replicates | {time_taken * REPLICATES / 1000 * FOLDS * len(STRATEGIES):.0f} s for "
        "this one metric, all folds and strategies |"
    )


def machine() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    names = [line for line in cpuinfo.read_text().splitlines() if "model name" in line] if cpuinfo.exists() else []
    return names[0].partition(":")[2].strip() if names else platform.machine()


def main() -> None:
    table = simulate(OBJECTS, PICTURES)
    scores, problem = build(table)
    ours, drawn = seconds(lambda: bootstrap_chunks(problem, REPLICATES, seed=0))
    whole, _ = seconds(lambda: evaluate(table, strategies=STRATEGIES, prevalence=0.02))
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20

    theirs, reference = run_scipy(scores)
    scaled = theirs * REPLICATES / SCIPY_REPLICATES
    _, small = build(table, ("youden",))
    same_job, _ = seconds(lambda: bootstrap_chunks(small, REPLICATES, seed=0))
    agreement = []
    for row, metric in enumerate(("balanced_accuracy", "auroc")):
        place = [(e.strategy, e.level, e.metric) for e in problem.estimates].index(
            ("youden" if row == 0 else "any", "image", metric)
        )
        mine = drawn[place]
        low, high = (end[0] for end in percentile_interval(mine[None], 0.95))
        error = reference[row].std(ddof=1) / np.sqrt(SCIPY_REPLICATES)
        deviation = abs(mine.mean() - reference[row].mean()) / error
        agreement.append(
            f"| {metric} | {mine.mean():.4f} ± {mine.std():.4f} | {reference[row].mean():.4f} ± "
            f"{reference[row].std(ddof=1):.4f} | {deviation:.1f} | {low:.3f} to {high:.3f} |"
        )

    scaling = []
    for replicates, objects, pictures in (
        (2_500, OBJECTS, PICTURES),
        (5_000, OBJECTS, PICTURES),
        (10_000, OBJECTS, PICTURES),
        (10_000, 2 * OBJECTS, PICTURES),
        (10_000, 4 * OBJECTS, PICTURES),
        (10_000, OBJECTS * PICTURES, 1),
    ):
        _, other = build(simulate(objects, pictures))
        taken, _ = seconds(lambda problem=other, count=replicates: bootstrap_chunks(problem, count, seed=0))
        scaling.append(f"| {replicates:,} | {objects * pictures:,} | {objects} | {taken:.2f} s |")

    lines = [
        "# Speed of the bootstrap over objects",
        "",
        f"{machine()}, one core ({os.cpu_count()} there), Python "
        f"{platform.python_version()}, numpy {np.__version__}, scipy {scipy.__version__}. Job: {REPLICATES:,} replicates, "
        f"{FOLDS} folds, {OBJECTS * PICTURES} pictures of {OBJECTS} objects a fold, strategies {', '.join(STRATEGIES)}, "
        f"{len(problem.estimates)} estimates (all metrics, both levels).",
        "",
        "| | measured | whole job |",
        "|---|---|---|",
        f"| `bootstrap_chunks`, all strategies and metrics | {ours:.2f} s | {ours:.2f} s |",
        f"| `evaluate`, with all interval methods and shortcuts | {whole:.2f} s | {whole:.2f} s |",
        f"| `bootstrap_chunks`, Youden only | {same_job:.2f} s | |",
        f"| `scipy.stats.bootstrap`, Youden, balanced accuracy and AUROC of pictures only | {theirs:.2f} s for "
        f"{SCIPY_REPLICATES} replicates | {scaled:.0f} s ({scaled / same_job:.0f} times as long as Youden only, for a "
        "small part of its metrics) |",
        run_confidenceinterval(scores),
        "",
        f"Peak memory of the process after `evaluate`: {memory:.2f} GiB.",
        "",
        "Equal results within Monte Carlo error (mean ± standard deviation of the replicates; difference of means in "
        "standard errors of the shorter run):",
        "",
        "| metric | ours | scipy | difference | our 95 % percentiles |",
        "|---|---|---|---|---|",
        *agreement,
        "",
        "Cost grows in proportion to replicates and pictures:",
        "",
        "| replicates | pictures a fold | objects | time |",
        "|---|---|---|---|",
        *scaling,
    ]
    Path(__file__).with_suffix(".md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
