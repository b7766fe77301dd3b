"""`raylab2f evaluate`: thresholds, metrics and intervals for the scores of any detector."""

from __future__ import annotations

import json
from pathlib import PurePosixPath
from typing import Annotated

import typer
from rich.console import Console

from raylab2f.cli.options import (
    BetaOption,
    ConfidenceOption,
    CostEscapeOption,
    CostOverkillOption,
    IntervalOption,
    ObjectScoreOption,
    PrevalenceOption,
    ReplicatesOption,
    ThresholdOption,
)
from raylab2f.cli.place_options import PLACE
from raylab2f.files.places import name_of

__all__ = ["evaluate_scores"]


def evaluate_scores(
    scores: Annotated[
        str,
        typer.Argument(
            **PLACE,
            help="Parquet or CSV, or its URI: image_id, label, score; fold, partition, object_id, defect_type optional",
        ),
    ],
    out: Annotated[
        str | None, typer.Option("--out", **PLACE, help="Folder or URI for summary.json and metrics.parquet.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print summary.json instead of a table.")] = False,
    threshold: ThresholdOption = ["youden"],
    object_score: ObjectScoreOption = "max",
    cost_escape: CostEscapeOption = 10.0,
    cost_overkill: CostOverkillOption = 1.0,
    prevalence: PrevalenceOption = None,
    beta: BetaOption = 2.0,
    confidence: ConfidenceOption = 0.95,
    interval: IntervalOption = "object-bootstrap",
    replicates: ReplicatesOption = 10_000,
    folds: Annotated[
        int, typer.Option("--folds", min=1, help="How often to split scores without fold and partition.")
    ] = 10,
    seed: Annotated[int, typer.Option("--seed", min=0)] = 0,
) -> None:
    """Evaluate a table of scores, from whatever tool it comes."""
    from raylab2f.evaluation import evaluate, read_scores
    from raylab2f.files.atomic import write_json, write_parquet
    from raylab2f.files.mirror import fetch_file, local, publish
    from raylab2f.reporting import print_summary

    summary = evaluate(
        read_scores(fetch_file(scores)),
        strategies=threshold,
        interval=interval,
        confidence=confidence,
        replicates=replicates,
        seed=seed,
        object_score=object_score,
        prevalence=prevalence,
        cost_escape=cost_escape,
        cost_overkill=cost_overkill,
        beta=beta,
        folds=folds,
        dataset={"name": PurePosixPath(name_of(scores)).stem},
    )
    values = summary.to_dict()
    if out is not None:
        write_parquet(local(out) / "metrics.parquet", summary.metrics)
        write_json(local(out) / "summary.json", values)
        publish(out, ["metrics.parquet", "summary.json"])
    if as_json:
        typer.echo(json.dumps(values, indent=2, allow_nan=False))
        return
    console = Console()
    print_summary(values, console)
    if out is not None:
        console.print(f"results in {out}", highlight=False, markup=False, soft_wrap=True)
