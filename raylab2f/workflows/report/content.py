"""Reports of finished runs: gathered, and written as a page and as Markdown."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from raylab2f.errors import UserError
from raylab2f.evaluation.acceptance.limits import LimitSet
from raylab2f.evaluation.comparison.run_scores import RunScores, agreed_settings, read_run, require_same_plan
from raylab2f.evaluation.comparison.runs import compare_scores
from raylab2f.files.atomic import atomic_path
from raylab2f.files.mirror import fetch, local, publish
from raylab2f.files.places import distinct_names, place_of
from raylab2f.reporting import Display
from raylab2f.reporting.page import render_html, render_markdown
from raylab2f.versions import version_of
from raylab2f.workflows.report.learning import learning_curves
from raylab2f.workflows.report.run_content import run_content

__all__ = ["REPORT_FILES", "report_content", "write_report"]

REPORT_FILES = ("report.html", "report.md")

# Pictures of parts in all runs of a page; with its libraries and tables it stays below 15 MB.
_PICTURE_BYTES = 12_000_000
_COMPARED = ("escape_rate", "overkill_rate", "balanced_accuracy", "auroc")


def report_content(
    places: Sequence[str | Path],
    *,
    cache: str,
    display: Display,
    limits: Callable[[LimitSet], LimitSet] = lambda recorded: recorded,
) -> dict[str, Any]:
    """What a page of one run, or of several, shows; see docs/report.md.

    Arguments:
        places: folders or URIs of runs with at least one finished fold.
        cache: where their prepared pictures are.
        limits: what is judged, of the limits that each run was begun with.

    Raises:
        UserError: no such run, or none of its folds is finished.
    """
    found = [place_of(place) for place in places]
    names = distinct_names(found)
    runs = [
        run_content(
            place, cache=cache, display=display, picture_bytes=_PICTURE_BYTES // len(found), limits=limits, name=name
        )
        for place, name in zip(found, names, strict=True)
    ]
    comparison = _together(found, names, runs) if len(found) > 1 else None
    return {
        "version": version_of("raylab2f"),
        "made": datetime.datetime.now(tz=datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "title": names[0] if len(names) == 1 else f"{len(names)} runs: {', '.join(names)}",
        "runs": runs,
        "comparison": comparison,
    }


def write_report(content: dict[str, Any], place: str) -> None:
    """Write `report.html` and `report.md` into a folder, or under its URI."""
    for name, text in zip(REPORT_FILES, (render_html(content), render_markdown(content)), strict=True):
        with atomic_path(local(place) / name) as temporary:
            temporary.write_text(text, encoding="utf-8", errors="backslashreplace")
    publish(place, REPORT_FILES)


def _together(places: Sequence[str], names: Sequence[str], contents: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The comparison of several runs; each that is on a learning curve gets it."""
    try:
        runs = [read_run(fetch(place), name) for place, name in zip(places, names, strict=True)]
    except UserError as error:
        return _not_compared(f"These runs cannot be compared: {error}")
    curves = learning_curves(runs, contents)
    for content in contents:
        content["learning_curve"] = curves.get(content["name"])
    if len(curves) == len(runs) and all(curve is curves[names[0]] for curve in curves.values()):
        # Which pictures train differs, so that nothing is paired in full; that is no failure, but what was studied.
        return _not_compared(
            "These runs differ in nothing but how many parts trained; how the outcome grows with them is the learning "
            "curve, under Folds of each run."
        )
    return _comparison(runs)


def _not_compared(reason: str) -> dict[str, Any]:
    return {"reason": reason, "rows": [], "warnings": []}


def _comparison(runs: Sequence[RunScores]) -> dict[str, Any]:
    """Differences between the runs; a `reason` instead where they cannot be compared."""
    try:
        require_same_plan(runs)
        compared = compare_scores(
            {run.name: run.scores for run in runs}, metrics=_COMPARED, **agreed_settings(runs, {"strategies": None})
        )
    except UserError as error:
        return _not_compared(f"These runs cannot be compared: {error}")
    rows = []
    for difference in compared.differences:
        paired = difference.bootstrap
        rows.append(
            {
                "first": difference.first,
                "second": difference.second,
                "strategy": difference.strategy,
                "level": difference.level,
                "metric": difference.metric,
                "first_mean": difference.first_mean,
                "second_mean": difference.second_mean,
                "difference": difference.difference,
                "low": None if paired is None else paired.low,
                "high": None if paired is None else paired.high,
                "p_holm": difference.bootstrap_p_holm,
            }
        )
    return {"reason": None, "rows": rows, "warnings": [str(warning) for warning in compared.warnings]}
