"""What the pixels of one fold say, as one short curve for each picture.

The pixels of a fold are too many to keep or to rank together, and all pixel metrics need the same three things: how
many nominal pixels, how many defect pixels and how much of each defect region lie at or above a threshold. So the
maps are read twice. The first time thresholds are taken from nominal pixels, dense where the metrics look; the second
time every picture is counted at these thresholds. The counts are exact, only the course between two thresholds is
interpolated by the metrics; with few distinct values nothing is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from scipy import ndimage

__all__ = ["PIXELS_SCHEMA", "PixelBatch", "PixelSample", "judge_pixels"]

_CURVE = pa.list_(pa.float32())

#: One row for each inference picture. Curves are shares at or above each of the fold's thresholds, which descend from
#: above all pixels (0) to below all (1).
PIXELS_SCHEMA = pa.schema(
    [
        ("image_id", pa.string()),
        ("object_id", pa.string()),
        ("label", pa.int8()),
        ("nominal_pixels", pa.int64()),  # null in anomalous pictures without a mask, like all that follows
        ("defect_pixels", pa.int64()),
        ("regions", pa.int32()),  # of touching defect pixels, corners included
        ("peak_in_defect", pa.float64()),  # share of the map's highest pixels that lie in the defect; null if nominal
        ("false_alarms", _CURVE),  # of the nominal pixels
        ("hits", _CURVE),  # of the defect pixels; null in nominal pictures
        ("overlap", _CURVE),  # of a region, mean over the picture's regions; null in nominal pictures
    ]
)

# Thresholds are wanted at these shares of false alarms: AUPIMO integrates from 1e-5 to 1e-4 of the pixels of nominal
# pictures, AUPRO and AUROC over all nominal pixels.
_RATES_NOMINAL_PICTURES = np.geomspace(5e-6, 1.2e-4, 80)
_RATES_ALL_PICTURES = np.concatenate((np.geomspace(1e-4, 0.3, 96), np.linspace(0.3, 1, 32)[1:]))

# The highest pixels are all looked at, of the others about so many.
_TOP_SHARE = 1e-3
_SAMPLED = 2**20

_TOUCHING = np.ones((3, 3), dtype=bool)


@dataclass(frozen=True)
class PixelBatch:
    """Some pictures.

    Arguments:
        image_ids: their names.
        maps: (b, H, W) anomaly maps in picture resolution.
        defects: (b, H, W) bool, true on the defect; false everywhere where there is no mask.
    """

    image_ids: tuple[str, ...]
    maps: np.ndarray
    defects: np.ndarray


def judge_pixels(
    batches: Callable[[], Iterable[PixelBatch]], pictures: Mapping[str, Mapping[str, Any]]
) -> pa.Table | None:
    """Count pixels at thresholds, picture by picture.

    Memory: one batch, and some bytes for a thousandth of the nominal pixels.

    Arguments:
        batches: starts a new pass over the pictures; called twice.
        pictures: image_id -> `object_id` and `label` of all pictures of the batches.

    Returns:
        A table in `PIXELS_SCHEMA`; `None` if no anomalous picture has a mask or there is no nominal picture.
    """
    names = sorted(pictures)
    in_nominal, in_all = PixelSample(), PixelSample()
    masked = 0
    for batch in batches():
        for name, scores, defect in zip(batch.image_ids, batch.maps, batch.defects, strict=True):
            anomalous = bool(pictures[name]["label"])
            if anomalous and not defect.any():
                continue
            masked += anomalous
            nominal = scores[~defect] if anomalous else scores.ravel()
            in_all.add(nominal, len(names) * scores.size)
            if not anomalous:
                in_nominal.add(nominal, len(names) * scores.size)
    if not masked or not in_nominal.count:
        return None
    wanted = np.concatenate((in_nominal.at(_RATES_NOMINAL_PICTURES), in_all.at(_RATES_ALL_PICTURES)))
    # Just above a value and at it: what lies between two nominal values must not count as tied with either.
    thresholds = np.unique(np.concatenate((wanted, np.nextafter(wanted, np.float32(np.inf)))))
    found: dict[str, dict[str, Any]] = {}
    for batch in batches():
        for name, scores, defect in zip(batch.image_ids, batch.maps, batch.defects, strict=True):
            known = {"image_id": name, **{key: pictures[name][key] for key in ("object_id", "label")}}
            found[name] = known | _count_picture(scores, defect, bool(known["label"]), thresholds)
    return pa.Table.from_pylist([found[name] for name in names], schema=PIXELS_SCHEMA)


def _count_picture(scores: np.ndarray, defect: np.ndarray, anomalous: bool, thresholds: np.ndarray) -> dict[str, Any]:
    if not anomalous:
        return {"nominal_pixels": scores.size, "false_alarms": _share_above(scores.ravel(), thresholds)}
    if not defect.any():
        return {}
    labelled, regions = ndimage.label(defect, structure=_TOUCHING)
    inside, region = scores[defect], labelled[defect]
    curves = [_share_above(inside[region == number], thresholds) for number in range(1, regions + 1)]
    outside = scores[~defect]
    return {
        "nominal_pixels": outside.size,
        "defect_pixels": inside.size,
        "regions": regions,
        "peak_in_defect": float(defect[scores == scores.max()].mean()),
        "false_alarms": _share_above(outside, thresholds),
        "hits": _share_above(inside, thresholds),
        "overlap": np.mean(curves, axis=0),
    }


def _share_above(values: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """(g + 2,) share of the values at or above each threshold, from the highest on; none first and all last."""
    below = np.searchsorted(np.sort(values), thresholds[::-1], side="left")
    count = max(len(values), 1)
    return np.concatenate(([0.0], (len(values) - below) / count, [1.0]))


class PixelSample:
    """Values that pass by: the highest ones, and every so many-th of all."""

    def __init__(self) -> None:
        self.count = 0
        self._top = np.empty(0, dtype=np.float32)
        self._body: list[np.ndarray] = []
        self._stride = 1

    def add(self, values: np.ndarray, expected: int) -> None:
        """Take note of (n,) values of about `expected` in all."""
        # An odd stride does not stay in the same columns of pictures of an even width.
        self._stride = expected // _SAMPLED | 1
        self.count += len(values)
        keep = int(np.ceil(_TOP_SHARE * expected))
        joined = np.concatenate((self._top, values.astype(np.float32, copy=False)))
        self._top = np.partition(joined, len(joined) - keep)[-keep:] if len(joined) > keep else joined
        self._body.append(values[:: self._stride].astype(np.float32))

    def at(self, rates: np.ndarray) -> np.ndarray:
        """Values that about these shares of all values reach, and the highest; all values where they are few."""
        top, body = np.sort(self._top)[::-1], np.sort(np.concatenate(self._body))[::-1]
        place = np.minimum(np.round(rates * self.count).astype(np.int64), self.count - 1)
        from_top = top[np.minimum(place, len(top) - 1)]
        from_body = body[np.minimum((rates * len(body)).astype(np.int64), len(body) - 1)]
        distinct = np.unique(body)
        return np.concatenate(
            (
                top[:1],
                np.where(place < len(top), from_top, from_body),
                distinct if len(distinct) <= len(rates) else distinct[:1],
            )
        )
