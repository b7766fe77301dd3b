"""The figures of a diagnosed run, into its `figures/` folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow.compute as pc

from raylab2f.diagnostics import Finding
from raylab2f.diagnostics.fragility import outcome_curves
from raylab2f.diagnostics.silhouette import averages, mean_maps
from raylab2f.diagnostics.variance import Activations
from raylab2f.workflows.evidence import RunEvidence, fold_maps

__all__ = ["draw_figures", "draw_maps", "draw_roc"]

_DEFECTIVE, _GOOD = 5, 3


def draw_figures(run: RunEvidence, findings: Sequence[Finding], *, activations: Mapping[str, Activations]) -> None:
    """Draw what the findings rest on; a skipped diagnosis has no figure."""
    from raylab2f.reporting import figures

    folder = run.folder.path / "figures"
    made = {finding.name: finding for finding in findings if finding.verdict != "skip"}
    draw_roc(run, folder / "roc.png")
    if "background" in made or "silhouette" in made:
        draw_maps(run, folder / "maps.png")
    if "silhouette" in made:
        figures.save(
            figures.silhouette_figure(mean_maps([averages(maps) for maps in fold_maps(run)])), folder / "silhouette.png"
        )
    if "variance" in made:
        numbers = {row["preparation"]: row["place_variance"] for row in made["variance"].evidence.to_pylist()}
        panels = {name: (a.peaks, a.strongest_mean, a.strongest_std) for name, a in activations.items()}
        figures.save(figures.variance_figure(panels, numbers), folder / "variance.png")
    if "invariance" in made and made["invariance"].evidence.num_rows:
        responses = made["invariance"].evidence.to_pylist()
        figures.save(figures.dose_response_figure(responses), folder / "dose_response.png")
    if "threshold" in made:
        figures.save(figures.outcome_figure(**outcome_curves(run.scores)), folder / "threshold.png")


def draw_roc(run: RunEvidence, path: Path) -> None:
    """ROC curves and scores of the inference partitions."""
    from raylab2f.reporting import figures

    folds = []
    for fold in run.splits:
        rows = run.scores.filter(
            pc.and_(pc.equal(run.scores["fold"], fold), pc.equal(run.scores["partition"], "inference"))
        )
        score, label = np.array(rows["score"].to_pylist()), np.array(rows["label"].to_pylist())
        if label.any() and not label.all():
            folds.append((score, label, run.thresholds.get(fold)))
    if folds:
        title = f"{run.settings.detector}, {len(folds)} folds"
        figures.save(figures.roc_figure(folds, title), path)


def draw_maps(run: RunEvidence, path: Path) -> None:
    """Maps of the first fold: defective pictures from the highest to the lowest score, and the worst good ones."""
    from raylab2f.reporting import figures

    fold = next(fold_maps(run))
    bad, good = (np.flatnonzero(fold.labels == label) for label in (1, 0))
    bad = bad[np.argsort(-fold.scores[bad], kind="stable")]
    bad = bad[np.unique(np.linspace(0, max(len(bad) - 1, 0), _DEFECTIVE).round().astype(int))] if len(bad) else bad
    rows = [*bad, *good[np.argsort(-fold.scores[good], kind="stable")][:_GOOD]]
    image_ids = [str(fold.image_ids[row]) for row in rows]
    stored = run.inputs.shards.read(image_ids, ["picture", "defect"])
    panels = [
        figures.Panel(
            stored["picture"][number],
            stored["defect"][number].astype(bool),
            fold.maps[row],
            f"{'defective' if fold.labels[row] else 'good'} {fold.scores[row]:.3g}",
        )
        for number, row in enumerate(rows)
    ]
    figures.save(figures.map_figure(panels, f"{run.settings.detector}, fold {fold.fold}: score above"), path)
