"""SegF1: how well maps that were cut at a threshold mark the pixels of defects, all judged pictures together.

F1 = 2 TP / (2 TP + FP + FN) over the pixels of all judged pictures, good ones included (Heckler-Kram et al., "The MVTec
AD 2 Dataset", 2025, where it is SegF1). The threshold stems from pictures that are not judged, here those of the
threshold partition. `seg_f1_3std` takes it as there: mean plus three standard deviations of all map values of good
pictures. `seg_f1` takes the threshold of the largest F1 on the threshold partition, which needs defect masks there.

As for the other pixel metrics, every picture is counted at some hundred thresholds, here of values of the threshold
partition only, and objects are weighted: thresholds are chosen anew in every replicate of the bootstrap. Counts are
exact; the best threshold is one of these hundreds, and between two of them counts for mean + 3 std are interpolated
(for the data themselves it is one of them).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from raylab2f.evaluation.pixels.pixel_curves import PixelBatch, PixelSample

__all__ = [
    "SEGMENTATION_METRICS",
    "SEGMENTATION_SCHEMA",
    "SegmentationProblem",
    "build_segmentation_problem",
    "judge_segmentation",
    "judge_segmentation_problem",
]

SEGMENTATION_METRICS = ("seg_f1", "seg_f1_3std")

_COUNTS = pa.list_(pa.int64())

#: One row for each picture of the threshold and inference partitions but anomalous ones without a mask.
SEGMENTATION_SCHEMA = pa.schema(
    [
        ("image_id", pa.string()),
        ("object_id", pa.string()),
        ("label", pa.int8()),
        ("partition", pa.string()),
        ("thresholds", pa.list_(pa.float64())),  # ascending; the same in every row of a fold
        ("defect_pixels", pa.int64()),
        ("false_alarms", _COUNTS),  # pixels beside the defect at or above each threshold
        ("hits", _COUNTS),  # of the defect; null in good pictures
        ("pixels", pa.int64()),  # of all, like the next two; null in anomalous pictures
        ("sum", pa.float64()),  # of the map's values, and of their squares
        ("squares", pa.float64()),
    ]
)

_DEVIATIONS = 3.0
_RATES = np.geomspace(1e-5, 0.5, 64)
_HIT_RATES = np.linspace(0.02, 1, 50)
_STEPS = np.linspace(0, 6, 61)


def judge_segmentation(
    batches: Callable[[str | None], Iterable[PixelBatch]], pictures: Mapping[str, Mapping[str, Any]]
) -> pa.Table | None:
    """Count pixels at thresholds that the threshold partition suggests.

    Arguments:
        batches: starts a pass over the pictures of a partition, or with `None` over those of both; called twice.
        pictures: image_id -> `object_id`, `label` and `partition` (`threshold` or `inference`) of all pictures.

    Returns:
        A table in `SEGMENTATION_SCHEMA`; `None` where no good picture chooses a threshold, or no defect is judged.
    """
    choosing = [name for name, known in pictures.items() if known["partition"] == "threshold"]
    nominal, inside = PixelSample(), PixelSample()
    moments = np.zeros(3)
    for batch in batches("threshold"):
        for name, scores, defect in zip(batch.image_ids, batch.maps, batch.defects, strict=True):
            expected = len(choosing) * scores.size
            if not pictures[name]["label"]:
                nominal.add(scores.ravel(), expected)
                moments += _moments(scores)
            elif defect.any():
                nominal.add(scores[~defect], expected)
                inside.add(scores[defect], expected)
    if not moments[0]:
        return None
    mean, deviation = _mean_and_deviation(*moments)
    found = [nominal.at(_RATES), mean + _STEPS * deviation, [mean + _DEVIATIONS * deviation]]
    if inside.count:
        found.append(inside.at(_HIT_RATES))
    # The highest thresholds flag nothing, so that a map that says nothing may be cut there.
    thresholds = np.unique(np.concatenate([np.asarray(part, np.float64) for part in found]))
    thresholds = np.append(thresholds, np.finfo(np.float64).max)
    rows = []
    for batch in batches(None):
        for name, scores, defect in zip(batch.image_ids, batch.maps, batch.defects, strict=True):
            known = pictures[name]
            if known["label"] and not defect.any():
                continue
            row = {"image_id": name, **{key: known[key] for key in ("object_id", "label", "partition")}}
            row |= {"thresholds": thresholds, "defect_pixels": int(defect.sum()) if known["label"] else 0}
            if known["label"]:
                row |= {"false_alarms": _flagged(scores[~defect], thresholds)}
                row |= {"hits": _flagged(scores[defect], thresholds)}
            else:
                row |= {"false_alarms": _flagged(scores.ravel(), thresholds)}
                row |= dict(zip(("pixels", "sum", "squares"), _moments(scores).tolist(), strict=True))
                row["pixels"] = scores.size
            rows.append(row)
    if not any(row["label"] and row["partition"] == "inference" for row in rows):
        return None
    return pa.Table.from_pylist(sorted(rows, key=lambda row: row["image_id"]), schema=SEGMENTATION_SCHEMA)


@dataclass(frozen=True)
class _Side:
    """Sums over the pictures of each of o objects in one partition, at g thresholds."""

    owner: np.ndarray  # (o,)
    false_alarms: np.ndarray  # (o, g)
    hits: np.ndarray  # (o, g)
    defect_pixels: np.ndarray  # (o,)
    moments: np.ndarray  # (o, 3) of good pictures: pixels, sum, squares


@dataclass(frozen=True)
class SegmentationProblem:
    """Counts of all folds by object.

    Arguments:
        folds: numbers of the folds.
        cells: of each fold its (g,) ascending thresholds, what chooses and what is judged.
        strata: (objects,) bool, True for objects with a defect mask.
        judged: objects judged in any fold: with a defect mask, and without (where all have one, these).
    """

    folds: tuple[int, ...]
    cells: tuple[tuple[np.ndarray, _Side, _Side], ...]
    strata: np.ndarray
    judged: tuple[int, int]


def build_segmentation_problem(table: pa.Table) -> SegmentationProblem:
    """Sum the counts of each object's pictures.

    Arguments:
        table: tables of `judge_segmentation` with the column `fold`, one after the other; not empty.
    """
    names, owner = np.unique(np.array(table["object_id"].to_pylist()), return_inverse=True)
    label = table["label"].to_numpy() == 1
    strata = np.bincount(owner, weights=label, minlength=len(names)) > 0
    fold = table["fold"].to_numpy()
    judges = np.array(table["partition"].to_pylist()) == "inference"
    cells = []
    for number in np.unique(fold):
        first = int(np.flatnonzero(fold == number)[0])
        thresholds = np.array(table["thresholds"][first].as_py())
        sides = [
            _side(table.take(rows), owner[rows], len(thresholds))
            for rows in (np.flatnonzero((fold == number) & (judges == side)) for side in (False, True))
        ]
        cells.append((thresholds, sides[0], sides[1]))
    seen = strata[np.unique(owner[judges])]
    judged = int(seen.sum()), int((~seen).sum()) or int(seen.sum())
    return SegmentationProblem(tuple(np.unique(fold).tolist()), tuple(cells), strata, judged)


def judge_segmentation_problem(problem: SegmentationProblem, weights: np.ndarray) -> np.ndarray:
    """(metrics, folds, b) in the order of `SEGMENTATION_METRICS` for (objects, b) weights; NaN where there is none."""
    return np.stack([_judge_fold(*cell, weights) for cell in problem.cells], axis=1)


def _judge_fold(thresholds: np.ndarray, choosing: _Side, judged: _Side, weights: np.ndarray) -> np.ndarray:
    column = np.arange(weights.shape[1])
    best, defects = _f1(choosing, weights)
    # Of equal ones the highest threshold.
    chosen = len(thresholds) - 1 - best[::-1].argmax(axis=0)
    reached, judged_defects = _f1(judged, weights)
    at_best = np.where(defects > 0, reached[chosen, column], np.nan)
    pixels, total, squares = choosing.moments.T @ weights[choosing.owner]
    with np.errstate(invalid="ignore", divide="ignore"):
        mean, deviation = _mean_and_deviation(pixels, total, squares)
        wanted = mean + _DEVIATIONS * deviation
        place = np.clip(np.searchsorted(thresholds, np.nan_to_num(wanted)), 1, len(thresholds) - 1)
        low, high = thresholds[place - 1], thresholds[place]
        part = np.clip((wanted - low) / (high - low), 0, 1)
        between = (1 - part) * reached[place - 1, column] + part * reached[place, column]
    values = np.stack((at_best, np.where(pixels > 0, between, np.nan)))
    return np.where(judged_defects > 0, values, np.nan)


def _f1(side: _Side, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(g, b) F1 at each threshold, and (b,) defect pixels."""
    own = weights[side.owner]
    hits, alarms, defects = side.hits.T @ own, side.false_alarms.T @ own, side.defect_pixels @ own
    with np.errstate(invalid="ignore", divide="ignore"):
        found = 2 * hits / (hits + alarms + defects)
    return np.nan_to_num(found), defects


