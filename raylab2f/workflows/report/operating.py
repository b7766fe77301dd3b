"""Outcomes at one threshold that all folds share, or at two, on a grid: what sliders run over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from raylab2f.evaluation import evaluate
from raylab2f.evaluation.intervals.pair_grid import pair_grid

__all__ = ["middle_pair", "operating_points", "point_replicates", "review_points"]

_POINTS = 61
_REPLICATES = 1000
_METRICS = ("escape_rate", "overkill_rate", "expected_cost", "cost_at_prevalence")
_PAIR_RULES = ("confidence", "object_score", "prevalence", "cost_escape", "cost_overkill", "cost_review")
# What is shown has three digits; there are two thousand pairs.
_DIGITS = 5


def operating_points(
    scores: pa.Table, summary: Mapping[str, Any], level: str, score: np.ndarray, label: np.ndarray
) -> list[dict[str, Any]]:
    """For each of some thresholds the rates that `evaluate` gives with the strategy `fixed`, with their intervals.

    Arguments:
        scores: of all folds.
        summary: the run's, by whose rules is judged.
        level: `image` or `object`.
        score, label: (n,) judged scores of that level and their labels, all folds together.

    Returns:
        By ascending threshold: `threshold`, and for every metric its `mean`, `low` and `high`.
    """
    thresholds = _grid(score, label)
    names = {f"fixed:{threshold!r}": threshold for threshold in thresholds}
    left_out = ("strategies", "replicates", "probabilities")
    rules = {key: value for key, value in summary["settings"].items() if key not in left_out}
    found = evaluate(
        scores,
        strategies=list(names),
        methods=(),
        replicates=point_replicates(summary),
        seed=summary["seed"],
        **rules,
    )
    points: dict[str, dict[str, Any]] = {name: {"threshold": threshold} for name, threshold in names.items()}
    for row in found.estimates:
        if row.level == level and row.metric in _METRICS and row.strategy in points:
            ends = row.interval
            points[row.strategy][row.metric] = {
                "mean": row.mean,
                "low": None if ends is None else ends.low,
                "high": None if ends is None else ends.high,
            }
    return list(points.values())


def review_points(
    scores: pa.Table, summary: Mapping[str, Any], level: str, points: Sequence[Mapping[str, Any]]
) -> dict[str, list[list[list[float | None]]]]:
    """For every two of the points' thresholds what `evaluate` gives with the strategy `fixed-pair`, with its interval.

    Arguments:
        scores, summary, level: as for `operating_points`.
        points: as it returns them.

    Returns:
        By metric of `pair_grid`, by number of the low threshold, and by that of the high one less that of the low one:
        mean, low and high end; without ends where the run's intervals are of another method than `object-bootstrap`.
    """
    rules = {name: summary["settings"][name] for name in _PAIR_RULES if name in summary["settings"]}
    thresholds = np.array([point["threshold"] for point in points], dtype=np.float64)
    found = pair_grid(
        scores, thresholds, level=level, replicates=point_replicates(summary), seed=summary["seed"], **rules
    )
    ends = summary["settings"]["interval"] == "object-bootstrap"
    return {
        metric: [[_rounded(row, ends) for row in values[:, low, low:].T] for low in range(len(thresholds))]
        for metric, values in found.items()
    }


def middle_pair(low: Mapping[int, float], high: Mapping[int, float]) -> list[float] | None:
    """Where sliders begin: the medians of the folds' low and high thresholds; `None` where the folds have but one."""
    if not low or not high:
        return None
    return [float(np.median(list(values.values()))) for values in (low, high)]


def point_replicates(summary: Mapping[str, Any]) -> int:
    """Of the bootstrap behind the points' intervals."""
    return min(_REPLICATES, summary["settings"]["replicates"])


def _grid(score: np.ndarray, label: np.ndarray) -> list[float]:
    """Ascending thresholds, as many between two quantiles of either class as between any other two."""
    shares = np.linspace(0, 1, _POINTS // 2 + 1)
    ends = [np.quantile(score[label == one], shares) for one in (False, True) if (label == one).any()]
    # Few digits, so that whoever types what the page shows gets what it shows.
    return sorted({float(f"{value:.5g}") for value in np.concatenate(ends)})


def _rounded(row: np.ndarray, ends: bool) -> list[float | None]:
    values = row if ends else (row[0], np.nan, np.nan)
    return [float(f"{value:.{_DIGITS}g}") if np.isfinite(value) else None for value in values]
