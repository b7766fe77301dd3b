"""What the diagnosis `condition` says of equal conditions, and of one that is not: `python benchmarks/conditions.py`.

The simulated factory (`simulated_factory.py`) makes parts, twice as many good ones as defective ones, under two
conditions: each part under both (`both`), or half of the parts under either (`one`). Two runs have as many folds each:
one leaves conditions out, the other is balanced; in either every fold has a detector of its own, that its training
pictures make. Conditions are equal, or `dark` pictures score higher where folds never saw one. Intervals are about the
expected gap, which is not 0 where conditions are equal: folds that leave out a condition train and choose with fewer
pictures. It is taken from all simulated data sets together. Some minutes on one core; writes `conditions.md` beside
this file.
"""

import argparse
from pathlib import Path

import numpy as np
import pyarrow as pa
from simulated_factory import Setting, draw_scores, plan_of

from raylab2f.diagnostics import diagnose_conditions
from raylab2f.evaluation import plan_fold
from raylab2f.seeding import numpy_generator

CONDITIONS = ("bright", "dark")
# Defective parts, how they were photographed, folds of each run, distance of both classes, strategy.
SETTINGS = (
    (20, "both", 2, 2.0, "youden"),
    (20, "both", 4, 2.0, "youden"),
    (20, "both", 4, 4.0, "youden"),
    (20, "one", 4, 2.0, "youden"),
    (20, "one", 4, 4.0, "youden"),
    (50, "both", 2, 2.0, "youden"),
    (50, "both", 4, 2.0, "cost:10,1"),
    (50, "one", 4, 2.0, "youden"),
    (100, "both", 2, 2.0, "youden"),
    (100, "both", 4, 4.0, "youden"),
    (100, "one", 4, 2.0, "cost:10,1"),
    (300, "both", 2, 2.0, "youden"),
    (300, "both", 4, 4.0, "youden"),
    (300, "one", 4, 2.0, "youden"),
)
RHO, MOVED, REPLICATES = 0.5, 3.0, 300


def plan_runs(setting, design, seed=0):
    """The folds of both runs, those that leave conditions out first, and the condition of every picture."""
    objects, folds = setting.anomalous + setting.nominal, setting.folds // 2
    owner = np.repeat(np.arange(objects), setting.pictures)
    number = np.arange(len(owner)) % 2 if design == "both" else owner % 2
    condition = np.array(CONDITIONS)[number]
    names = [f"{picture:06d}" for picture in range(len(owner))]
    label = setting.labels.ravel()
    manifest = pa.table(
        {
            "image_id": names,
            "object_id": [f"{o:06d}" for o in owner],
            "label": pa.array(label.astype(int), pa.int8()),
            "given_split": ["train"] * len(names),
            "condition": condition,
        }
    )
    splits = [
        plan_fold(manifest, fold=fold % folds, seed=seed, scheme=scheme, folds=folds, fingerprint="simulated")
        for fold, scheme in enumerate(["leave-condition-out"] * folds + ["balanced"] * (setting.folds - folds))
    ]
    return plan_of(splits, label), condition


def score_tables(setting, plan, condition, moved, rng):
    """Score tables of the run that leaves conditions out and of the ordinary one."""
    drawn, _ = draw_scores(setting, plan, rng)
    lit, left_out = condition[plan.picture], drawn.fold < setting.folds // 2
    unseen = left_out & drawn.judged & (lit == "dark")
    table = pa.table(
        {
            "fold": drawn.fold,
            "partition": np.where(drawn.judged, "inference", "threshold"),
            "image_id": plan.picture.astype(str),
            "object_id": drawn.object.astype(str),
            "label": drawn.label.astype(int),
            "condition": lit,
            "score": drawn.score + moved * unseen,
        }
    )
    return table.filter(pa.array(left_out)), table.filter(pa.array(~left_out))


def simulate(parts, design, folds, separation, strategy, moved, tables):
    """(tables,) findings."""
    pictures = 2 if design == "both" else 1
    setting = Setting(parts, 2 * parts, pictures, RHO, separation, folds=2 * folds)
    plan, condition = plan_runs(setting, design)
    findings = []
    for seed in range(tables):
        rng = numpy_generator(seed, "conditions", setting.name, design, strategy, str(moved))
        runs = score_tables(setting, plan, condition, moved, rng)
        findings.append(diagnose_conditions(*runs, strategy, replicates=REPLICATES, seed=seed))
    return findings


def covered(findings, conditions):
    """The expected gap, and how often the interval holds it."""
    estimates = [[finding.measure(f"gap[{c}]").estimate for finding in findings] for c in conditions]
    truth = np.mean([[e.value for e in row] for row in estimates])
    return truth, np.mean([[e.low <= truth <= e.high for e in row] for row in estimates])


def share(findings, verdict):
    return np.mean([finding.verdict == verdict for finding in findings])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tables", type=int, default=300)
    tables = parser.parse_args().tables
    lines = [
        "# What the diagnosis of conditions says of simulated runs",
        "",
        f"{tables} data sets a row, made by `benchmarks/conditions.py`: two conditions, each part under both or one;",
        f"twice as many good parts as defective ones, scores `sep` standard deviations apart, {REPLICATES} replicates.",
        "`covers`: share of the 95 % intervals that hold the expected gap, which stands beside it in points; standard",
        f"error {np.sqrt(0.95 * 0.05 / tables):.3f} or less; of equal conditions both intervals count. `warn`, `fail`:",
        f"verdicts of the whole diagnosis. The planted gap moves scores of unseen `dark` pictures up by {MOVED:g}; its",
        "power is the share of data sets that fail, in brackets of those that fail or warn.",
        "",
        "| defective parts | under | folds a run | sep | strategy | equal: gap | covers | warn | fail | planted: gap "
        "| covers | power |",
        "|" + "---|" * 12,
    ]
    for parts, design, folds, separation, strategy in SETTINGS:
        setting = (parts, design, folds, separation, strategy)
        equal, planted = (simulate(*setting, moved, tables) for moved in (0.0, MOVED))
        (truth, held), (gap, still) = covered(equal, CONDITIONS), covered(planted, CONDITIONS[1:])
        fails = share(planted, "fail")
        lines.append(
            f"| {parts} | {design} | {folds} | {separation:g} | `{strategy}` | {100 * truth:.1f} | {held:.3f} "
            f"| {share(equal, 'warn'):.3f} | {share(equal, 'fail'):.3f} | {100 * gap:.1f} | {still:.3f} "
            f"| {fails:.3f} ({fails + share(planted, 'warn'):.3f}) |"
        )
        print(lines[-1], flush=True)
    Path(__file__).with_suffix(".md").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
