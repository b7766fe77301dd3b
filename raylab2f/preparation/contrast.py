"""A segmenter without weights, for one object that stands out in lightness from a calm background.

1. Otsu's threshold on lightness; the class that holds most of the picture's border is background. The largest connected
   part of the other class is the object's core: its well-lit part.
2. Background is what can be reached from afar without climbing a steep edge. The price of a path is the sum of squared
   steps in log lightness towards the object's side; descending costs nothing. Shadows, soft reflections and uneven
   light cost little, an outline costs much, and so does the outline of the object's shaded side, which Otsu's
   threshold gives to the background.
3. Holes: where the enclosed part without core is as dark as background, its darkest place is background, and all that
   is reached from there as cheaply.
4. A watershed puts the outline on the steepest place between inside and outside.

The steps run on a picture of at most 256 pixels on its longer side, which fixes their scale; the outline of a larger
picture is as fine as that. A picture whose two classes are not apart, or both lie along the border, shows no
background: its object fills it (`Segment.note` says so).

References:
    Otsu, "A threshold selection method from gray-level histograms", IEEE SMC 1979.
    Meyer, "Topographic distance and watershed lines", Signal Processing 1994.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import dijkstra
from skimage.segmentation import watershed

from raylab2f.preparation.segmentation import NothingDetectedError, Segment

__all__ = ["segment_by_contrast"]

_Mask = NDArray[np.bool_]
_Grey = NDArray[np.floating[Any]]

_WORKING_SIDE = 256
# Of L* (0 to 100): a picture that varies less shows nothing.
_LEAST_SPREAD = 1.0
# Distance of the classes' means in sums of their standard deviations. Halves of a normal distribution have 1.3, of a
# uniform one 1.7: below that there is one kind of surface, not two.
_LEAST_DISTANCE = 1.9
_MOST_OF_BORDER = 0.2
_SMALLEST_OBJECT = 0.002
# A step of log lightness per pixel that is an outline, and how many of them make one.
_STEP, _STEPS = 0.02, 3
# Of the core's size (square root of its area): the background begins for certain so far from it.
_REACH = 0.09
# A hole may be this much lighter than the background (log lightness), for light falls into it.
_HOLE_EXCESS = 0.3
_SMALLEST_HOLE = 0.004

_FILLED = "no background stands apart, so the object is taken to fill the picture"


def segment_by_contrast(picture: NDArray[np.uint8]) -> Segment:
    """The one object in a (H, W, 3) RGB picture that stands out from the background, lighter or darker.

    Raises:
        NothingDetectedError: the picture is of one lightness, or what stands out is tiny.
    """
    height, width = picture.shape[:2]
    factor = min(1.0, _WORKING_SIDE / max(height, width))
    if factor < 1:
        size = max(1, round(width * factor)), max(1, round(height * factor))
        picture = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
    lightness = np.asarray(cv2.cvtColor(picture.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)[..., 0], np.float32)
    found = _core(lightness)
    if found is None:
        return Segment(np.ones((height, width), bool), note=_FILLED)
    core, is_lighter, note = found
    mask = _outline(lightness, core, 1.0 if is_lighter else -1.0)
    if factor < 1:
        soft = cv2.resize(mask.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
        mask = soft > 0.5
    return Segment(mask, note=note)


def _core(lightness: _Grey) -> tuple[_Mask, bool, str | None] | None:
    """The well-lit part of the object, whether it is lighter than the background, and a note; `None`: no background."""
    blurred = cv2.GaussianBlur(lightness, (0, 0), 1.5)
    if blurred.std() < _LEAST_SPREAD:
        raise NothingDetectedError("nothing detected: the picture is of one lightness")
    levels = np.clip(blurred * 2.55, 0, 255).astype(np.uint8)
    _, marked = cv2.threshold(levels, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    light = marked > 0
    share = float(np.concatenate([light[0], light[-1], light[:, 0], light[:, -1]]).mean())
    is_lighter = share <= 0.5
    inside = light if is_lighter else ~light
    distance = abs(lightness[inside].mean() - lightness[~inside].mean())
    spread = lightness[inside].std() + lightness[~inside].std()
    if min(share, 1 - share) > _MOST_OF_BORDER or distance < _LEAST_DISTANCE * spread:
        return None
    count, labels, statistics, _ = cv2.connectedComponentsWithStats(inside.astype(np.uint8), connectivity=4)
    areas = statistics[1:count, cv2.CC_STAT_AREA]
    largest = int(areas.argmax())
    if areas[largest] < _SMALLEST_OBJECT * inside.size:
        raise NothingDetectedError("nothing detected: what stands out from the background is tiny")
    similar = int((areas >= 0.5 * areas[largest]).sum()) - 1
    note = f"{similar + 1} objects of similar size; the largest was taken" if similar else None
    return labels == 1 + largest, is_lighter, note


def _outline(lightness: _Grey, core: _Mask, sign: float) -> _Mask:
    """The whole object around its core; `sign` is 1 for one lighter than the background, -1 for a darker one."""
    relief = sign * np.log(cv2.GaussianBlur(lightness, (0, 0), 1.0) + 1)
    afar = ~_dilate(core, max(3, int(_REACH * np.sqrt(core.sum()))))
    if not afar.any():
        return core
    dear = _STEPS * _STEP**2
    raised = (_climb(relief, afar, core) > dear) | core
    body = _largest(_open(raised, 3) | core)
    markers = np.zeros(core.shape, np.int32)
    markers[_erode(body, 2) | _erode(core, 2)] = 1
    markers[~_dilate(body, 1)] = 2
    sharp = np.log(cv2.GaussianBlur(lightness, (0, 0), 0.5) + 3)
    steepness = np.hypot(cv2.Sobel(sharp, cv2.CV_32F, 1, 0), cv2.Sobel(sharp, cv2.CV_32F, 0, 1))
    return _largest((watershed(steepness, markers) == 1) & ~_holes(relief, body, core, float(np.median(relief[afar]))))


def _holes(relief: _Grey, body: _Mask, core: _Mask, background: float) -> _Mask:
    """Background that is seen through the object."""
    inner = _erode(_filled(body), 3) & ~core
    count, labels, statistics, _ = cv2.connectedComponentsWithStats(inner.astype(np.uint8), connectivity=4)
    holes = np.zeros_like(core)
    for number in range(1, count):
        if statistics[number, cv2.CC_STAT_AREA] < _SMALLEST_HOLE * core.sum():
            continue
        region = labels == number
        lowest = np.percentile(relief[region], 10)
        if lowest <= background + _HOLE_EXCESS:
            reached = _climb(relief, region & (relief <= lowest), ~region) < _STEPS * _STEP**2
            holes |= _open(reached, 1)
    return holes


def _climb(relief: _Grey, start: _Mask, closed: _Mask) -> NDArray[np.float64]:
    """(H, W) sum of squared ascents per pixel along the cheapest path from `start`; infinite where none leads."""
    height, width = relief.shape
    index = np.arange(relief.size).reshape(height, width)
    sources, targets, prices = [], [], []
    for down, right in ((0, 1), (1, 0), (1, 1), (1, -1)):
        here = index[: height - down, max(0, -right) : width - max(0, right)].ravel()
        there = index[down:, max(0, right) : width + min(0, right)].ravel()
        length = float(np.hypot(down, right))
        for one, other in ((here, there), (there, here)):
            is_open = ~closed.ravel()[other]
            ascent = np.maximum(relief.ravel()[other] - relief.ravel()[one], 0) / length
            sources.append(one[is_open])
            targets.append(other[is_open])
            # A sparse graph takes an edge of price 0 for none.
            prices.append(1e-9 + length * ascent[is_open].astype(np.float64) ** 2)
    begin = index[start]
    sources.append(np.full(len(begin), relief.size))
    targets.append(begin)
    prices.append(np.full(len(begin), 1e-9))
    edges = np.concatenate(prices), (np.concatenate(sources), np.concatenate(targets))
    graph = coo_matrix(edges, shape=(relief.size + 1, relief.size + 1)).tocsr()
    return np.asarray(dijkstra(graph, indices=relief.size))[: relief.size].reshape(height, width)


def _filled(mask: _Mask) -> _Mask:
    """The mask and all that it encloses, but for openings of the object's own scale."""
    count, labels, statistics, _ = cv2.connectedComponentsWithStats((~mask).astype(np.uint8), connectivity=8)
    small = statistics[:, cv2.CC_STAT_AREA] < 0.05 * mask.sum()
    small[0] = False
    return mask | small[labels] if count > 1 else mask


def _largest(mask: _Mask) -> _Mask:
    count, labels, statistics, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=4)
    return labels == 1 + int(statistics[1:, cv2.CC_STAT_AREA].argmax()) if count > 1 else mask


def _disc(radius: int) -> NDArray[np.uint8]:
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1)), np.uint8)


def _erode(mask: _Mask, radius: int) -> _Mask:
    return np.asarray(cv2.erode(mask.astype(np.uint8), _disc(radius)) > 0)


def _dilate(mask: _Mask, radius: int) -> _Mask:
    return np.asarray(cv2.dilate(mask.astype(np.uint8), _disc(radius)) > 0)


def _open(mask: _Mask, radius: int) -> _Mask:
    return np.asarray(cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, _disc(radius)) > 0)
