"""What the experiments share: options, runs of several variants, claims held against figures, the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa

from raylab2f.cluster.training.placement import FoldResources
from raylab2f.datasets.demo import DemoConfig
from raylab2f.detectors.registry import config_to_dict, preset_config
from raylab2f.diagnostics.resampling import Estimate
from raylab2f.evaluation.comparison.runs import Difference
from raylab2f.files.atomic import atomic_path, write_json, write_parquet
from raylab2f.files.mirror import local, publish
from raylab2f.files.places import join
from raylab2f.files.strangers import read_json
from raylab2f.preparation import PreparationSettings
from raylab2f.reporting import Display
from raylab2f.runs.data import rendered_dataset
from raylab2f.runs.folder import DataSettings, RunSettings
from raylab2f.workflows.cross_validation import run_cross_validation
from raylab2f.workflows.diagnosis_figures import draw_maps, draw_roc
from raylab2f.workflows.evidence import RunEvidence, open_run

__all__ = [
    "Claim",
    "ExperimentOptions",
    "claim_of",
    "difference_estimate",
    "draw_variant",
    "estimate_of",
    "run_variants",
    "text_of",
    "with_data",
    "write_report",
]


@dataclass(frozen=True)
class ExperimentOptions:
    """What the user chooses.

    Arguments:
        data: the pictures; its `data` is `None` for rendered ones.
        out: folder, or URI on a store, for runs, tables and figures; what is finished there is not done again.
        cache: for pictures and features.
        detectors, preset, folds, seed: as for a run.
        epochs, size: instead of the preset's.
        address: of a Ray cluster.
    """

    data: DataSettings
    out: str
    cache: str
    detectors: tuple[str, ...] = ("csflow", "glass")
    preset: str = "demo"
    folds: int = 3
    epochs: int | None = None
    size: tuple[int, int] | None = None
    seed: int = 0
    address: str | None = None

    def settings(self, detector: str, preparation: PreparationSettings) -> RunSettings:
        """A run of one detector on pictures prepared in one way."""
        config = preset_config(detector, self.preset)
        if self.size is not None:
            config = replace(config, size=self.size)
        if self.epochs is not None:
            config = replace(config, schedule=replace(config.schedule, epochs=self.epochs))
        return RunSettings(
            data=self.data,
            detector=detector,
            preset=self.preset,
            config=config_to_dict(config),
            preparation=preparation,
            folds=self.folds,
            seed=self.seed,
            # The paper's sections compare preparations on one pool of good pictures.
            merge_nominal_test="yes",
            evaluation={"strategies": ["youden"]},
        )


@dataclass(frozen=True)
class Claim:
    """A finding of the paper, and whether these figures show it.

    Arguments:
        text: what the paper found.
        reproduced: `yes`, `no` (the opposite was seen) or `not shown` (chance explains the difference).
        measured: the figures.
    """

    text: str
    reproduced: Literal["yes", "no", "not shown"]
    measured: str


def claim_of(text: str, estimate: Estimate, measured: str, *, at_least: float = 0.0) -> Claim:
    """Reproduced when the whole interval of a figure lies above `at_least`, not when it lies below."""
    verdict: Literal["yes", "no", "not shown"] = "not shown"
    if estimate.low > at_least:
        verdict = "yes"
    elif estimate.high < at_least:
        verdict = "no"
    return Claim(text, verdict, measured)


def with_data(options: ExperimentOptions, demo: DemoConfig, display: Display) -> ExperimentOptions:
    """The options with rendered pictures where the user gave none."""
    if options.data.data is not None:
        return options
    return replace(options, data=replace(options.data, data=rendered_dataset(demo, options.cache, display)))


def run_variants(
    options: ExperimentOptions, variants: Mapping[str, tuple[str, PreparationSettings]], display: Display
) -> dict[str, RunEvidence]:
    """One run a variant, all on one cluster; (detector, preparation) by the variant's name, which names its folder."""
    runs = [
        (options.settings(detector, preparation), join(options.out, "runs", name))
        for name, (detector, preparation) in variants.items()
    ]
    run_cross_validation(
        runs,
        cache=options.cache,
        display=display,
        resources=FoldResources(),
        address=options.address,
        resume=True,
    )
    return {name: open_run(folder, options.cache, display) for name, (_, folder) in zip(variants, runs, strict=True)}


def estimate_of(run: RunEvidence, metric: str, level: str) -> dict[str, Any]:
    """`mean`, `low` and `high` of a run's summary; `None` where undefined."""
    summary = read_json(run.folder.summary)
    for estimate in summary["estimates"]:
        if estimate["metric"] == metric and estimate["level"] == level:
            interval = estimate["interval"] or {"low": None, "high": None}
            return {"mean": estimate["mean"], "low": interval["low"], "high": interval["high"]}
    return {"mean": None, "low": None, "high": None}


def text_of(values: Mapping[str, Any]) -> str:
    """`0.912 (0.803 to 0.970)`; empty where undefined."""
    if values["mean"] is None:
        return ""
    interval = "" if values["low"] is None else f" ({values['low']:.3f} to {values['high']:.3f})"
    return f"{values['mean']:.3f}{interval}"


def difference_estimate(difference: Difference) -> Estimate:
    """The difference of two runs with its bootstrap interval."""
    if difference.bootstrap is None:
        return Estimate(difference.difference)
    return Estimate(difference.difference, difference.bootstrap.low, difference.bootstrap.high)


def draw_variant(run: RunEvidence, name: str, out: str) -> None:
    """ROC with histogram, and anomaly maps with ground truth (the paper's Figures 2, 3, 4 and 6), below `out`."""
    draw_roc(run, local(out) / "figures" / f"{name}-roc.png")
    draw_maps(run, local(out) / "figures" / f"{name}-maps.png")


def write_report(
    place: str | Path,
    name: str,
    title: str,
    tables: Mapping[str, Sequence[Mapping[str, Any]]],
    claims: Sequence[Claim],
    notes: Sequence[str] = (),
) -> str:
    """Write `<name>.md`, `<name>.json` and a Parquet file a table into a folder; returns the Markdown.

    On a store the figures that were drawn go there with them.
    """
    out = local(place)
    lines = [f"# {title}", "", *[f"{note}\n" for note in notes]]
    for heading, rows in tables.items():
        lines += [f"## {heading}", "", *_markdown(rows), ""]
        write_parquet(out / f"{name}-{heading.lower().replace(' ', '-')}.parquet", pa.Table.from_pylist(list(rows)))
    lines += ["## What the paper found, and what was seen here", ""]
    lines += _markdown([{"finding": c.text, "reproduced": c.reproduced, "measured": c.measured} for c in claims])
    text = "\n".join(lines) + "\n"
    with atomic_path(out / f"{name}.md") as temporary:
        temporary.write_text(text, encoding="utf-8")
    content = {
        "title": title,
        "notes": list(notes),
        "tables": {heading: list(rows) for heading, rows in tables.items()},
        "claims": [asdict(claim) for claim in claims],
    }
    write_json(out / f"{name}.json", content)
    publish(place, ["figures/*", f"{name}*"])
    return text


def _markdown(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    if not rows:
        return ["Nothing to compare."]
    columns = list(rows[0])
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    for row in rows:
        cells = (
            f"{value:.3f}" if isinstance(value, float) else "" if value is None else str(value)
            for value in row.values()
        )
        lines.append("| " + " | ".join(cells) + " |")
    return lines
