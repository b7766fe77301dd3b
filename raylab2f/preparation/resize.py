"""Bring pictures and masks of any size to one size."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["FITS", "resize_mask", "resize_picture"]

FITS = ("stretch", "pad")


def resize_picture(picture: NDArray[np.uint8], size: tuple[int, int], fit: str) -> NDArray[np.uint8]:
    """A (H, W, 3) uint8 picture as (*size, 3); area-averaged when shrunk, bilinear when enlarged.

    Arguments:
        size: height and width in pixels.
        fit: `stretch`, or `pad`: keep the aspect, centre, fill with black.
    """
    height, width = _inner_size(picture.shape[:2], size, fit)
    shrinks = height * width < picture.shape[0] * picture.shape[1]
    resized = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    return _pad(np.asarray(resized, np.uint8), size)


def resize_mask(mask: NDArray[np.bool_], size: tuple[int, int], fit: str) -> NDArray[np.bool_]:
    """A (H, W) mask as `size`; shrunk, a pixel is true when any part of it was, so small defects survive."""
    if not mask.any():
        return np.zeros(size, bool)
    height, width = _inner_size(mask.shape, size, fit)
    shrinks = height * width < mask.shape[0] * mask.shape[1]
    source = mask.astype(np.float32)
    # The other nearest neighbour of OpenCV lies up to half a pixel beside the picture.
    method = cv2.INTER_AREA if shrinks else cv2.INTER_NEAREST_EXACT
    resized = cv2.resize(source, (width, height), interpolation=method)
    return np.asarray(_pad(np.asarray(resized), size) > 0)


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
