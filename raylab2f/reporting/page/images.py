"""Pictures as they stand in a page: small, and as text."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = ["figure_uri", "map_uri", "outline_uri", "picture_uri"]

_EDGE, _MAP_EDGE, _FIGURE_WIDTH = 224, 64, 1100
_QUALITY = 78
_LEVELS = 24


def picture_uri(picture: NDArray[np.uint8]) -> str:
    """An (H, W, 3) picture, its longer edge at most 224 pixels."""
    return _webp(Image.fromarray(_shrunk(picture, _EDGE)))


def figure_uri(path: Path) -> str:
    """An image file of ours, at most 1,100 pixels wide."""
    with Image.open(path) as opened:
        image = opened.convert("RGB")
        if image.width > _FIGURE_WIDTH:
            image = image.resize((_FIGURE_WIDTH, round(image.height * _FIGURE_WIDTH / image.width)))
        return _webp(image)


def map_uri(values: NDArray[np.floating], low: float, high: float) -> str:
    """An (h, w) anomaly map as a layer that lies over its picture: clear at `low` and below, strongest at `high`."""
    values = _shrunk(np.asarray(values, np.float32), _MAP_EDGE)
    share = np.clip((values - low) / max(high - low, 1e-30), 0, 1)
    index = np.nan_to_num(share * (_LEVELS - 1)).round().astype(np.uint8)
    steps = np.linspace(0, 1, _LEVELS)
    # From yellow to a deep red, as heat is drawn everywhere; what is weak is also transparent.
    colours = np.stack([255 - 75 * steps**2, 215 * (1 - steps) ** 0.8, 40 * steps], axis=1).round().astype(np.uint8)
    return _palette(index, colours, (205 * steps**0.7).round().astype(np.uint8))


def outline_uri(mask: NDArray[np.bool_]) -> str | None:
    """The border of an (H, W) mask as a layer that lies over its picture; `None` where nothing is marked."""
    if not mask.any():
        return None
    scale = min(_EDGE / max(mask.shape), 1)
    size = (max(round(mask.shape[1] * scale), 1), max(round(mask.shape[0] * scale), 1))
    small = cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0
    inner = cv2.erode(small.astype(np.uint8), np.ones((3, 3), np.uint8), borderValue=0).astype(bool)
    border = (small & ~inner).astype(np.uint8)
    return _palette(border, np.array([[0, 0, 0], [0, 255, 214]], np.uint8), np.array([0, 255], np.uint8))


def _shrunk(array: NDArray, edge: int) -> NDArray:
    scale = edge / max(array.shape[:2])
    if scale >= 1:
        return array
    size = (max(round(array.shape[1] * scale), 1), max(round(array.shape[0] * scale), 1))
    return cv2.resize(array, size, interpolation=cv2.INTER_AREA)


def _webp(image: Image.Image) -> str:
    file = io.BytesIO()
    image.save(file, "WEBP", quality=_QUALITY)
    return _uri("webp", file)


def _palette(index: NDArray[np.uint8], colours: NDArray[np.uint8], opacity: NDArray[np.uint8]) -> str:
    image = Image.fromarray(index, "P")
    image.putpalette(colours.tobytes())
    file = io.BytesIO()
    image.save(file, "PNG", transparency=opacity.tobytes(), optimize=True)
    return _uri("png", file)


def _uri(kind: str, file: io.BytesIO) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(file.getvalue()).decode('ascii')}"
