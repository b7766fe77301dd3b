"""Variations of a texture: three of nine changes of colour and geometry."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["augment_texture"]

Picture = NDArray[np.uint8]
_CHOSEN = 3


def augment_texture(texture: Picture, generator: np.random.Generator) -> Picture:
    """Apply three different ones of the nine changes of the published code, in random order, to (H, W, 3) uint8 RGB."""
    for change in generator.choice(len(_CHANGES), size=_CHOSEN, replace=False):
        texture = _CHANGES[change](texture, generator)
    return texture


def _contrast(picture: Picture, generator: np.random.Generator) -> Picture:
    mean = float(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).mean())
    factor = generator.uniform(0.8, 1.2)
    return _bytes(mean + factor * (picture.astype(np.float32) - mean))


def _brightness(picture: Picture, generator: np.random.Generator) -> Picture:
    return _bytes(generator.uniform(0.8, 1.2) * picture.astype(np.float32))


def _colour(picture: Picture, generator: np.random.Generator) -> Picture:
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32)[..., None]
    saturated = _bytes(grey + generator.uniform(0.8, 1.2) * (picture - grey))
    hsv = cv2.cvtColor(saturated, cv2.COLOR_RGB2HSV)
    # OpenCV's 8-bit hue runs from 0 to 179.
    turn = round(generator.uniform(-0.2, 0.2) * 180)
    hsv[..., 0] = (hsv[..., 0].astype(np.int16) + turn) % 180
    return np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB), np.uint8)


def _mirror(picture: Picture, generator: np.random.Generator) -> Picture:
    return picture[:, ::-1]


def _upside_down(picture: Picture, generator: np.random.Generator) -> Picture:
    return picture[::-1]


def _grey(picture: Picture, generator: np.random.Generator) -> Picture:
    return np.repeat(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)


def _autocontrast(picture: Picture, generator: np.random.Generator) -> Picture:
    low, high = (extreme(picture, axis=(0, 1)).astype(np.float32) for extreme in (np.min, np.max))
    spread = np.where(high > low, high - low, 255)
    return _bytes(np.where(high > low, (picture - low) * (255 / spread), picture))


def _equalise(picture: Picture, generator: np.random.Generator) -> Picture:
    channels = [cv2.equalizeHist(np.ascontiguousarray(picture[..., channel])) for channel in range(3)]
    return np.stack(channels, axis=2).astype(np.uint8)


def _rotate(picture: Picture, generator: np.random.Generator) -> Picture:
    height, width = picture.shape[:2]
    turn = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), generator.uniform(-45, 45), 1.0)
    return np.asarray(cv2.warpAffine(np.ascontiguousarray(picture), turn, (width, height)), np.uint8)


_CHANGES: tuple[Callable[[Picture, np.random.Generator], Picture], ...] = (
    _contrast,
    _brightness,
    _colour,
    _mirror,
    _upside_down,
    _grey,
    _autocontrast,
    _equalise,
    _rotate,
)


def _bytes(values: NDArray[np.floating]) -> Picture:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)
