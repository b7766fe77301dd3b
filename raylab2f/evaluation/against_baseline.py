"""A detector beside the line that it should beat: the nearest neighbour on the same features and folds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pyarrow as pa

from raylab2f.evaluation.comparison.runs import Difference, compare_scores
from raylab2f.evaluation.estimates import BaselineRow, EstimateRow
from raylab2f.evaluation.summary import Summary, evaluate
from raylab2f.pitfalls import Caution, split_muted

__all__ = ["with_baseline"]

NEAREST_NEIGHBOUR = "nearest neighbour"

_METRIC = "auroc"
# A line of comparison needs no more digits.
_REPLICATES = 2000


def with_baseline(summary: Summary, table: pa.Table, baseline: pa.Table, mute: Sequence[str] = ()) -> Summary:
    """The summary of a detector's scores with rows for the baseline, and a warning (RL314) where that is no worse.

    Arguments:
        summary: of `evaluate`.
        table: the detector's scores, as they were evaluated, with `fold` and `partition`.
        baseline: the baseline's scores of the same rows: `fold`, `image_id`, `score`.
        mute: as for `evaluate`.
    """
    other = _rescored(table, baseline)
    settings = summary.settings
    replicates = min(settings["replicates"], _REPLICATES)
    options = {name: settings[name] for name in ("confidence", "object_score", "prevalence", "beta")}
    options |= {name: settings[name] for name in ("cost_escape", "cost_overkill", "cost_review")}
    options |= {"replicates": replicates, "seed": summary.seed, "strategies": settings["strategies"][:1]}
    judged = evaluate(other, **options, methods=("object-bootstrap",))
    own = {row.level: row for row in judged.estimates if row.metric == _METRIC}
    detector = summary.detector or "the detector"
    tables = {detector: table, NEAREST_NEIGHBOUR: other}
    compared = compare_scores(tables, metrics=(_METRIC,), levels=list(own), **options)
    rows = [_row(own[found.level], found) for found in compared.differences]
    found = [caution for row in rows if (caution := _caution(detector, row))][:1]
    shown, muted = split_muted(found, mute)
    return replace(summary, baseline=tuple(rows), warnings=(*summary.warnings, *shown), muted=(*summary.muted, *muted))


def _rescored(table: pa.Table, baseline: pa.Table) -> pa.Table:
    """The score table with the baseline's scores."""
    scores = {(row["fold"], row["image_id"]): row["score"] for row in baseline.to_pylist()}
    rows = zip(table["fold"].to_pylist(), table["image_id"].to_pylist(), strict=True)
    column = table.schema.get_field_index("score")
    return table.set_column(column, "score", pa.array([scores[row] for row in rows], pa.float64()))


def _row(own: EstimateRow, found: Difference) -> BaselineRow:
    ends, test = own.interval, found.bootstrap
    return BaselineRow(
        name=found.second,
        level=found.level,
        metric=found.metric,
        mean=found.second_mean,
        low=None if ends is None else ends.low,
        high=None if ends is None else ends.high,
        difference=found.difference,
        difference_low=None if test is None else test.low,
        difference_high=None if test is None else test.high,
    )


def _caution(detector: str, row: BaselineRow) -> Caution | None:
    """What is said where the baseline, which nobody has to train, separates as well or better."""
    # Where both separate perfectly, nothing is left to be better at.
    if row.difference > 0 or (row.difference == 0 and row.mean == 1):
        return None
    what = "pictures" if row.level == "image" else "objects"
    sentence = (
        f"Trained {detector} separates {what} no better than the {row.name} on the same features: AUROC "
        f"{row.mean + row.difference:.3f} against {row.mean:.3f}; change --size or --layers, train longer if it trains "
        "in epochs, or take another detector, such as --detector patchcore."
    )
    return Caution("RL314", sentence)
