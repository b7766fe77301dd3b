"""How far probabilities can be relied on, on the terminal; nothing where they were not asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console

from raylab2f.reporting.whole_tables import print_table

__all__ = ["print_reliability"]

_METRICS = ("brier_score", "brier_miscalibration", "brier_discrimination", "log_loss", "ece")
_HEADINGS = ("parts", "probability", "mean", "share defective", "interval")


def print_reliability(summary: Mapping[str, Any], console: Console) -> None:
    """Print the metrics of probabilities of a `summary.json`, and the bins of its highest level."""
    said = summary.get("reliability")
    if said is None:
        return
    levels = list(said["levels"])
    found = {(row["level"], row["metric"]): row for row in summary["estimates"] if row["strategy"] == "any"}
    rows = [[metric, *(_cell(found.get((level, metric))) for level in levels)] for metric in _METRICS]
    rows.append(["ece by chance alone", *(f"about {said['levels'][level]['chance_ece']:.3f}" for level in levels)])
    share = "the threshold partition" if said["prevalence"] is None else f"a share of {said['prevalence']:g} defective"
    title = f"probabilities of being defective ({said['calibrator']}), as in {share}"
    print_table(["metric", *(f"{level} level" for level in levels)], rows, console, title=title)
    lines = [
        [
            str(row["parts"]),
            f"{row['from']:.3f} to {row['to']:.3f}",
            f"{row['probability']:.3f}",
            f"{row['share']:.3f}",
            f"{row['low']:.3f} to {row['high']:.3f}",
        ]
        for row in said["levels"][levels[-1]]["bins"]
    ]
    print_table(_HEADINGS, lines, console, title=f"reliability, {levels[-1]} level")


def _cell(row: Mapping[str, Any] | None) -> str:
    if row is None or row["mean"] is None:
        return ""
    ends = row["interval"]
    return f"{row['mean']:.3f}" + ("" if ends is None else f" ({ends['low']:.3f} to {ends['high']:.3f})")
