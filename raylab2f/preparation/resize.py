"""Bring pictures and masks of any size to one size."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["FITS", "resize_mask", "resize_picture"]

FITS = ("stretch", "pad")


def resize_picture(picture: NDArray[np.uint8], size: tuple[int, int], fit: str) -> NDArray[np.uint8]:
    """A (H, W, 3) uint8 picture as (*size, 3); averaged along a side that shrinks, linear along one that grows.

    Arguments:
        size: height and width in pixels.
        fit: `stretch`, or `pad`: keep the aspect, centre, fill with black.
    """
    inner = _inner_size(picture.shape[:2], size, fit)
    return _pad(np.asarray(_resize(picture, inner, cv2.INTER_LINEAR), np.uint8), size)


def resize_mask(mask: NDArray[np.bool_], size: tuple[int, int], fit: str) -> NDArray[np.bool_]:
    """A (H, W) mask as `size`; a pixel is true when any part of it was, so small defects survive shrinking."""
    if not mask.any():
        return np.zeros(size, bool)
    # The other nearest neighbour of OpenCV lies up to half a pixel beside the picture.
    resized = _resize(mask.astype(np.float32), _inner_size(mask.shape, size, fit), cv2.INTER_NEAREST_EXACT)
    return np.asarray(_pad(resized, size) > 0)


def _resize(array: NDArray[Any], size: tuple[int, int], enlarging: int) -> NDArray[Any]:
    """First shrink, then enlarge: where one side grows, OpenCV averages along neither."""
    smaller = min(size[0], array.shape[0]), min(size[1], array.shape[1])
    if smaller != array.shape[:2]:
        array = cv2.resize(array, smaller[::-1], interpolation=cv2.INTER_AREA)
    if smaller != size:
        array = cv2.resize(array, size[::-1], interpolation=enlarging)
    return array


def _inner_size(shape: tuple[int, ...], size: tuple[int, int], fit: str) -> tuple[int, int]:
    height, width = size
    if fit == "stretch":
        return height, width
    factor = min(height / shape[0], width / shape[1])
    return max(1, round(shape[0] * factor)), max(1, round(shape[1] * factor))


def _pad(array: NDArray[Any], size: tuple[int, int]) -> NDArray[Any]:
    missing = size[0] - array.shape[0], size[1] - array.shape[1]
    before = missing[0] // 2, missing[1] // 2
    widths = [(before[0], missing[0] - before[0]), (before[1], missing[1] - before[1])]
    return np.pad(array, widths + [(0, 0)] * (array.ndim - 2))
