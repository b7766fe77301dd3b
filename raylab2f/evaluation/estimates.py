"""Rows of a summary: one for each strategy, level and metric, and their values in every fold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from raylab2f.evaluation.intervals.methods import Ends
from raylab2f.evaluation.outcomes.judging import Estimate

__all__ = ["METRICS_SCHEMA", "BaselineRow", "EstimateRow", "Interval", "estimate_rows", "metrics_table"]

METRICS_SCHEMA = pa.schema(
    [
        ("fold", pa.int32()),
        ("strategy", pa.string()),
        ("level", pa.string()),
        ("metric", pa.string()),
        ("value", pa.float64()),
        ("threshold", pa.float64()),
        ("low_threshold", pa.float64()),
    ]
)


@dataclass(frozen=True)
class Interval:
    """Ends of one interval; `method` is a key of `INTERVALS`."""

    method: str
    confidence: float
    low: float
    high: float


@dataclass(frozen=True)
class EstimateRow:
    """One estimate.

    Arguments:
        strategy: threshold strategy, or `any` for metrics that need no threshold.
        level: `image`, `object` or `pixel`.
        metric: name in snake_case.
        mean: over folds; for ratios at a prevalence the ratio of the folds' mean rates (see `mean_outcomes`); `None`
            where no fold gives a value.
        std: standard deviation of the values of the folds (n - 1); `None` with fewer than two.
        folds: how many folds gave a value.
        interval: by the method asked for; `None` where it does not apply.
        intervals: by all methods that apply.
    """

    strategy: str
    level: str
    metric: str
    mean: float | None
    std: float | None
    folds: int
    interval: Interval | None
    intervals: tuple[Interval, ...]


@dataclass(frozen=True)
class BaselineRow:
    """A detector's metric beside that of a baseline on the same folds.

    Arguments:
        name: of the baseline.
        level, metric: as in a summary.
        mean, low, high: the baseline's, and its interval; `None` where it does not apply.
        difference, difference_low, difference_high: the detector's minus the baseline's, paired object by object. All
            intervals have the summary's confidence.
    """

    name: str
    level: str
    metric: str
    mean: float
    low: float | None
    high: float | None
    difference: float
    difference_low: float | None
    difference_high: float | None


def estimate_rows(
    estimates: Sequence[Estimate],
    values: np.ndarray,
    means: np.ndarray,
    ends: Mapping[str, Ends],
    default: str,
    confidence: float,
) -> tuple[EstimateRow, ...]:
    """Rows of the summary.

    Arguments:
        estimates: what was estimated.
        values: (estimates, folds), NaN where a fold gives none.
        means: (estimates,) what the folds together give.
        ends: method -> (estimates,) lower and upper ends, NaN where it does not apply.
        default: the method asked for.
        confidence: of the intervals.
    """
    rows = []
    for index, estimate in enumerate(estimates):
        valid = values[index][~np.isnan(values[index])]
        found = {
            method: Interval(method, confidence, float(low[index]), float(high[index]))
            for method, (low, high) in ends.items()
            if len(valid) and np.isfinite(low[index]) and np.isfinite(high[index])
        }
        rows.append(
            EstimateRow(
                strategy=estimate.strategy,
                level=estimate.level,
                metric=estimate.metric,
                mean=float(means[index]) if len(valid) else None,
                std=float(valid.std(ddof=1)) if len(valid) > 1 else None,
                folds=len(valid),
                interval=found.get(default),
                intervals=tuple(found.values()),
            )
        )
    return tuple(rows)


def metrics_table(
    folds: Sequence[int],
    estimates: Sequence[Estimate],
    values: np.ndarray,
    thresholds: np.ndarray,
    low_thresholds: np.ndarray,
) -> pa.Table:
    """A table of `METRICS_SCHEMA`, fold by fold.

    Arguments:
        folds: their numbers.
        estimates: what was estimated.
        values, thresholds, low_thresholds: (estimates, folds), NaN for none.
    """
    shape = len(folds), len(estimates)

    def column(array: np.ndarray) -> pa.Array:
        return pa.array(np.ascontiguousarray(array.T).ravel(), pa.float64(), from_pandas=True)

    columns = [
        pa.array(np.repeat(np.array(folds, np.int32), shape[1])),
        *(
            pa.array([getattr(estimate, name) for estimate in estimates] * shape[0], pa.string())
            for name in ("strategy", "level", "metric")
        ),
        column(values),
        column(thresholds),
        column(low_thresholds),
    ]
    return pa.table(columns, schema=METRICS_SCHEMA)
