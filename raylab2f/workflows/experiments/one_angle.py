"""One angle (section 3.6): the same parts from all views, and from one view only."""

from __future__ import annotations

from collections import Counter
from typing import Any

from raylab2f.datasets.demo import DemoConfig
from raylab2f.diagnostics.resampling import Estimate
from raylab2f.errors import UserError
from raylab2f.files.parquet import read_parquet
from raylab2f.preparation import PreparationSettings
from raylab2f.reporting import Display
from raylab2f.runs.data import open_dataset
from raylab2f.workflows.experiments.common import (
    Claim,
    ExperimentOptions,
    claim_of,
    draw_variant,
    estimate_of,
    run_variants,
    text_of,
    with_data,
    write_report,
)

__all__ = ["DEMO", "one_angle"]

DEMO = DemoConfig()


def one_angle(options: ExperimentOptions, display: Display, view: str | None = None) -> str:
    """Run the detectors on all views and on one; `view` is one of the data's, `None`: the most frequent one.

    Raises:
        UserError: the data know fewer than two views.
    """
    options = with_data(options, DEMO, display)
    manifest = open_dataset(options.data, options.cache, display).manifest
    # A view that shows no defect has nothing to be judged by.
    defective = [
        v for v, label in zip(manifest["view"].to_pylist(), manifest["label"].to_pylist(), strict=True) if label
    ]
    counts = Counter(v for v in defective if v is not None)
    if len(counts) < 2:
        raise UserError(
            "The pictures show fewer than two views; say with --views how the view is found in their names."
        )
    view = view or max(sorted(counts), key=lambda name: counts[name])
    preparations = {"all": PreparationSettings(), "one": PreparationSettings(keep_views=view)}
    variants = {
        f"{detector}-{name}": (detector, preparation)
        for detector in options.detectors
        for name, preparation in preparations.items()
    }
    runs = run_variants(options, variants, display)
    rows: list[dict[str, Any]] = []
    claims: list[Claim] = []
    for detector in options.detectors:
        found = {}
        for name in preparations:
            run = runs[f"{detector}-{name}"]
            values = {level: estimate_of(run, "auroc", level) for level in ("image", "object")}
            found[name] = values["image"]
            trained = read_parquet(run.folder.fold(min(run.splits)) / "split.parquet")["partition"].to_pylist()
            rows.append(
                {
                    "detector": detector,
                    "views": view if name == "one" else "all",
                    "training pictures": trained.count("train"),
                    **{f"AUROC ({level})": text_of(value) for level, value in values.items()},
                }
            )
            draw_variant(run, f"{detector}-{name}", options.out)
        gain = _difference(found["one"], found["all"])
        measured = f"AUROC {text_of(found['one'])} on one view, {text_of(found['all'])} on all"
        claims.append(claim_of(f"{detector}: one view is easier than all of them.", gain, measured))
    notes = [
        f"{options.folds} folds, preset {options.preset}. One view makes the problem easier and the training set "
        "smaller; its figures hold for parts presented in this view only. In brackets 95 % intervals over objects; the "
        "difference's takes both figures as independent, which makes it too wide rather than too narrow."
    ]
    return write_report(options.out, "one-angle", "One angle", {"Outcomes": rows}, claims, notes)


def _difference(first: dict[str, Any], second: dict[str, Any]) -> Estimate:
    """Of two figures, with an interval from the lengths of theirs (Newcombe 1998, method 10)."""
    if None in (*first.values(), *second.values()):
        return Estimate(float("nan"))
    value = first["mean"] - second["mean"]
    below = ((first["mean"] - first["low"]) ** 2 + (second["high"] - second["mean"]) ** 2) ** 0.5
    above = ((first["high"] - first["mean"]) ** 2 + (second["mean"] - second["low"]) ** 2) ** 0.5
    return Estimate(value, value - below, value + above)
