"""What a run that leaves conditions out is compared with: a run beside it whose folds saw them all."""

from __future__ import annotations

from raylab2f.datasets.manifest import fingerprint
from raylab2f.diagnostics import Finding, diagnose_conditions
from raylab2f.diagnostics.finding import skipped
from raylab2f.evaluation.plans.left_out_conditions import SCHEME
from raylab2f.files.mirror import fetch
from raylab2f.runs.folder import RunFolder
from raylab2f.runs.siblings import find_ordinary_run
from raylab2f.workflows.evidence import RunEvidence, run_thresholds

__all__ = ["condition_gap"]


def condition_gap(run: RunEvidence, *, seed: int) -> Finding:
    """The diagnosis `condition` of a run; skipped where it, or the run to compare with, is none of these."""
    if run.settings.scheme != SCHEME:
        return skipped(
            "condition",
            f"This run's folds saw every condition; a run with --scheme {SCHEME} beside it shows what an unseen one "
            "costs.",
        )
    ordinary = find_ordinary_run(run.folder, run.settings, fingerprint(run.manifest))
    if ordinary is None:
        return skipped(
            "condition",
            "There is no run with the same options but --scheme balanced or kfold beside this one to compare with.",
        )
    place, scores = ordinary
    folder = RunFolder(place)
    fetch(place, ["metrics.parquet"])
    if not folder.metrics.is_file():
        return skipped("condition", f"{place} has no thresholds yet; finish it with run-cv --resume.")
    thresholds = run_thresholds(folder, run.strategy, "image")
    return diagnose_conditions(run.scores, run.thresholds, scores, thresholds, seed=seed)
