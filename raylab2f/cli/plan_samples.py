"""`raylab2f plan-samples`: how many parts an evaluation needs."""

from __future__ import annotations

import json
from typing import Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from raylab2f import api
from raylab2f.cli.composition import command
from raylab2f.options.evaluation import JsonOption
from raylab2f.options.planning import Clusters, Curve, Guarantee, Widths

__all__ = ["plan_samples"]


@command
def plan_samples(
    widths: Widths, guarantee: Guarantee, clusters: Clusters, curve: Curve, as_json: JsonOption = False
) -> None:
    """Say how many defective and good parts are needed before they are photographed."""
    plan = api.plan_samples(**vars(widths), **vars(guarantee), **vars(clusters), **vars(curve))
    if as_json:
        typer.echo(json.dumps(plan.values, indent=2, allow_nan=False))
        return
    _print_plan(plan.values, Console())


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
        console.print(_guarantee_sentence(plan, settings, values["good_pictures_train"]), highlight=False)
    if values["learning_curve"]:
        console.print(_curve_table(values["learning_curve"]))


def _guarantee_sentence(plan: dict[str, Any], settings: dict[str, Any], good_pictures_train: bool) -> str:
    if good_pictures_train:
        folds, share, parts = "Balanced folds in which good pictures of defective parts train", "a third", 3
    else:
        folds, share, parts = "Balanced folds", "half", 2
    return (
        f"At most {settings['alpha']:.0%} of defective parts escape, with {1 - settings['delta']:.0%} confidence: at "
        f"least {plan['fewest']} defective parts must choose the threshold; {plan['useful']} are needed for a "
        f"{settings['power']:.0%} chance that the expected recall can be kept ({plan['misses']} of them may lie below "
        f"the threshold). {folds} choose thresholds on {share} of the parts, so collect {parts * plan['useful']}."
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
