"""How often the default intervals of strategies of two thresholds hold the truth: `python benchmarks/reviews.py`.

Scores are normal, objects have one picture, five folds split them in random halves; the detector is one and the same,
so folds differ by their split alone. The truth is the mean, over many threshold partitions of the same size, of the
rates of the normal distribution at the thresholds that they choose. Some minutes on one core; writes `reviews.md`
beside this file.
"""

import argparse
from pathlib import Path

import numpy as np
import pyarrow as pa
from scipy.special import ndtr

from raylab2f.evaluation import choose_pair, evaluate, parse_strategy

STRATEGIES = ("two-sided:0.05,0.05", "review-cost:10,1,0.25,0.5", "review-cost:10,1,0.25,0.05", "cost:40,1,0.5")
METRICS = (
    "escape_rate",
    "overkill_rate",
    "defective_review_rate",
    "good_review_rate",
    "review_rate",
    "automatic_escape_rate",
    "automatic_overkill_rate",
)
FOLDS, REPLICATES, PARTITIONS = 5, 300, 3000


def simulate(rng, objects, separation):
    """A score table of `objects` of either class."""
    label = np.arange(2 * objects) < objects
    score = rng.standard_normal(2 * objects) + separation * label
    judged = np.stack(
        [
            np.concatenate([rng.permutation(objects) < objects // 2 for _ in range(2)])  # each class for itself
            for _ in range(FOLDS)
        ]
    )
    return pa.table(
        {
            "fold": np.repeat(np.arange(FOLDS), 2 * objects),
            "partition": np.where(judged.ravel(), "inference", "threshold"),
            "image_id": np.tile(np.arange(2 * objects).astype(str), FOLDS),
            "label": np.tile(label.astype(int), FOLDS),
            "score": np.tile(score, FOLDS),
        }
    )


def true_values(rng, objects, separation, text):
    """By metric."""
    strategy, half = parse_strategy(text), objects // 2
    label = np.arange(2 * half) < half
    rates = []
    for _ in range(PARTITIONS):
        pair = choose_pair(strategy, rng.standard_normal(2 * half) + separation * label, label)
        escaped, lost = ndtr(pair.low - separation), ndtr(-pair.high)
        rates.append((escaped, lost, 1 - escaped - ndtr(separation - pair.high), 1 - lost - ndtr(pair.low)))
    escaped, lost, bad, good = np.mean(rates, axis=0)
    values = (escaped, lost, bad, good, (bad + good) / 2, escaped / (1 - bad), lost / (1 - good))
    return dict(zip(METRICS, values, strict=True))


def coverage(objects, separation, text, tables):
    """By metric, the truth and how often the interval holds it."""
    rng = np.random.default_rng((objects, *text.encode()))
    truth = true_values(rng, objects, separation, text)
    held = {}
    for seed in range(tables):
        table = simulate(rng, objects, separation)
        summary = evaluate(table, strategies=(text,), replicates=REPLICATES, methods=(), seed=seed)
        for row in summary.estimates:
            if row.level == "object" and row.metric in truth and row.interval is not None:
                inside = row.interval.low <= truth[row.metric] <= row.interval.high
                held.setdefault(row.metric, []).append(inside)
    return {metric: (truth[metric], float(np.mean(found))) for metric, found in held.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tables", type=int, default=300)
    parser.add_argument("--objects", type=int, default=40, help="of either class")
    parser.add_argument("--separation", type=float, default=2.0)
    given = parser.parse_args()
    tables, objects, separation = given.tables, given.objects, given.separation
    lines = [
        "# Intervals of decisions that leave some parts to a person",
        "",
        f"Share of {tables} simulated tables whose 95 % interval (`object-bootstrap`, {REPLICATES} replicates) holds",
        f"the truth, in brackets the truth; standard error {np.sqrt(0.95 * 0.05 / tables):.3f}. Objects of either",
        f"class, one picture each, {FOLDS} folds of random halves; made by `benchmarks/reviews.py`. The last strategy",
        "has one threshold, where the low one of the first `review-cost` nearly lies.",
        "",
        "| objects | sep | strategy | " + " | ".join(f"`{metric}`" for metric in METRICS) + " |",
        "|---|---|---|" + "---|" * len(METRICS),
    ]
    for text in STRATEGIES:
        found = coverage(objects, separation, text, tables)
        cells = [f"{found[m][1]:.3f} ({found[m][0]:.3f})" if m in found else "" for m in METRICS]
        lines.append(f"| {objects} | {separation} | `{text}` | " + " | ".join(cells) + " |")
        print(lines[-1], flush=True)
    Path(__file__).with_suffix(".md").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
