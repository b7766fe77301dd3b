"""Silhouette: do the maps show the average object instead of the defect?

A detector that is unsure about every edge of the part draws its outline in every map. The scores may still rank, but
the maps do not say where a defect is, and whatever moves the outline moves the score.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from raylab2f.diagnostics.finding import Bounds, Finding, Measure, conclude, skipped
from raylab2f.diagnostics.maps import FoldMaps, correlation
from raylab2f.diagnostics.resampling import Estimate, mean, resample

__all__ = ["OUTLINE", "SAME_MAP", "averages", "diagnose_silhouette", "mean_maps"]

# Correlation with the average object: at 0.8 two thirds of what varies in the maps of defective parts (0.8 squared) is
# the object's outline; at 0.6 a third.
OUTLINE = Bounds(0.6, 0.8)
# Correlation with the average map of good parts: at 0.9 four fifths of a defective part's map is the same whatever the
# part looks like. A warning only: a constant offset does not change the order of scores.
SAME_MAP = Bounds(0.9, None)


def diagnose_silhouette(folds: Iterable[FoldMaps], *, seed: int) -> Finding:
    """Hold the maps of defective pictures against the average object and the average map of good ones."""
    name = "silhouette"
    rows: list[dict[str, Any]] = []
    parts, has_masks = [], False
    # One pass: maps of many folds need not fit into memory together.
    for fold in folds:
        good = fold.labels == 0
        if good.all() or not good.any():
            continue
        parts.append(averages(fold))
        known = good & fold.masked
        has_masks |= bool((fold.foregrounds[known] < 1).any())
        usual_map, usual_object = parts[-1]["map_mean"], parts[-1]["foreground_mean"]
        rows += [
            {
                "fold": fold.fold,
                "image_id": str(image_id),
                "object_id": str(owner),
                "label": int(label),
                "with_average_object": correlation(map_, usual_object) if known.any() else float("nan"),
                "with_average_map": correlation(map_, usual_map),
            }
            for image_id, owner, label, map_ in zip(fold.image_ids, fold.objects, fold.labels, fold.maps, strict=True)
        ]
    if not rows:
        return skipped(name, "There are no maps of good and of defective pictures.")
    table = pa.Table.from_pylist(rows)
    columns = {key: np.array(table[key].to_pylist()) for key in table.column_names}
    draws = resample(columns["object_id"], columns["label"], seed=seed)
    defective = columns["label"] == 1
    outline = mean(draws, columns["with_average_object"], defective, (-1.0, 1.0))
    same = mean(draws, columns["with_average_map"], defective, (-1.0, 1.0))
    measures = [
        Measure(
            "outline-correlation",
            outline,
            f"Maps of defective pictures correlate with the average object by {outline.value:.2f}.",
            OUTLINE,
        ),
        Measure(
            "average-map-correlation",
            same,
            f"Maps of defective pictures correlate with the average map of good ones by {same.value:.2f}: "
            f"{max(same.value, 0) ** 2:.0%} of what varies in them is the same in every picture.",
            SAME_MAP,
        ),
    ]
    if not has_masks:
        measures = measures[1:]
    else:
        usual = mean_maps(parts)
        whole = correlation(usual["map_mean"], usual["foreground_mean"])
        spread = correlation(usual["map_std"], usual["foreground_std"])
        measures += [
            Measure(
                "mean-correlation", Estimate(whole), f"The average map and the average object correlate by {whole:.2f}."
            ),
            Measure(
                "spread-correlation",
                Estimate(spread),
                f"Where the maps of good parts vary and where their outlines vary correlate by {spread:.2f}.",
            ),
        ]
    key = "with_average_object" if has_masks else "with_average_map"
    return conclude(name, measures, table.sort_by([(key, "descending")]))


def mean_maps(parts: Sequence[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Mean over folds of `averages`."""
    return {key: np.mean([part[key] for part in parts], axis=0) for key in parts[0]}


def averages(fold: FoldMaps) -> dict[str, np.ndarray]:
    """Mean and standard deviation (h, w) of maps and foregrounds over a fold's nominal pictures; of foregrounds over
    those whose mask is known, where there are any.
    """
    good = fold.labels == 0
    known = good & fold.masked
    masks = fold.foregrounds[known if known.any() else good]
    return {
        f"{name}_{what}": getattr(values, what)(axis=0)
        for name, values in (("map", fold.maps[good]), ("foreground", masks))
        for what in ("mean", "std")
    }
