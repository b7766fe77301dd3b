"""Bring pictures and masks of any size to one size."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from raylab2f.errors import UserError

__all__ = ["FITS", "Preparation", "prepare_mask", "prepare_picture"]

FITS = ("stretch", "pad")


@dataclass(frozen=True)
class Preparation:
    """What happens to every picture before any detector sees it.

    Arguments:
        size: height and width in pixels of the prepared picture.
        fit: `stretch` (as both publications do) or `pad`: keep the aspect, centre, fill with black.
    """

    size: tuple[int, int]
    fit: str = "stretch"

    def __post_init__(self) -> None:
        if self.fit not in FITS:
            raise UserError(f"--fit {self.fit}: choose one of {', '.join(FITS)}.")
        if min(self.size) < 16:
            raise UserError(f"--size {self.size[0]}x{self.size[1]} is too small; give at least 16x16 pixels.")

    def to_dict(self) -> dict[str, Any]:
        """JSON-able description, part of every store's address."""
        return {**asdict(self), "size": list(self.size)}


def prepare_picture(picture: NDArray[np.uint8], preparation: Preparation) -> NDArray[np.uint8]:
    """A (H, W, 3) uint8 picture as (*preparation.size, 3); area-averaged when shrunk, bilinear when enlarged."""
    height, width = _inner_size(picture.shape[:2], preparation)
    shrinks = height * width < picture.shape[0] * picture.shape[1]
    resized = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    return _pad(np.asarray(resized, np.uint8), preparation.size)


def prepare_mask(mask: NDArray[np.bool_], preparation: Preparation) -> NDArray[np.bool_]:
    """A (H, W) mask as `preparation.size`; a pixel is true when any part of it was, so small defects survive."""
    height, width = _inner_size(mask.shape, preparation)
    shrinks = height * width < mask.shape[0] * mask.shape[1]
    source = mask.astype(np.float32)
    resized = cv2.resize(source, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_NEAREST)
    return np.asarray(_pad(np.asarray(resized), preparation.size) > 0)


def _inner_size(shape: tuple[int, ...], preparation: Preparation) -> tuple[int, int]:
    height, width = preparation.size
    if preparation.fit == "stretch":
        return height, width
    factor = min(height / shape[0], width / shape[1])
    return max(1, round(shape[0] * factor)), max(1, round(shape[1] * factor))


def _pad(array: NDArray[Any], size: tuple[int, int]) -> NDArray[Any]:
    missing = size[0] - array.shape[0], size[1] - array.shape[1]
    before = missing[0] // 2, missing[1] // 2
    widths = [(before[0], missing[0] - before[0]), (before[1], missing[1] - before[1])]
    return np.pad(array, widths + [(0, 0)] * (array.ndim - 2))
