"""Rotation (section 3.5): train on plain or on turned pictures; judge plain and turned ones."""

from __future__ import annotations

from typing import Any

import numpy as np

from raylab2f.datasets.demo import DemoConfig
from raylab2f.diagnostics.resampling import Estimate, auroc, mean, mean_difference, resample
from raylab2f.evaluation import choose_threshold
from raylab2f.preparation import PreparationSettings
from raylab2f.reporting import Display
from raylab2f.workflows.evidence import RunEvidence
from raylab2f.workflows.experiments.common import (
    Claim,
    ExperimentOptions,
    claim_of,
    draw_variant,
    run_variants,
    with_data,
    write_report,
)

__all__ = ["ANGLES", "DEMO", "rotation"]

ANGLES = (0.0, 90.0, 180.0, 270.0)
# Parts in nearly one pose, so that a turned picture is something new; few, for each trains and is judged four times.
DEMO = DemoConfig(nominal_objects=48, anomalous_objects=20, angle_range=(0, 20), views=2, defect_size=2.0)

_TRAINED = {"plain": (0.0,), "turned": ANGLES}


def rotation(options: ExperimentOptions, display: Display) -> str:
    """Run the experiment; returns the report, which is also written to `options.out`."""
    options = with_data(options, DEMO, display)
    variants = {
        f"{detector}-{name}": (detector, PreparationSettings(train_angles=angles, eval_angles=ANGLES))
        for detector in options.detectors
        for name, angles in _TRAINED.items()
    }
    runs = run_variants(options, variants, display)
    rows: list[dict[str, Any]] = []
    claims: list[Claim] = []
    for detector in options.detectors:
        parts = {name: _angles(runs[f"{detector}-{name}"], options.seed) for name in _TRAINED}
        for name, (table, _, _) in parts.items():
            rows += [{"detector": detector, "trained on": name, **row} for row in table]
        (_, raised, sentence), (_, left, other) = parts["plain"], parts["turned"]
        text = f"{detector} trained on plain pictures calls turned good parts defective."
        claims.append(claim_of(text, raised, sentence))
        text = (
            f"{detector}: training on turned pictures takes these false alarms away (at most 0.1 more than on plain)."
        )
        claims.append(claim_of(text, Estimate(-left.value, -left.high, -left.low), other, at_least=-0.1))
    for name, run in runs.items():
        draw_variant(run, name, options.out)
    notes = [
        f"{options.folds} folds, preset {options.preset}. The threshold is Youden's on plain pictures of the threshold "
        "partition, as on a line that never saw a turned part; AUROC: good pictures at the angle against plain "
        "defective ones. In brackets 95 % intervals over objects."
    ]
    return write_report(options.out, "rotation", "Rotation", {"By angle": rows}, claims, notes)


def _angles(run: RunEvidence, seed: int) -> tuple[list[dict[str, Any]], Estimate, str]:
    """Rows by angle; by how much turned good pictures are rejected more often than plain ones; a sentence on it."""
    turn = dict(zip(run.pictures["image_id"].to_pylist(), run.pictures["rotation"].to_pylist(), strict=True))
    columns = {
        key: np.array(run.scores[key].to_pylist()) for key in ("fold", "partition", "object_id", "label", "score")
    }
    angle = np.array([turn[image_id] for image_id in run.scores["image_id"].to_pylist()])
    plain, judged = angle == 0, columns["partition"] == "inference"
    threshold = {}
    for fold in np.unique(columns["fold"]):
        here = (columns["fold"] == fold) & ~judged & plain
        threshold[fold] = choose_threshold("youden", columns["score"][here], columns["label"][here]).threshold
    limit = np.array([threshold[fold] for fold in columns["fold"]], np.float64)
    alarm = (columns["score"] >= limit).astype(np.float64)
    draws = resample(columns["object_id"], columns["label"], seed=seed)
    good = judged & (columns["label"] == 0)
    rows = []
    for one in ANGLES:
        pool = judged & (((columns["label"] == 0) & (angle == one)) | ((columns["label"] == 1) & plain))
        separated = auroc(draws, np.where(pool, columns["score"], np.nan), columns["label"], columns["fold"])
        alarms = mean(draws, alarm, good & (angle == one))
        rows.append(
            {
                "angle": f"{one:g}",
                "AUROC": str(separated),
                "false alarms": str(alarms),
                "threshold": float(np.mean(list(threshold.values()))),
                "mean good score": float(columns["score"][good & (angle == one)].mean()),
            }
        )
    raised = mean_difference(draws, alarm, good & ~plain, good & plain)
    sentence = (
        f"{alarm[good & ~plain].mean():.0%} of turned and {alarm[good & plain].mean():.0%} of plain good pictures "
        "rejected"
    )
    return rows, raised, sentence
