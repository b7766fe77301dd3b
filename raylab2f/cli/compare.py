"""`raylab2f compare`: paired differences between runs on the same folds."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from raylab2f.cli.options import PrevalenceOption, ReplicatesOption
from raylab2f.cli.place_options import PLACE, read_run_at
from raylab2f.errors import UserError
from raylab2f.files.places import absolute, name_of, parent_of

if TYPE_CHECKING:
    from raylab2f.evaluation.comparison.paired_tests import TTest
    from raylab2f.evaluation.comparison.runs import Comparison, Difference

__all__ = ["compare_runs"]


def compare_runs(
    runs: Annotated[
        list[str], typer.Argument(**PLACE, help="Folders or URIs of at least two runs with the same fold plan.")
    ],
    metric: Annotated[
        list[str],
        typer.Option(
            "--metric",
            help="Metric to compare; repeatable.",
            show_default="balanced_accuracy, recall, specificity, auroc",
        ),
    ] = [],
    level: Annotated[str, typer.Option("--level", help="object, image or both.")] = "object",
    rope: Annotated[
        float, typer.Option("--rope", help="Differences up to this much count as none, in the metric's unit.")
    ] = 0.01,
    threshold: Annotated[
        list[str],
        typer.Option("--threshold", help="Threshold strategy; repeatable.", show_default="as the runs were evaluated"),
    ] = [],
    object_score: Annotated[
        str | None,
        typer.Option(
            "--object-score",
            help="A part's score from its pictures': max, mean, topk-mean:K or quantile:Q.",
            show_default="as the runs were evaluated",
        ),
    ] = None,
    cost_escape: Annotated[
        float | None, typer.Option("--cost-escape", help="Cost of a defective part accepted.")
    ] = None,
    cost_overkill: Annotated[
        float | None, typer.Option("--cost-overkill", help="Cost of a good part rejected.")
    ] = None,
    prevalence: PrevalenceOption = None,
    beta: Annotated[float | None, typer.Option("--beta", help="Of F-beta.")] = None,
    confidence: Annotated[float | None, typer.Option("--confidence", help="Of all intervals.")] = None,
    replicates: ReplicatesOption = 10_000,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the bootstrap.")] = 0,
    out: Annotated[
        str | None, typer.Option("--out", **PLACE, help="File, or its URI, for the comparison as JSON.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    """Say which of several detectors is better, and how sure that is."""
    from raylab2f.evaluation.comparison.run_scores import agreed_settings, require_same_plan
    from raylab2f.evaluation.comparison.runs import DEFAULT_METRICS, compare_scores
    from raylab2f.files.atomic import write_json
    from raylab2f.files.mirror import local, publish

    if len(runs) < 2:
        raise UserError("Give the folders of at least two runs to compare.")
    found = [read_run_at(place, name) for place, name in zip(runs, _names(runs), strict=True)]
    require_same_plan(found)
    given = {
        "strategies": threshold or None,
        "object_score": object_score,
        "prevalence": prevalence,
        "cost_escape": cost_escape,
        "cost_overkill": cost_overkill,
        "beta": beta,
        "confidence": confidence,
    }
    comparison = compare_scores(
        {run.name: run.scores for run in found},
        metrics=metric or DEFAULT_METRICS,
        levels=("image", "object") if level == "both" else (level,),
        rope=rope,
        replicates=replicates,
        seed=seed,
        **agreed_settings(found, given),
    )
    values = comparison.to_dict()
    if out is not None:
        write_json(local(out), values)
        publish(parent_of(out), [name_of(out)])
    if as_json:
        typer.echo(json.dumps(values, indent=2, allow_nan=False))
        return
    _print_comparison(comparison, Console())


def _names(places: list[str]) -> list[str]:
    """Folder names where they tell the runs apart, else places."""
    resolved = [absolute(place) for place in places]
    if len(set(resolved)) < len(resolved):
        raise UserError(
            f"'{max(places, key=lambda p: resolved.count(absolute(p)))}' is given twice; give different runs."
        )
    names = [name_of(place) for place in resolved]
    return names if len(set(names)) == len(names) else resolved


def _print_comparison(comparison: Comparison, console: Console) -> None:
    confidence = comparison.settings["confidence"]
    several = len(comparison.settings["strategies"]) > 1
    pairs = dict.fromkeys((row.first, row.second) for row in comparison.differences)
    for first, second in pairs:
        table = Table(title=escape(f"A = {first}, B = {second}"), title_justify="left")
        table.add_column("metric")
        for heading in ("A", "B", f"A - B ({confidence:.0%} interval)", "p", "t over folds: p"):
            table.add_column(heading, justify="right", no_wrap=True)
        for heading in ("A better", "equal", "B better", "folds agree"):
            table.add_column(heading, justify="right")
        for row in comparison.differences:
            if (row.first, row.second) == (first, second):
                table.add_row(*_cells(row, several))
        console.print(table)
    settings = comparison.settings
    console.print(
        "Interval and p: paired bootstrap over objects. t over folds: corrected resampled t. p values are adjusted "
        f"for {settings['comparisons']} comparisons (Holm). A better, equal (within {settings['rope']:g}), B better: "
        "posterior probabilities of the correlated t-test. Folds agree: how often two folds have the same sign.",
        highlight=False,
        markup=False,
    )
    for warning in comparison.warnings:
        console.print(f"[bold yellow]warning:[/] {escape(warning)}", highlight=False)


def _cells(row: Difference, several: bool) -> list[str]:
    name = row.metric if row.level == "object" else f"{row.metric} ({row.level})"
    if several and row.strategy != "any":
        name += f", {row.strategy}"
    return [
        escape(name),
        f"{row.first_mean:.3f}",
        f"{row.second_mean:.3f}",
        f"{row.difference:+.3f}{_ends(row.bootstrap)}",
        _p(row.bootstrap_p_holm),
        _p(row.corrected_t_p_holm),
        *(_share(value) for value in (row.first_better, row.equivalent, row.second_better, row.replicability)),
    ]


def _ends(test: TTest | None) -> str:
    return "" if test is None else f" ({test.low:+.3f} to {test.high:+.3f})"


def _p(value: float | None) -> str:
    if value is None:
        return ""
    return "<0.001" if value < 0.001 else f"{value:.3f}"


def _share(value: Any) -> str:
    return "" if value is None else f"{value:.2f}"