def _side(table: pa.Table, owner: np.ndarray, thresholds: int) -> _Side:
    objects, row = np.unique(owner, return_inverse=True)

    def total(values: np.ndarray) -> np.ndarray:
        sums = np.zeros((len(objects), *values.shape[1:]))
        np.add.at(sums, row, values)
        return sums

    def counts(name: str) -> np.ndarray:
        nothing = [0] * thresholds
        return np.array([one or nothing for one in table[name].to_pylist()], np.float64).reshape(-1, thresholds)

    moments = [np.nan_to_num(table[name].to_numpy().astype(np.float64)) for name in ("pixels", "sum", "squares")]
    return _Side(
        owner=objects,
        false_alarms=total(counts("false_alarms")),
        hits=total(counts("hits")),
        defect_pixels=total(table["defect_pixels"].to_numpy().astype(np.float64)),
        moments=total(np.column_stack(moments)),
    )


def _moments(scores: np.ndarray) -> np.ndarray:
    values = scores.astype(np.float64)
    return np.array([values.size, values.sum(), np.square(values).sum()])


def _mean_and_deviation(count: Any, total: Any, squares: Any) -> tuple[Any, Any]:
    mean = total / count
    return mean, np.sqrt(np.maximum(squares / count - mean**2, 0))


def _flagged(values: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """(g,) how many of the values are at or above each of the ascending thresholds."""
    reached = np.bincount(np.searchsorted(thresholds, values, side="right"), minlength=len(thresholds) + 1)
    return np.cumsum(reached[::-1])[::-1][1:]
