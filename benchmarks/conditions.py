"""Coverage, false verdicts and power of the diagnosis of conditions (RL109), on simulated scores.

    python benchmarks/conditions.py          # the table, to benchmarks/conditions.md

Each data set: parts photographed under two conditions, an ordinary run of balanced folds and one whose folds leave the
conditions out in turns. Every fold's detector has an error of its own, drawn anew, which moves good and defective
scores alike. Without having seen a condition, a detector scores its pictures higher by `shift`. The truth is the mean
gap of very many such pairs of runs, thresholds chosen by `youden` in each.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from raylab2f.diagnostics import diagnose_conditions
from raylab2f.seeding import numpy_generator

SETTINGS = [(20, 0.0), (60, 0.0), (150, 0.0), (20, 1.0), (60, 1.0), (150, 1.0)]
DATA_SETS = 300
FOLDS, SEPARATION, NOISE, FOLD_ERROR = 4, 2.5, 0.6, 0.15
CONDITIONS = ("bright", "dark")
TITLE = """# RL109: what conditions cost that were never seen

Of {sets} simulated data sets a setting: how often the 95 % interval of the gap of the condition `dark` holds the truth
(standard error 0.013), and the verdicts. As many good parts as defective ones, two pictures each, one under each
condition; {folds} folds; `shift`: by how much scores of `dark` rise where it was never seen, in deviations of good
parts. Made by `benchmarks/conditions.py`.

| defective parts | shift | true gap | covered | warn | fail | mean width |
|---|---|---|---|---|---|---|
"""


def main():
    lines = []
    for defective, shift in SETTINGS:
        found = [gap(defective, shift, number) for number in range(DATA_SETS)]
        # What is estimated has the sample's number of parts, so the truth is the mean over data sets of their own.
        others = range(DATA_SETS, 6 * DATA_SETS)
        truth = np.mean([gap(defective, shift, number, verdict=False)[0] for number in others])
        low, high = (np.array([one[place] for one in found]) for place in (1, 2))
        verdicts = [one[3] for one in found]
        covered = float(((low <= truth) & (truth <= high)).mean())
        share = {word: verdicts.count(word) / DATA_SETS for word in ("warn", "fail")}
        lines.append(
            f"| {defective} | {shift:g} | {truth:+.3f} | {covered:.3f} | {share['warn']:.3f} | {share['fail']:.3f} | "
            f"{(high - low).mean():.2f} |"
        )
        print(lines[-1], flush=True)
    text = TITLE.format(sets=DATA_SETS, folds=FOLDS) + "\n".join(lines) + "\n"
    Path(__file__).with_suffix(".md").write_text(text, encoding="utf-8")


def gap(defective, shift, number, *, verdict=True):
    """Estimate, interval and verdict of the gap of `dark` in one data set; the estimate alone where that is enough."""
    generator = numpy_generator(number, "conditions", defective, str(shift))
    label = np.repeat([1, 0], defective)
    appearance = generator.normal(size=label.size)
    runs = [run(generator, label, appearance, shift, leaves_out) for leaves_out in (True, False)]
    if not verdict:
        return [plain_gap(*runs)]
    finding = diagnose_conditions(*runs, "youden", seed=number)
    found = finding.measure("gap[dark]")
    return found.estimate.value, found.estimate.low, found.estimate.high, found.verdict


def run(generator, label, appearance, shift, leaves_out):
    """A score table."""
    rows = {name: [] for name in ("fold", "partition", "object_id", "label", "condition", "score")}
    for fold in range(FOLDS):
        error = FOLD_ERROR * generator.normal()
        judged = np.zeros(label.size, bool)
        for c in (0, 1):
            own = np.flatnonzero(label == c)
            judged[generator.permutation(own)[: len(own) // 2]] = True
        for number, condition in enumerate(CONDITIONS):
            unseen = leaves_out and fold % 2 == number
            score = SEPARATION * label + appearance + NOISE * generator.normal(size=label.size) + error
            score = score + shift * (unseen and condition == "dark")
            kept = (judged if unseen else ~judged) if leaves_out else np.ones(label.size, bool)
            for place in np.flatnonzero(kept):
                values = (fold, "inference" if judged[place] else "threshold", f"part {place}", label[place], condition)
                for name, value in zip(rows, (*values, score[place]), strict=True):
                    rows[name].append(value)
    return pa.table(rows)


def plain_gap(left_out, ordinary):
    """The estimate alone, computed with none of the code that is judged."""
    shares = []
    for table in (left_out, ordinary):
        frame, parts = table.to_pandas(), []
        for _, fold in frame.groupby("fold"):
            chooses, judges = fold[fold["partition"] == "threshold"], fold[fold["partition"] == "inference"]
            score, label = chooses["score"].to_numpy(), chooses["label"].to_numpy()
            order = np.argsort(-score)
            gain = np.cumsum(np.where(label[order] == 1, 1 / label.sum(), -1 / (1 - label).sum()))
            threshold = score[order][int(gain.argmax())]
            judges = judges[judges["condition"] == "dark"]
            parts.append(judges.assign(wrong=(judges["score"] >= threshold) != (judges["label"] == 1)))
        shares.append(pd.concat(parts).groupby(["label", "object_id"])["wrong"].mean())
    return float((shares[0] - shares[1]).dropna().groupby("label").mean().mean())


if __name__ == "__main__":
    main()
