"""`raylab2f plan-samples`: how many parts an evaluation needs."""

from __future__ import annotations

import json
from typing import Any

import typer
from rich.console import Console

from raylab2f import api
from raylab2f.cli.composition import command
from raylab2f.options.evaluation import JsonOption
from raylab2f.options.planning import Clusters, Curve, Guarantee, Widths
from raylab2f.reporting.printing import plain_console
from raylab2f.reporting.whole_tables import print_table

__all__ = ["plan_samples"]

_HEADINGS = ("rate", "expected", "parts judged as parts", "parts judged by picture", "pictures of a part", "icc")


@command
def plan_samples(
    widths: Widths, guarantee: Guarantee, clusters: Clusters, curve: Curve, as_json: JsonOption = False
) -> None:
    """Say how many defective and good parts are needed before they are photographed."""
    plan = api.plan_samples(**vars(widths), **vars(guarantee), **vars(clusters), **vars(curve))
    if as_json:
        typer.echo(json.dumps(plan.values, indent=2, allow_nan=False))
        return
    _print_plan(plan.values, plain_console())


def _print_plan(values: dict[str, Any], console: Console) -> None:
    settings = values["settings"]
    lines = []
    for row, word in zip(values["half_width"], ("defective", "good"), strict=True):
        clustered = "design_effect" in row
        cells = [row["rate"], f"{row['expected']:g}", f"{row['objects']:,} {word}"]
        if clustered:
            cells += [f"{row['objects_by_picture']:,} {word}", f"{row['pictures']:.3g}", f"{row['correlation']:.2f}"]
        lines.append([*cells, *[""] * (len(_HEADINGS) - len(cells))])
    title = (
        f"Parts to judge for a half-width of {settings['half_width']:g} ({settings['confidence']:.0%} interval, "
        f"{settings['method']})"
    )
    print_table(_HEADINGS, lines, console, title=title)
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
        _print_curve(values["learning_curve"], console)


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


def _print_curve(points: list[dict[str, Any]], console: Console) -> None:
    named = list(dict.fromkeys((point["metric"], point["strategy"]) for point in points))
    figures = [metric if strategy == "any" else f"{metric}, {strategy}" for metric, strategy in named]
    lines = []
    for run in dict.fromkeys(point["run"] for point in points):
        rows = {(p["metric"], p["strategy"]): p for p in points if p["run"] == run}
        first = next(iter(rows.values()))
        cells = [_estimate(rows[name]) for name in named]
        lines.append([f"{first['fraction']:g}", f"{first['pictures']:.0f}", run, *cells])
    headings = ("train fraction", "training pictures", "run", *figures)
    print_table(headings, lines, console, title="Learning curve", left=(0, 1, 2))


def _estimate(point: dict[str, Any]) -> str:
    if point["mean"] is None:
        return ""
    interval = point["interval"]
    ends = f" ({interval['low']:.3f} to {interval['high']:.3f})" if interval else ""
    return f"{point['mean']:.3f}{ends}"
