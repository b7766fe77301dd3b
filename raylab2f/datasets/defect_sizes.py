"""How large a defect is, by its mask.

Where a mask marks several regions, the largest of them counts, touching by sides or corners: it is what is most likely
found, and a few stray pixels do not make a defect larger.

- `area`: its number of pixels.
- `extent`: the greatest distance between the centres of two of its pixels, plus one: 1 for a pixel, n for a straight
  line of n (the longest Feret diameter, up to the pixels' corners).

Both are in pixels of the picture as it was given, not as detectors see it.

Example:
    >>> import numpy as np
    >>> mask = np.zeros((20, 20), bool)
    >>> mask[3, 2:12] = mask[15, 15] = True
    >>> defect_size(mask, "area"), defect_size(mask, "extent")
    (10.0, 10.0)
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from raylab2f.errors import UserError

__all__ = ["MEASURES", "PixelSize", "Region", "defect_size", "largest_region"]

#: Of a mask.
MEASURES = ("area", "extent")

_MILLIMETRES = {"mm": 1.0, "cm": 10.0, "m": 1000.0, "um": 1e-3, "µm": 1e-3, "μm": 1e-3}
_PIXEL_SIZE = re.compile(r"\s*([0-9]*\.?[0-9]+(?:[eE][+-]?[0-9]+)?)\s*([a-zµμ]+)\s*")
_LARGEST = 1e6


@dataclass(frozen=True)
class PixelSize:
    """What a pixel shows.

    Arguments:
        side: of a pixel, in `unit`.
        unit: `px` or `mm`.
    """

    side: float = 1.0
    unit: str = "px"

    @classmethod
    def parse(cls, text: str) -> PixelSize:
        """Read `0.05mm`, `50um` or `0.005 cm`.

        Raises:
            UserError: it is no length above 0.
        """
        found = _PIXEL_SIZE.fullmatch(text)
        side = float(found[1]) * _MILLIMETRES.get(found[2], 0.0) if found else 0.0
        if not 0 < side < _LARGEST:
            raise UserError(
                f"--pixel-size {text[:40]}: give the length of a pixel's side, above 0, such as 0.05mm or 50um."
            )
        return cls(side, "mm")

    def apply(self, size: float, measure: str) -> float:
        """A size in pixels in this unit; an area in its square."""
        return size * (self.side**2 if measure == "area" else self.side)

    def unit_of(self, measure: str) -> str:
        """`px`, `mm` or `mm²`; an area is a number of pixels, `px`."""
        return "mm²" if measure == "area" and self.unit == "mm" else self.unit


@dataclass(frozen=True)
class Region:
    """The largest marked region of a mask.

    Arguments:
        area: number of its pixels.
        hull: (n, 2) float64, x and y of the pixels' centres that span it.
    """

    area: float
    hull: NDArray[np.float64]

    def extent(self, across: float = 1.0, down: float = 1.0) -> float:
        """The longest extent in pixels, of a picture that is so many times as wide and as high as it was."""
        hull = self.hull * (across, down)
        longest = float(np.sqrt(((hull[:, None] - hull[None]) ** 2).sum(axis=2).max()))
        return longest + float(np.sqrt(across * down))


def largest_region(mask: NDArray[np.bool_]) -> Region | None:
    """The largest marked region of a mask (height, width); `None` where nothing is marked."""
    _, labels, facts, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    if len(facts) < 2:
        return None
    largest = 1 + int(facts[1:, cv2.CC_STAT_AREA].argmax())
    left, top, width, height = (int(value) for value in facts[largest, : cv2.CC_STAT_AREA])
    region = (labels[top : top + height, left : left + width] == largest).astype(np.uint8)
    rows, columns = np.nonzero(region)
    hull = cv2.convexHull(np.stack([columns, rows], axis=1).astype(np.int32))[:, 0].astype(np.float64)
    return Region(float(facts[largest, cv2.CC_STAT_AREA]), hull)


def defect_size(mask: NDArray[np.bool_], measure: str) -> float | None:
    """Size of the largest marked region, in pixels; `None` where nothing is marked.

    Arguments:
        mask: (height, width), true where marked.
        measure: of `MEASURES`.
    """
    region = largest_region(mask)
    if region is None:
        return None
    return region.area if measure == "area" else region.extent()
