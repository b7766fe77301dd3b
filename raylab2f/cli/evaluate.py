"""`raylab2f evaluate`: thresholds, metrics and intervals for the scores of any detector."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from raylab2f import api
from raylab2f.cli.composition import command
from raylab2f.cli.lines import print_lines
from raylab2f.options.declaration import Option
from raylab2f.options.evaluation import Evaluation, MuteOption
from raylab2f.options.protocol import MOST_FOLDS
from raylab2f.options.score_files import ScoreFiles
from raylab2f.reporting.printing import plain_console

__all__ = ["evaluate_scores"]


@command
def evaluate_scores(
    scores: Annotated[
        str,
        Option(
            "Parquet or CSV, or its URI: image_id, label, score; fold, partition, object_id, defect_type optional. "
            "Or what another tool wrote (--from). Or a run's folder: its scores, judged with the options given here.",
            kind="place",
            positional=True,
        ),
    ],
    evaluation: Evaluation,
    files: ScoreFiles,
    out: Annotated[
        str | None, Option("Folder or URI for summary.json, metrics.parquet and others.", kind="place")
    ] = None,
    as_json: Annotated[bool, Option("Print summary.json instead of a table.", name="json")] = False,
    mute: MuteOption = (),
    folds: Annotated[
        int, Option("How often to split scores without fold and partition.", minimum=1, maximum=MOST_FOLDS)
    ] = 10,
    seed: Annotated[int, Option(minimum=0)] = 0,
) -> None:
    """Evaluate a table of scores, from whatever tool it comes, or those of a run."""
    from raylab2f.files.atomic import write_json, write_parquet
    from raylab2f.files.mirror import local, publish
    from raylab2f.reporting import print_summary

    result = api.evaluate(scores, folds=folds, seed=seed, mute=mute, **vars(evaluation), **vars(files))
    values = result.summary.to_dict()
    if out is not None:
        tables = {"metrics.parquet": result.metrics, "probabilities.parquet": result.probabilities}
        written = {name: table for name, table in tables.items() if table is not None}
        for name, table in written.items():
            write_parquet(local(out) / name, table)
        write_json(local(out) / "summary.json", values)
        publish(out, [*written, "summary.json"])
    if as_json:
        typer.echo(json.dumps(values, indent=2, allow_nan=False))
        return
    console = plain_console()
    print_summary(values, console)
    if out is not None:
        print_lines(console, f"results in {out}")
