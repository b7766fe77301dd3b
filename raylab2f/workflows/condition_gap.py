"""What a run that leaves conditions out is compared with: a run beside it whose folds saw them all."""

from __future__ import annotations

from typing import Any

from raylab2f.datasets.manifest import fingerprint
from raylab2f.diagnostics import Finding, diagnose_conditions
from raylab2f.diagnostics.finding import skipped
from raylab2f.evaluation.plans.left_out_conditions import SCHEME
from raylab2f.runs.siblings import find_ordinary_run
from raylab2f.workflows.evidence import RunEvidence

__all__ = ["condition_gap"]


def condition_gap(run: RunEvidence, *, seed: int, **rules: Any) -> Finding:
    """The diagnosis `condition` of a run; skipped where it, or the run to compare with, is none of these.

    Arguments:
        rules: by which thresholds are chosen in both runs, as `diagnose_conditions` takes them.
    """
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
    # Thresholds are chosen here by this run's rules, so what the other one was evaluated with does not matter.
    _, scores = ordinary
    return diagnose_conditions(run.scores, scores, run.strategy, seed=seed, **rules)
