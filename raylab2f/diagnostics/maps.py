"""Anomaly maps beside foreground and defect masks, and what each picture's map says in numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["FoldMaps", "RegionScores", "correlation", "masks_on_grid", "region_columns", "region_scores"]


@dataclass(frozen=True)
class FoldMaps:
    """Anomaly maps of the pictures that one fold's detector scored and never trained on.

    Arguments:
        fold: its number.
        image_ids: (n,).
        objects: (n,) object of each picture.
        labels: (n,) 0 or 1.
        scores: (n,) image scores.
        maps: (n, h, w) float32, at the detector's own resolution, higher is more anomalous.
        foregrounds: (n, h, w) float32 share of each cell that shows the object; 1 where no mask is known.
        masked: (n,) bool, whether a foreground mask of the picture is known.
        defects: (n, h, w) bool, cells that show some of the defect; all false where no mask is known.
    """

    fold: int
    image_ids: NDArray[np.str_]
    objects: NDArray[np.str_]
    labels: NDArray[np.int64]
    scores: NDArray[np.float64]
    maps: NDArray[np.float32]
    foregrounds: NDArray[np.float32]
    masked: NDArray[np.bool_]
    defects: NDArray[np.bool_]

    def with_masks(self) -> FoldMaps:
        """Of the pictures with a known foreground mask."""
        own = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "fold"}
        return replace(self, **{name: values[self.masked] for name, values in own.items()})


@dataclass(frozen=True)
class RegionScores:
    """Image scores recomputed from regions of the maps, over all folds; arrays are (n,).

    Arguments:
        rule: `max` or `mean` of the region's cells: the one that comes nearer to the detector's own scores.
        fold, image_ids, objects, labels, scores: as in `FoldMaps`.
        background: from cells without any foreground; NaN where there are none.
        foreground: from cells that are foreground to more than a half; NaN where there are none.
    """

    rule: str
    fold: NDArray[np.int64]
    image_ids: NDArray[np.str_]
    objects: NDArray[np.str_]
    labels: NDArray[np.int64]
    scores: NDArray[np.float64]
    background: NDArray[np.float64]
    foreground: NDArray[np.float64]


def masks_on_grid(masks: NDArray[np.uint8], grid: tuple[int, int]) -> NDArray[np.float32]:
    """Masks (n, H, W), 0 or 1, as the share (n, h, w) of each cell of a grid (h, w) that is marked."""
    height, width = grid
    return np.stack(
        [cv2.resize(mask.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA) for mask in masks]
    )


def region_scores(parts: Sequence[Mapping[str, np.ndarray]]) -> RegionScores:
    """Scores of background and foreground alone, from `region_columns` of each fold."""
    joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    fold = joined.pop("fold")
    rules = {
        rule: np.mean([correlation(_ranks(p["scores"]), _ranks(p[f"whole_{rule}"])) for p in parts])
        for rule in ("max", "mean")
    }
    rule = max(rules, key=lambda name: rules[name])
    return RegionScores(
        rule=rule,
        fold=fold,
        image_ids=joined["image_ids"],
        objects=joined["objects"],
        labels=joined["labels"],
        scores=joined["scores"],
        background=joined[f"background_{rule}"],
        foreground=joined[f"foreground_{rule}"],
    )


def correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Pearson's; 0 where one of them is constant, for then it tells nothing of the other."""
    one, other = np.ravel(one) - np.mean(one), np.ravel(other) - np.mean(other)
    size = float(np.sqrt((one**2).sum() * (other**2).sum()))
    return float((one * other).sum() / size) if size > 0 else 0.0


def region_columns(fold: FoldMaps) -> dict[str, np.ndarray]:
    """One row a picture: maximum and mean of the map over background, foreground and the whole."""
    flat = fold.maps.reshape(len(fold.maps), -1)
    shares = fold.foregrounds.reshape(len(flat), -1)
    columns = {
        "fold": np.full(len(flat), fold.fold),
        "image_ids": fold.image_ids,
        "objects": fold.objects,
        "labels": fold.labels,
        "scores": fold.scores,
    }
    for name, region in (("background", shares == 0), ("foreground", shares > 0.5), ("whole", shares >= 0)):
        empty = ~region.any(axis=1)
        highest = np.where(region, flat, -np.inf).max(axis=1)
        average = np.where(region, flat, 0).sum(axis=1) / np.maximum(region.sum(axis=1), 1)
        columns[f"{name}_max"] = np.where(empty, np.nan, highest)
        columns[f"{name}_mean"] = np.where(empty, np.nan, average)
    return columns


def _ranks(values: np.ndarray) -> np.ndarray:
    return np.argsort(np.argsort(values)).astype(np.float64)
