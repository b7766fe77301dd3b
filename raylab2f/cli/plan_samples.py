"""`raylab2f plan-samples`: how many parts an evaluation needs."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from raylab2f.cli.place_options import PLACE, read_run_at
from raylab2f.errors import UserError

__all__ = ["plan_samples"]

_WIDTH = "Width of an interval"
_GUARANTEE = "Guarantee"
_PICTURES = "Several pictures of a part"
_CURVE = "Learning curve"


def plan_samples(
    half_width: Annotated[
        float, typer.Option("--half-width", help="Half the width of the intervals.", rich_help_panel=_WIDTH)
    ] = 0.05,
    recall: Annotated[
        float, typer.Option("--recall", help="Expected recall; the escape rate is the rest.", rich_help_panel=_WIDTH)
    ] = 0.95,
    specificity: Annotated[
        float, typer.Option("--specificity", help="Expected; the overkill rate is the rest.", rich_help_panel=_WIDTH)
    ] = 0.95,
    method: Annotated[
        str, typer.Option("--method", help="clopper-pearson or wilson.", rich_help_panel=_WIDTH)
    ] = "clopper-pearson",
    confidence: Annotated[float, typer.Option("--confidence", rich_help_panel=_WIDTH)] = 0.95,
    alpha: Annotated[
        float, typer.Option("--alpha", help="Share of defective parts that may escape.", rich_help_panel=_GUARANTEE)
    ] = 0.1,
    delta: Annotated[float, typer.Option("--delta", help="Risk that more do.", rich_help_panel=_GUARANTEE)] = 0.05,
    power: Annotated[
        float,
        typer.Option(
            "--power", help="Chance that the guarantee admits a useful threshold.", rich_help_panel=_GUARANTEE
        ),
    ] = 0.8,
    pictures: Annotated[
        float | None, typer.Option("--pictures", help="Pictures of a part.", rich_help_panel=_PICTURES)
    ] = None,
    icc: Annotated[
        float | None,
        typer.Option("--icc", help="Correlation of the outcomes of one part's pictures.", rich_help_panel=_PICTURES),
    ] = None,
    run: Annotated[
        str | None,
        typer.Option(
            "--run", **PLACE, help="Run folder or URI that both are estimated from.", rich_help_panel=_PICTURES
        ),
    ] = None,
    curve: Annotated[
        list[str],
        typer.Option(
            "--curve",
            **PLACE,
            help="Run folder or URI with its own --train-fraction; repeatable.",
            rich_help_panel=_CURVE,
        ),
    ] = [],
    metric: Annotated[
        list[str],
        typer.Option(
            "--metric", help="Repeatable.", show_default="balanced_accuracy and auroc", rich_help_panel=_CURVE
        ),
    ] = [],
    level: Annotated[str, typer.Option("--level", help="object or image.", rich_help_panel=_CURVE)] = "object",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    """Say how many defective and good parts are needed before they are photographed."""
    from raylab2f.evaluation.comparison.planning import OutOfReachError, objects_for_half_width, plan_guarantee

    clusters = _clusters(pictures, icc, run)
    widths = []
    for anomalous, rate, what in ((True, recall, "recall"), (False, specificity, "specificity")):
        options: dict[str, Any] = {"method": method, "confidence": confidence}
        row = {"rate": what, "expected": rate, "objects": objects_for_half_width(rate, half_width, **options)}
        if clusters is not None:
            size, correlation = clusters[anomalous]["pictures"], clusters[anomalous]["correlation"]
            by_picture = objects_for_half_width(rate, half_width, pictures=size, correlation=correlation, **options)
            row |= {"objects_by_picture": by_picture, **clusters[anomalous]}
        widths.append(row)
    guarantee, reason = None, None
    try:
        # Rounded, for 1 - 0.9 is a little less than 0.1.
        guarantee = asdict(plan_guarantee(alpha, delta, round(1 - recall, 12), power))
    except OutOfReachError as error:
        reason = str(error)
    values = {
        "version": 1,
        "settings": {
            "half_width": half_width,
            "method": method,
            "confidence": confidence,
            "alpha": alpha,
            "delta": delta,
            "power": power,
        },
        "half_width": widths,
        "guarantee": guarantee,
        "guarantee_out_of_reach": reason,
        "learning_curve": _learning_curve(curve, metric, level),
    }
    if as_json:
        typer.echo(json.dumps(values, indent=2, allow_nan=False))
        return
    _print_plan(values, Console())


def _clusters(pictures: float | None, icc: float | None, run: str | None) -> dict[bool, dict[str, float]] | None:
    """Pictures of a part, correlation and design effect of each class; `None` where nothing is said about them."""
    from raylab2f.evaluation.comparison.planning import design_effect, estimate_clustering

    if run is None:
        if pictures is None and icc is None:
            return None
        if pictures is None or icc is None:
            raise UserError("Give both --pictures and --icc, or --run with a run that both are estimated from.")
    found = estimate_clustering(read_run_at(run).scores) if run is not None else None
    clusters = {}
    for anomalous, word in ((True, "defective"), (False, "good")):
        size = pictures if found is None or pictures is not None else found[anomalous].pictures
        correlation = icc if found is None or icc is not None else found[anomalous].correlation
        if correlation is None:
            if size != 1:
                raise UserError(
                    f"--run {run}: all pictures of {word} parts are judged alike, which says nothing about how much "
                    "pictures of one part agree; give --icc (1 is safe)."
                )
            correlation = 1.0
        assert size is not None
        effect = design_effect(size, correlation)
        clusters[anomalous] = {"pictures": size, "correlation": correlation, "design_effect": effect}
    return clusters


def _learning_curve(curve: list[str], metric: list[str], level: str) -> list[dict[str, Any]]:
    if not curve:
        return []
    from raylab2f.evaluation.comparison.learning_curve import DEFAULT_METRICS, learning_curve

    runs = [read_run_at(place) for place in curve]
    points = learning_curve(runs, metrics=metric or DEFAULT_METRICS, level=level)
    return [asdict(point) for point in points]


def _print_plan(values: dict[str, Any], console: Console) -> None:
    settings = values["settings"]
    table = Table(
        title=f"Parts to judge for a half-width of {settings['half_width']:g} ({settings['confidence']:.0%} interval, "
        f"{settings['method']})",
        title_justify="left",
    )
    table.add_column("rate")
    for heading in ("expected", "parts judged as parts", "parts judged by picture", "pictures of a part", "icc"):
        table.add_column(heading, justify="right")
    for row, word in zip(values["half_width"], ("defective", "good"), strict=True):
        clustered = "design_effect" in row
        table.add_row(
            row["rate"],
            f"{row['expected']:g}",
            f"{row['objects']:,} {word}",
            f"{row['objects_by_picture']:,} {word}" if clustered else "",
            f"{row['pictures']:.3g}" if clustered else "",
            f"{row['correlation']:.2f}" if clustered else "",
        )
    console.print(table)
    console.print(
        "With enough folds every part is judged at some time. That thresholds are chosen on some of the parts makes "
        "intervals a little wider than this.",
        highlight=False,
    )
    plan = values["guarantee"]
    if plan is None:
        console.print(f"No guarantee can be planned. {values['guarantee_out_of_reach']}", highlight=False, markup=False)
    else:
        console.print(_guarantee_sentence(plan, settings), highlight=False)
    if values["learning_curve"]:
        console.print(_curve_table(values["learning_curve"]))


def _guarantee_sentence(plan: dict[str, Any], settings: dict[str, Any]) -> str:
    return (
        f"At most {settings['alpha']:.0%} of defective parts escape, with {1 - settings['delta']:.0%} confidence: at "
        f"least {plan['fewest']} defective parts must choose the threshold; {plan['useful']} are needed for a "
        f"{settings['power']:.0%} chance that the expected recall can be kept ({plan['misses']} of them may lie below "
        f"the threshold). Balanced folds choose thresholds on half of the parts, so collect {2 * plan['useful']}."
    )


def _curve_table(points: list[dict[str, Any]]) -> Table:
    table = Table(title="Learning curve", title_justify="left")
    for heading in ("train fraction", "training pictures", "run"):
        table.add_column(heading)
    named = list(dict.fromkeys((point["metric"], point["strategy"]) for point in points))
    for metric, strategy in named:
        table.add_column(metric if strategy == "any" else f"{metric}, {strategy}", justify="right")
    for run in dict.fromkeys(point["run"] for point in points):
        rows = {(p["metric"], p["strategy"]): p for p in points if p["run"] == run}
        first = next(iter(rows.values()))
        cells = [_estimate(rows[name]) for name in named]
        table.add_row(f"{first['fraction']:g}", f"{first['pictures']:.0f}", escape(run), *cells)
    return table


def _estimate(point: dict[str, Any]) -> str:
    if point["mean"] is None:
        return ""
    interval = point["interval"]
    ends = f" ({interval['low']:.3f} to {interval['high']:.3f})" if interval else ""
    return f"{point['mean']:.3f}{ends}"
