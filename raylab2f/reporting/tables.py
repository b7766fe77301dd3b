"""Results as tables on the terminal."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

__all__ = ["print_summary"]

_SHOWN = (
    "auroc",
    "average_precision",
    "balanced_accuracy",
    "accuracy",
    "precision",
    "recall",
    "specificity",
    "f1",
    "escape_rate",
    "overkill_rate",
)


def print_summary(summary: dict[str, Any], console: Console) -> None:
    """Print the estimates of a `summary.json`: metrics down, levels across, a table per threshold strategy."""
    folds = summary["folds"]
    confidence = _confidence(summary)
    estimates = {(e["strategy"], e["level"], e["metric"]): e for e in summary["estimates"]}
    strategies = list(dict.fromkeys(e["strategy"] for e in summary["estimates"]))
    free = [s for s in strategies if s == "any"]
    for strategy in [s for s in strategies if s != "any"] or free:
        title = f"{summary['detector']} ({summary['preset']}) on {summary['dataset']['name']}: "
        title += f"threshold {strategy}, {folds['finished']} of {folds['planned']} folds"
        table = Table(title=escape(title), title_justify="left")
        table.add_column("metric")
        for level in ("image", "object"):
            table.add_column(f"{level} level", justify="right")
            table.add_column(f"{confidence:.0%} interval", justify="right")
        for metric in _SHOWN:
            cells = []
            for level in ("image", "object"):
                estimate = estimates.get((strategy, level, metric)) or estimates.get(("any", level, metric))
                cells += _cells(estimate)
            if any(cells):
                table.add_row(metric, *cells)
        console.print(table)
    for warning in summary["warnings"]:
        console.print(f"[bold yellow]warning:[/] {escape(warning)}", highlight=False)


def _cells(estimate: dict[str, Any] | None) -> list[str]:
    if estimate is None or estimate["mean"] is None:
        return ["", ""]
    interval = estimate["interval"]
    span = "" if not interval or interval["low"] is None else f"{interval['low']:.3f} to {interval['high']:.3f}"
    return [f"{estimate['mean']:.3f}", span]


def _confidence(summary: dict[str, Any]) -> float:
    return next((e["interval"]["confidence"] for e in summary["estimates"] if e["interval"]), 0.95)
