"""How fast the bootstrap over objects is, beside scipy.stats.bootstrap on the same job.

The job: 10,000 replicates, 10 folds, 568 pictures of 71 objects in each fold, 5 threshold strategies chosen anew in
every replicate and fold, all metrics at picture and object level, one core. scipy gets the same statistic of the same
objects, written with numpy and scikit-learn in the straightforward way, for far fewer replicates; its time is scaled
up by the number of replicates. If the package `confidenceinterval` is installed, its bootstrap of one
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
from sklearn.metrics import average_precision_score, balanced_accuracy_score, roc_auc_score

from raylab2f.evaluation import evaluate
from raylab2f.evaluation.decisions.object_scores import parse_object_score
from raylab2f.evaluation.decisions.thresholds import parse_strategy
from raylab2f.evaluation.intervals.bootstrap import bootstrap_chunks
from raylab2f.evaluation.outcomes.judging import Problem, build_problem
from raylab2f.evaluation.outcomes.metrics import Costs, Counts, count_metrics
from raylab2f.evaluation.scores import Scores, prepare_scores

STRATEGIES = ("youden", "cost", "target-recall", "f1", "mcc")
REPLICATES = 10_000
FOLDS = 10
OBJECTS, PICTURES = 71, 8
COSTS = Costs(prevalence=0.02)
SCIPY_REPLICATES = 500


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


def build(table: pa.Table) -> tuple[Scores, Problem]:
    scores = prepare_scores(table)
    parsed = [parse_strategy(text) for text in STRATEGIES]
    return scores, build_problem(scores, parsed, parse_object_score("max"), COSTS)


def seconds(call) -> tuple[float, object]:
    # Processor time of this one thread: other work on the machine does not count.
    start = time.process_time()
    result = call()
    return time.process_time() - start, result


def straightforward(scores: Scores):
    """statistic(anomalous objects, nominal objects) -> mean over folds of all metrics, both levels, all strategies.

    What one would write with numpy and scikit-learn: gather the drawn objects' rows, one ROC curve for all
    strategies, then the metrics.
    """
    folds = []
    for fold in range(len(scores.folds)):
        sides = []
        for judged in (False, True):
            rows = np.flatnonzero((scores.fold == fold) & (scores.judged == judged))
            members = [rows[scores.object[rows] == o] for o in range(len(scores.object_anomalous))]
            pictures = [(scores.score[m], scores.label[m]) for m in members]
            highest = [(s.max(keepdims=True), y.max(keepdims=True)) if len(s) else (s, y) for s, y in pictures]
            sides.append((pictures, highest))
        folds.append(sides)

    def gather(side, drawn):
        return (np.concatenate([side[o][part] for o in drawn]) for part in (0, 1))

    def thresholds(score, label):
        order = np.argsort(-score, kind="stable")
        last = np.append(np.diff(score[order]) != 0, True)
        tp, fp = (np.append(0, np.cumsum(kind[order])[last]) for kind in (label, ~label))
        values = np.append(np.nextafter(score.max(), np.inf), score[order][last])
        p, n = tp[-1], fp[-1]
        square = (tp + fp) * (p + n - tp - fp)
        mcc = np.where(square > 0, (tp * n - fp * p) / np.sqrt(np.maximum(square, 1)), 0)
        yield values[np.argmax(tp * n - fp * p)]
        yield values[np.argmax(10 * tp - fp)]
        yield values[np.argmax(tp >= np.ceil(0.95 * p - 1e-9))]
        yield values[np.argmax(tp / (tp + fp + p))]
        yield values[np.argmax(mcc)]

    def statistic(anomalous, nominal):
        drawn = np.concatenate((anomalous, nominal)).astype(int)
        values = []
        for chooses, judges in folds:
            row = []
            for level in (0, 1):
                score, label = gather(judges[level], drawn)
                for threshold in thresholds(*gather(chooses[level], drawn)):
                    flagged = score >= threshold
                    p, n = label.sum(), (~label).sum()
                    counts = (flagged[label].sum(), flagged[~label].sum(), p, n)
                    row += count_metrics(Counts(*map(np.asarray, counts)), COSTS).values()
                row.append(roc_auc_score(label, score))
                row.append(average_precision_score(label, score))
                row.append(roc_auc_score(label, score, max_fpr=0.1))
            values.append(np.array(row))
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
        f"{time_taken:.2f} s for 1,000 replicates | {time_taken * REPLICATES / 1000 * FOLDS * len(STRATEGIES):.0f} s "
        "for this one metric, all folds and strategies |"
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
    agreement = []
    columns = {(e.strategy, e.level, e.metric): i for i, e in enumerate(problem.estimates)}
    if reference.shape[0] != len(columns):
        raise SystemExit("The two jobs do not compute the same metrics.")
    for place in (
        ("youden", "image", "balanced_accuracy"),
        ("cost", "object", "escape_rate"),
        ("mcc", "object", "mcc"),
        ("any", "image", "auroc"),
        ("any", "object", "average_precision"),
    ):
        mine, other = drawn[columns[place]], reference[columns[place]]
        deviation = abs(mine.mean() - other.mean()) / (other.std(ddof=1) / np.sqrt(SCIPY_REPLICATES))
        agreement.append(
            f"| {' '.join(place)} | {mine.mean():.4f} ± {mine.std():.4f} | {other.mean():.4f} ± "
            f"{other.std(ddof=1):.4f} | {deviation:.1f} |"
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
        f"{platform.python_version()}, numpy {np.__version__}, scipy {scipy.__version__}. Job: {REPLICATES:,} "
        f"replicates, {FOLDS} folds, {OBJECTS * PICTURES} pictures of {OBJECTS} objects a fold, strategies "
        f"{', '.join(STRATEGIES)}, {len(problem.estimates)} estimates (all metrics, both levels). "
        "Times are processor time.",
        "",
        "| | measured | whole job |",
        "|---|---|---|",
        f"| `bootstrap_chunks`, all strategies and metrics | {ours:.2f} s | {ours:.2f} s |",
        f"| `evaluate`, with all interval methods and shortcuts | {whole:.2f} s | {whole:.2f} s |",
        f"| `scipy.stats.bootstrap`, the same job | {theirs:.2f} s for {SCIPY_REPLICATES} replicates | {scaled:.0f} s, "
        f"{scaled / ours:.0f} times as long |",
        run_confidenceinterval(scores),
        "",
        f"Peak memory of the process after `evaluate`: {memory:.2f} GiB.",
        "",
        "Equal results within Monte Carlo error (mean ± standard deviation of the replicates; difference of means in "
        "standard errors of the shorter run):",
        "",
        "| estimate | ours | scipy | difference |",
        "|---|---|---|---|",
        *agreement,
        "",
        "Cost grows about in proportion to replicates and pictures:",
        "",
        "| replicates | pictures a fold | objects | time |",
        "|---|---|---|---|",
        *scaling,
    ]
    Path(__file__).with_suffix(".md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
