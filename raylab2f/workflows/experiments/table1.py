"""Table 1: naive, masked and centre-embedded pictures, for each detector."""

from __future__ import annotations

from itertools import product
from typing import Any

from raylab2f.datasets.demo import DemoConfig
from raylab2f.diagnostics import diagnose_background
from raylab2f.evaluation.comparison.runs import Comparison, compare_scores
from raylab2f.preparation import PreparationSettings
from raylab2f.reporting import Display
from raylab2f.workflows.evidence import RunEvidence, fold_maps
from raylab2f.workflows.experiments.common import (
    Claim,
    ExperimentOptions,
    claim_of,
    difference_estimate,
    draw_variant,
    estimate_of,
    run_variants,
    text_of,
    with_data,
    write_report,
)

__all__ = ["DEMO", "table1"]

PREPARATIONS = {
    "naive": PreparationSettings(),
    "masked": PreparationSettings(mask_background=True),
    "centred": PreparationSettings(mask_background=True, centre_embed="auto", fit="pad"),
}
# Half of the defective pictures have a background of their own: the shortcut that naive pictures offer.
DEMO = DemoConfig(label_clutter=0.5)


def table1(options: ExperimentOptions, display: Display) -> str:
    """Run the detectors on the three preparations; returns the report, which is also written to `options.out`."""
    rendered = options.data.data is None
    options = with_data(options, DEMO, display)
    variants = {
        f"{detector}-{name}": (detector, preparation)
        for detector, (name, preparation) in product(options.detectors, PREPARATIONS.items())
    }
    runs = run_variants(options, variants, display)
    rows = [_row(name, run) for name, run in runs.items()]
    for name, run in runs.items():
        draw_variant(run, name, options.out)
    compared = compare_scores(
        {name: run.scores.drop_columns(["trained"]) for name, run in runs.items()},
        metrics=("auroc",),
        levels=("image",),
        seed=options.seed,
    )
    notes = [f"{options.folds} folds, preset {options.preset}; in brackets 95 % intervals over objects."]
    if rendered:
        notes.append(
            f"Rendered parts; {DEMO.label_clutter:.0%} of the defective pictures have chalk marks in the background, "
            "so naive pictures offer a shortcut and an AUROC that falls without backgrounds is the honest one."
        )
    claims = _claims(options, runs, compared, rendered=rendered)
    return write_report(options.out, "table1", "Table 1", {"Outcomes": rows}, claims, notes)


def _row(name: str, run: RunEvidence) -> dict[str, Any]:
    detector, preparation = name.split("-")
    row: dict[str, Any] = {"detector": detector, "preparation": preparation}
    for metric, level in (
        ("auroc", "image"),
        ("auroc", "object"),
        ("balanced_accuracy", "image"),
        ("escape_rate", "object"),
        ("overkill_rate", "object"),
    ):
        row[f"{metric} ({level})"] = text_of(estimate_of(run, metric, level))
    return row


def _claims(
    options: ExperimentOptions, runs: dict[str, RunEvidence], compared: Comparison, *, rendered: bool
) -> list[Claim]:
    differences = {(d.first, d.second): d for d in compared.differences}
    claims = []
    for detector in options.detectors:
        finding = diagnose_background(fold_maps(runs[f"{detector}-naive"]), seed=options.seed)
        if finding.verdict != "skip":
            shortcut = finding.measure("background-auroc")
            text = f"On naive pictures {detector}'s background pixels alone tell defective from good ones."
            claims.append(claim_of(text, shortcut.estimate, shortcut.sentence, at_least=0.5))
        for better, worse in (("masked", "naive"), ("centred", "masked"), ("centred", "naive")):
            first, second = f"{detector}-{worse}", f"{detector}-{better}"
            difference = differences[first, second]
            gain = difference_estimate(difference)
            measured = f"AUROC {difference.second_mean:.3f} against {difference.first_mean:.3f}"
            flipped = type(gain)(-gain.value, -gain.high, -gain.low)
            if rendered and worse == "naive":
                text = f"{detector}: the AUROC of naive pictures is not that of the part: it falls when {better}."
                claims.append(claim_of(text, gain, measured))
            else:
                text = f"{detector}: {better} pictures are told better than {worse} ones."
                claims.append(claim_of(text, flipped, measured))
    if {"csflow", "glass"} <= set(options.detectors):
        for name in PREPARATIONS:
            keys = [(f"csflow-{name}", f"glass-{name}"), (f"glass-{name}", f"csflow-{name}")]
            key = next(key for key in keys if key in differences)
            difference = differences[key]
            gain = difference_estimate(difference)
            if key[0].startswith("csflow"):
                gain = type(gain)(-gain.value, -gain.high, -gain.low)
            means = {key[0]: difference.first_mean, key[1]: difference.second_mean}
            measured = f"AUROC {means[f'glass-{name}']:.3f} against {means[f'csflow-{name}']:.3f}"
            claims.append(claim_of(f"GLASS is above CS-Flow on {name} pictures.", gain, measured))
    return claims
