"""Turn pictures and masks about their centre, counter-clockwise."""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["rotate_mask", "rotate_picture"]


def rotate_picture(picture: NDArray[np.uint8], angle: float, *, grow: bool, reflect: bool) -> NDArray[np.uint8]:
    """A (H, W, 3) picture turned by `angle` degrees.

    By multiples of 90 the frame turns along and no pixel is interpolated. By other angles the picture is interpolated
    bilinearly.

    Arguments:
        grow: enlarge the frame so that no corner is cut off; otherwise it keeps its size.
        reflect: mirror the picture at its border where the turned frame has no content; otherwise that is black.
    """
    if angle % 90 == 0:
        return _quarter_turns(picture, angle)
    return np.asarray(_rotate(picture, angle, grow, reflect), np.uint8)


def rotate_mask(mask: NDArray[np.bool_], angle: float, *, grow: bool, reflect: bool) -> NDArray[np.bool_]:
    """A (H, W) mask turned like its picture; a pixel is true when any part of it was, so small defects survive."""
    if angle % 90 == 0:
        return _quarter_turns(mask, angle)
    return np.asarray(_rotate(mask.astype(np.float32), angle, grow, reflect) > 0)


def _quarter_turns(array: NDArray[Any], angle: float) -> NDArray[Any]:
    return np.ascontiguousarray(np.rot90(array, int(angle // 90) % 4))


def _rotate(array: NDArray[Any], angle: float, grow: bool, reflect: bool) -> NDArray[Any]:
    height, width = array.shape[:2]
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), angle, 1.0)
    new_height, new_width = (_grown(height, width, angle)) if grow else (height, width)
    matrix[:, 2] += (new_width - width) / 2, (new_height - height) / 2
    border = cv2.BORDER_REFLECT_101 if reflect else cv2.BORDER_CONSTANT
    turned = cv2.warpAffine(array, matrix, (new_width, new_height), flags=cv2.INTER_LINEAR, borderMode=border)
    return np.asarray(turned)


def _grown(height: int, width: int, angle: float) -> tuple[int, int]:
    """Size of the frame that holds the turned picture."""
    sine, cosine = abs(math.sin(math.radians(angle))), abs(math.cos(math.radians(angle)))
    return math.ceil(width * sine + height * cosine), math.ceil(width * cosine + height * sine)
