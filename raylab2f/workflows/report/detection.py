"""Probability of detection by size, as a page shows it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from raylab2f.datasets.defect_sizes import PixelSize
from raylab2f.errors import UserError
from raylab2f.evaluation.detection.outcome import DetectionRow
from raylab2f.evaluation.detection.probability import probability_of_detection
from raylab2f.runs.defect_sizes import COLUMN, run_sizes, with_sizes

__all__ = ["detection_content"]

_REPLICATES = 500


def detection_content(place: str, scores: pa.Table, summary: Mapping[str, Any], level: str) -> dict[str, Any]:
    """All defects and, where there are several types, each type: their curves and sizes, or why there are none.

    Arguments:
        place: the run's folder.
        scores: of all its folds.
        summary: by whose rules is judged.
        level: `object` or `image`.

    Returns:
        `size`, what sizes are, and their `unit`, empty where a column does not say; `reason`, why nothing is said of
        them, or `None`; `rows`, those of `Detection` with `points` of the curve in place of it, none where there is
        none, `facts` in a line, and a `sentence` that says as well why there is no a90 or a90/95.
    """
    rules = summary["settings"]
    try:
        sizes, measure = run_sizes(place, None, PixelSize())
        unit = "" if measure == COLUMN else PixelSize().unit_of(measure)
        found = probability_of_detection(
            with_sizes(scores, sizes),
            strategy=rules["strategies"][0],
            level=level,
            object_score=rules["object_score"],
            size=measure,
            unit=unit,
            replicates=min(_REPLICATES, rules["replicates"]),
            seed=summary["seed"],
        )
    except UserError as error:
        return {"size": "", "unit": "", "reason": f"Nothing is said of sizes: {error}", "rows": []}
    what = {"area": "area of the largest marked region", "extent": "longest extent of the largest marked region"}
    rows = []
    for row in found.rows:
        facts = _facts(row, level)
        reasons = [reason for reason in dict.fromkeys((row.why_no_a90, row.why_no_a90_95)) if reason is not None]
        kept = {name: value for name, value in vars(row).items() if name != "curve"}
        sentence = " ".join([f"{facts}.", *reasons])
        rows.append({**kept, "points": row.curve.to_pylist(), "facts": facts, "sentence": sentence})
    return {"size": what.get(measure, "as the column size says"), "unit": unit, "reason": None, "rows": rows}


def _facts(row: DetectionRow, level: str) -> str:
    noun = "part" if level == "object" else "picture"
    a90, sure = ("none" if size is None else f"{size:.3g}" for size in (row.a90, row.a90_95))
    judged = f"{row.judged:,} {noun}{'' if row.judged == 1 else 's'}"
    return f"{judged}, {100 * row.found:.3g} % found; a90 {a90}, a90/95 {sure}"
