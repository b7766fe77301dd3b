"""Where on a picture a model sees something: regions of its anomaly map, as numbers and laid over the picture."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["Region", "find_regions", "overlay_png"]

_MOST = 20
_OUTLINE = (255, 40, 40)


@dataclass(frozen=True)
class Region:
    """Neighbouring pixels whose map values reach a level.

    Arguments:
        left, top, width, height: the box around it, in pixels of the prepared picture.
        area: pixels.
        peak: its highest map value.
        peak_x, peak_y: where that lies.
    """

    left: int
    top: int
    width: int
    height: int
    area: int
    peak: float
    peak_x: int
    peak_y: int

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return asdict(self)


def find_regions(map_: NDArray[np.float32], level: float) -> list[Region]:
    """Regions of a map (H, W) that reach `level`, highest peak first, 20 at most."""
    marked = (map_ >= level).astype(np.uint8)
    count, labels, boxes, _ = cv2.connectedComponentsWithStats(marked, connectivity=8)
    found = []
    for number in range(1, count):
        left, top, width, height, area = (int(value) for value in boxes[number])
        window = map_[top : top + height, left : left + width]
        own = np.where(labels[top : top + height, left : left + width] == number, window, -np.inf)
        row, column = np.unravel_index(int(own.argmax()), own.shape)
        peak = float(own[row, column])
        found.append(Region(left, top, width, height, area, peak, left + int(column), top + int(row)))
    return sorted(found, key=lambda region: -region.peak)[:_MOST]


def overlay_png(picture: NDArray[np.uint8], map_: NDArray[np.float32], level: float) -> bytes:
    """The prepared picture (H, W, 3) with its map (H, W) laid over it, regions outlined, as PNG.

    Colour begins at `level`, and is strongest at three times the distance from the map's least value to it.
    """
    low = float(map_.min())
    share = np.clip((map_ - level) / max(2 * (level - low), 1e-12), 0, 1)[..., None]
    heat = np.concatenate([np.full_like(share, 255), 200 * (1 - share), np.zeros_like(share)], axis=2)
    weight = np.where((map_ >= level)[..., None], 0.35 + 0.3 * share, 0)
    shown = (picture * (1 - weight) + heat * weight).round().astype(np.uint8)
    borders, _ = cv2.findContours((map_ >= level).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(shown, borders, -1, _OUTLINE, 1)
    return bytes(cv2.imencode(".png", cv2.cvtColor(shown, cv2.COLOR_RGB2BGR))[1].tobytes())
