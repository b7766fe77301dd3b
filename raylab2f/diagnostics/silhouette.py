"""Silhouette: do the maps show the average object instead of the defect?

A detector that is unsure about every edge of the part draws its outline in every map. The scores may still rank, but
the maps do not say where a defect is, and whatever moves the outline moves the score.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pyarrow as pa

from raylab2f.diagnostics.finding import Bounds, Finding, Measure, conclude, skipped
from raylab2f.diagnostics.maps import FoldMaps, correlation
from raylab2f.diagnostics.resampling import Estimate, mean, resample

__all__ = ["OUTLINE", "SAME_MAP", "diagnose_silhouette", "mean_maps"]

# Correlation with the average object: at 0.8 two thirds of what varies in the maps of defective parts (0.8 squared) is
# the object's outline; at 0.6 a third.
OUTLINE = Bounds(0.6, 0.8)
# Correlation with the average map of good parts: at 0.9 four fifths of a defective part's map is the same whatever the
# part looks like. A warning only: a constant offset does not change the order of scores.
SAME_MAP = Bounds(0.9, None)


def diagnose_silhouette(folds: Iterable[FoldMaps], *, seed: int) -> Finding:
    """Hold the maps of defective pictures against the average object and the average map of good ones."""
    folds = list(folds)
    name = "silhouette"
    if not folds or not any((fold.labels == 1).any() and (fold.labels == 0).any() for fold in folds):
        return skipped(name, "There are no maps of good and of defective pictures.")
    has_masks = any((fold.foregrounds < 1).any() for fold in folds)
    rows = []
    for fold in folds:
        good = fold.labels == 0
        if not good.any():
            continue
        usual_map, usual_object = fold.maps[good].mean(axis=0), fold.foregrounds[good].mean(axis=0)
        rows += [
            {
                "fold": fold.fold,
                "image_id": str(image_id),
                "object_id": str(owner),
                "label": int(label),
                "with_average_object": correlation(map_, usual_object) if has_masks else float("nan"),
                "with_average_map": correlation(map_, usual_map),
            }
            for image_id, owner, label, map_ in zip(fold.image_ids, fold.objects, fold.labels, fold.maps, strict=True)
        ]
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
    averages = mean_maps(folds)
    if has_masks:
        whole = correlation(averages["map_mean"], averages["foreground_mean"])
        spread = correlation(averages["map_std"], averages["foreground_std"])
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


def mean_maps(folds: Iterable[FoldMaps]) -> dict[str, np.ndarray]:
    """Mean and standard deviation (h, w) of maps and foregrounds over nominal pictures, averaged over folds."""
    parts: dict[str, list[np.ndarray]] = {}
    for fold in folds:
        good = fold.labels == 0
        if good.any():
            for key, values in (("map", fold.maps[good]), ("foreground", fold.foregrounds[good])):
                parts.setdefault(f"{key}_mean", []).append(values.mean(axis=0))
                parts.setdefault(f"{key}_std", []).append(values.std(axis=0))
    return {key: np.mean(values, axis=0) for key, values in parts.items()}
