"""Variations of a texture: three of nine changes of colour and geometry."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["augment_texture"]

Picture = NDArray[np.uint8]
_CHOSEN = 3
_LEVELS = np.arange(256, dtype=np.float32)


def augment_texture(texture: Picture, generator: np.random.Generator) -> Picture:
    """Apply three different ones of the nine changes of the published code, in random order, to (H, W, 3) uint8 RGB."""
    for change in generator.choice(len(_CHANGES), size=_CHOSEN, replace=False):
        texture = _CHANGES[change](texture, generator)
    return texture


def _contrast(picture: Picture, generator: np.random.Generator) -> Picture:
    mean = cv2.mean(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY))[0]
    return _by_level(picture, mean + generator.uniform(0.8, 1.2) * (_LEVELS - mean))


def _brightness(picture: Picture, generator: np.random.Generator) -> Picture:
    return _by_level(picture, generator.uniform(0.8, 1.2) * _LEVELS)


def _colour(picture: Picture, generator: np.random.Generator) -> Picture:
    grey = cv2.cvtColor(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    saturation = generator.uniform(0.8, 1.2)
    hsv = cv2.cvtColor(cv2.addWeighted(picture, saturation, grey, 1 - saturation, 0), cv2.COLOR_RGB2HSV)
    # OpenCV's 8-bit hue runs from 0 to 179.
    turn = round(generator.uniform(-0.2, 0.2) * 180)
    hsv[..., 0] = (hsv[..., 0].astype(np.int16) + turn) % 180
    return np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB), np.uint8)


def _mirror(picture: Picture, generator: np.random.Generator) -> Picture:
    return np.asarray(cv2.flip(picture, 1), np.uint8)


def _upside_down(picture: Picture, generator: np.random.Generator) -> Picture:
    return np.asarray(cv2.flip(picture, 0), np.uint8)


def _grey(picture: Picture, generator: np.random.Generator) -> Picture:
    return np.asarray(cv2.cvtColor(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB), np.uint8)


def _autocontrast(picture: Picture, generator: np.random.Generator) -> Picture:
    """Stretch every channel to 0..255; one of a single value stays."""
    extremes = [cv2.minMaxLoc(channel)[:2] for channel in cv2.split(picture)]
    tables = [(_LEVELS - low) * (255 / (high - low)) if high > low else _LEVELS for low, high in extremes]
    return _by_level(picture, np.stack(tables, axis=-1))


def _equalise(picture: Picture, generator: np.random.Generator) -> Picture:
    return np.asarray(cv2.merge([cv2.equalizeHist(channel) for channel in cv2.split(picture)]), np.uint8)


def _rotate(picture: Picture, generator: np.random.Generator) -> Picture:
    height, width = picture.shape[:2]
    turn = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), generator.uniform(-45, 45), 1.0)
    return np.asarray(cv2.warpAffine(picture, turn, (width, height)), np.uint8)


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


def _by_level(picture: Picture, table: NDArray[np.floating]) -> Picture:
    """Replace every value v by `table[v]` (256,), or by `table[v, channel]` (256, 3), rounded and clipped to bytes."""
    bytes_ = np.clip(np.rint(table), 0, 255).astype(np.uint8)
    return np.asarray(cv2.LUT(picture, bytes_ if bytes_.ndim == 1 else bytes_[None]), np.uint8)
