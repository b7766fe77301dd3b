"""Probability of detection by size, as a page shows it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from raylab2f.datasets.defect_sizes import PixelSize
from raylab2f.errors import UserError
from raylab2f.evaluation.detection.probability import probability_of_detection
from raylab2f.runs.defect_sizes import COLUMN, run_sizes, with_sizes

__all__ = ["detection_content"]

_REPLICATES = 500


def detection_content(place: str, scores: pa.Table, summary: Mapping[str, Any], level: str) -> dict[str, Any]:
    """`points` of the curve, none where there is none; `unit` of sizes; `a90` or `None`; a `sentence` that says it.

    Arguments:
        place: the run's folder.
        scores: of all its folds.
        summary: by whose rules is judged.
        level: `object` or `image`.
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
        return {"points": [], "unit": "", "a90": None, "sentence": f"Nothing is said of sizes: {error}"}
    row = found.rows[0]
    what = {"area": "Area of the largest marked region", "extent": "Longest extent"}.get(measure, "Column size")
    said = [f"{what}{f', {unit}' if unit else ''}, {row.parts} parts; the band holds 95 % on either side."]
    if row.a90 is None:
        said.append(f"No a90: {row.why_no_a90}")
    else:
        sure = f"{row.a90_95:.3g}" if row.a90_95 is not None else f"not given: {row.why_no_a90_95}"
        said.append(f"90 % are found from {row.a90:.3g} on (a90); with 95 % confidence (a90/95): {sure}")
    points = [] if row.curve.num_rows == 0 else row.curve.to_pylist()
    return {"points": points, "unit": unit or "size", "a90": row.a90, "sentence": " ".join(said)}
