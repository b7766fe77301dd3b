"""How many pixels defects keep when their pictures are brought to another size: of masks, one pass over them.

A defect is the largest marked region of a picture's mask, as in `defect_sizes`. It is *kept* where its longest extent
and its area are both at least those of one patch, the square of pixels that makes one cell of a detector's map.

Example:
    >>> import numpy as np
    >>> from raylab2f.datasets.defect_sizes import largest_region
    >>> mask = np.zeros((100, 200), bool)
    >>> mask[40:60, 40:60] = True
    >>> defect = Defect("dent", (100, 200), largest_region(mask))
    >>> kept = kept_at([defect], (50, 50), (8.0, 8.0))
    >>> kept.areas.tolist(), kept.whole.tolist()
    ([50.0], [False])
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from raylab2f.datasets.defect_sizes import Region, largest_region
from raylab2f.datasets.pictures import read_mask

__all__ = ["Defect", "Kept", "kept_at", "measure_defects", "needed_scales"]


@dataclass(frozen=True)
class Defect:
    """A picture's defect.

    Arguments:
        kind: its type.
        size: height and width of the picture in pixels.
        region: where it is.
    """

    kind: str
    size: tuple[int, int]
    region: Region


@dataclass(frozen=True)
class Kept:
    """What defects are at some size; one entry (n,) for each.

    Arguments:
        areas: in pixels.
        extents: longest ones, in pixels.
        long: whether the extent reaches a patch's side.
        large: whether the area reaches a patch's.
    """

    areas: NDArray[np.float64]
    extents: NDArray[np.float64]
    long: NDArray[np.bool_]
    large: NDArray[np.bool_]

    @property
    def whole(self) -> NDArray[np.bool_]:
        """Whether a defect is kept: both."""
        return self.long & self.large


def measure_defects(
    rows: Sequence[Mapping[str, Any]],
    pixel_limit: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[Defect]:
    """The defects of a manifest's rows that have a mask which marks something; masks are read in threads, once.

    Arguments:
        rows: with `mask_path`, `defect_type`, `height` and `width`.
        pixel_limit: most pixels a mask may have.
        progress: called as `progress(masks read, masks in total)`.
    """
    masked = [row for row in rows if row["mask_path"] is not None]

    def measured(row: Mapping[str, Any]) -> Defect | None:
        region = largest_region(read_mask(row["mask_path"], pixel_limit))
        return None if region is None else Defect(row["defect_type"], (row["height"], row["width"]), region)

    found = []
    with ThreadPoolExecutor(min(4, os.cpu_count() or 1), "masks") as threads:
        for number, defect in enumerate(threads.map(measured, masked), 1):
            if defect is not None:
                found.append(defect)
            if progress is not None:
                progress(number, len(masked))
    return found


def kept_at(
    defects: Sequence[Defect],
    size: tuple[int, int] | None,
    patch: tuple[float, float],
    *,
    fit: str = "stretch",
    canvas: tuple[int, int] | None = None,
) -> Kept:
    """What the defects are when their pictures are brought to a height and width.

    Arguments:
        size: `None`: as they were taken.
        patch: height and width of a patch in pixels of that size.
        fit: `stretch`, or `pad`: the aspect stays.
        canvas: height and width of the part of every picture that is brought to the size; `None`: the whole picture.
    """
    scales = [_scale(canvas or defect.size, size, fit) for defect in defects]
    areas = np.array([d.region.area * down * across for d, (down, across) in zip(defects, scales, strict=True)], float)
    extents = np.array(
        [d.region.extent(across, down) for d, (down, across) in zip(defects, scales, strict=True)], float
    )
    side, area = (patch[0] * patch[1]) ** 0.5, patch[0] * patch[1]
    return Kept(areas, extents, extents >= side, areas >= area)


def needed_scales(defects: Sequence[Defect], patch: tuple[float, float]) -> NDArray[np.float64]:
    """(n,) how many times as large as it was taken a defect must be at least to be kept; below 1: it may shrink."""
    side = (patch[0] * patch[1]) ** 0.5
    return np.array([side / min(d.region.extent(), d.region.area**0.5) for d in defects], float)


def _scale(taken: tuple[int, int], size: tuple[int, int] | None, fit: str) -> tuple[float, float]:
    """How many times as high and as wide a picture becomes."""
    if size is None:
        return 1.0, 1.0
    down, across = size[0] / taken[0], size[1] / taken[1]
    return (min(down, across),) * 2 if fit == "pad" else (down, across)
