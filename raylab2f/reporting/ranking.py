"""Several detectors in their order, on the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console

from raylab2f.reporting.whole_tables import print_table

__all__ = ["print_ranking"]


def print_ranking(ranking: Mapping[str, Any], console: Console) -> None:
    """Print the result of `workflows.ranking.rank_runs`."""
    rows = [
        (
            str(row["rank"]),
            row["detector"],
            _estimate(row),
            "all others" if len(row["tied_with"]) == len(ranking["ranking"]) - 1 else ", ".join(row["tied_with"]),
            "" if row["fold_seconds"] is None else f"{row['fold_seconds']:.1f} s",
            "" if row["fold_memory"] is None else f"{row['fold_memory'] / 1e9:.2f} GB",
        )
        for row in ranking["ranking"]
    ]
    headings = ("rank", "detector", ranking["metric"].upper(), "tied with", "a fold takes", "memory")
    # A command with several seeds has a ranking for each.
    title = f"detectors on the same folds, {ranking['level']} level, seed {ranking['seed']}"
    print_table(headings, rows, console, title=title, left=(1, 3))
    console.print(
        f"Rank 1 + the number of detectors shown to be better: paired bootstrap over objects, p below "
        f"{1 - ranking['confidence']:.2g} after Holm's adjustment for all pairs. Tied: neither is shown to be better.",
        highlight=False,
        markup=False,
    )


def _estimate(row: Mapping[str, Any]) -> str:
    if row["low"] is None:
        return f"{row['mean']:.3f}"
    return f"{row['mean']:.3f} ({row['low']:.3f} to {row['high']:.3f})"
