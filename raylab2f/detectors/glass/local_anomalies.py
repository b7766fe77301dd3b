"""Local anomalies: a texture laid over a nominal picture within a mask of Perlin noise."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from raylab2f.detectors.glass.texture_augmentation import augment_texture
from raylab2f.detectors.glass.textures import Textures

__all__ = ["LocalAnomaly", "draw_mask", "make_local_anomaly", "perlin_noise"]

_LARGEST_EXPONENT = 6
_NOISE_THRESHOLD = 0.5
_TRIES = 100


@dataclass(frozen=True)
class LocalAnomaly:
    """A nominal picture with a local anomaly.

    Arguments:
        picture: (H, W, 3) float32 RGB in 0..255.
        mask: (h, w) bool at patch resolution, true where any pixel of the patch was changed.
    """

    picture: NDArray[np.float32]
    mask: NDArray[np.bool_]


def make_local_anomaly(
    picture: NDArray[np.uint8],
    foreground: NDArray[np.bool_] | None,
    textures: Textures,
    grid: tuple[int, int],
    generator: np.random.Generator,
    *,
    transparency_mean: float = 0.5,
    transparency_std: float = 0.1,
) -> LocalAnomaly:
    """Overlay a texture (section 3.4, equation 7).

    Arguments:
        picture: (H, W, 3) nominal RGB picture.
        foreground: (H, W), where anomalies may lie; `None`: anywhere.
        textures: of the picture's size.
        grid: (h, w), the patch resolution.
        generator: all random draws.
        transparency_mean, transparency_std: of the normal distribution of the picture's share in the overlay; draws are
            clipped to [0.2, 0.8].
    """
    mask = draw_mask(picture.shape[:2], foreground, generator)
    texture = augment_texture(textures.load(int(generator.integers(len(textures)))), generator)
    share = float(np.clip(generator.normal(transparency_mean, transparency_std), 0.2, 0.8))
    changed = picture.astype(np.float32)
    changed[mask] = share * changed[mask] + (1 - share) * texture[mask]
    return LocalAnomaly(changed, _any_in_patch(mask, grid))


def draw_mask(
    size: tuple[int, ...], foreground: NDArray[np.bool_] | None, generator: np.random.Generator
) -> NDArray[np.bool_]:
    """A (H, W) mask with at least one true pixel, inside the foreground: one thresholded Perlin noise, or the union or
    intersection of two, with equal probability.

    Raises:
        ValueError: the foreground is empty.
    """
    if foreground is not None and not foreground.any():
        raise ValueError("A foreground mask is empty: there is no object on which a defect could be imitated.")
    for _ in range(_TRIES):
        mask = _blobs(size, generator)
        kind = generator.integers(3)
        if kind == 1:
            mask |= _blobs(size, generator)
        elif kind == 2:
            mask &= _blobs(size, generator)
        if foreground is not None:
            mask &= foreground
        if mask.any():
            return mask
    # An object of a few pixels that no noise has met.
    return np.ones(size, bool) if foreground is None else foreground.copy()


def perlin_noise(
    size: tuple[int, ...], cells: tuple[int, int], generator: np.random.Generator
) -> NDArray[np.float32]:
    """Gradient noise (Perlin, SIGGRAPH 1985), (H, W) in about [-1, 1], on a lattice of `cells` (rows, columns)."""
    angles = generator.uniform(0, 2 * np.pi, (cells[0] + 1, cells[1] + 1))
    gradients = np.stack([np.sin(angles), np.cos(angles)]).astype(np.float32)
    (rows, dy), (columns, dx) = (_lattice(size[axis], cells[axis]) for axis in (0, 1))
    dy, dx = dy[:, None], dx[None, :]

    def corner(down: int, right: int) -> NDArray[np.float32]:
        at = gradients[:, rows[:, None] + down, columns[None, :] + right]
        return at[0] * (dy - down) + at[1] * (dx - right)

    fade_y, fade_x = _fade(dy), _fade(dx)
    top = corner(0, 0) + fade_x * (corner(0, 1) - corner(0, 0))
    bottom = corner(1, 0) + fade_x * (corner(1, 1) - corner(1, 0))
    return np.float32(np.sqrt(2)) * (top + fade_y * (bottom - top))


def _blobs(size: tuple[int, ...], generator: np.random.Generator) -> NDArray[np.bool_]:
    rows, columns = 2 ** generator.integers(0, _LARGEST_EXPONENT, 2)
    noise = perlin_noise(size, (int(rows), int(columns)), generator)
    height, width = size[:2]
    turn = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), generator.uniform(-90, 90), 1.0)
    return np.asarray(cv2.warpAffine(noise, turn, (width, height)) > _NOISE_THRESHOLD)


def _lattice(pixels: int, cells: int) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """The lattice cell of each pixel along an axis, and its place within the cell, from 0 to 1."""
    place = np.arange(pixels) * (cells / pixels)
    cell = np.minimum(place.astype(np.intp), cells - 1)
    return cell, (place - cell).astype(np.float32)


def _fade(t: NDArray[np.float32]) -> NDArray[np.float32]:
    return t * t * t * (t * (t * 6 - 15) + 10)


def _any_in_patch(mask: NDArray[np.bool_], grid: tuple[int, int]) -> NDArray[np.bool_]:
    """Maximum over the pixels of each patch; patches are as equal as the sizes allow."""
    rows, columns = ((np.arange(count) * pixels) // count for count, pixels in zip(grid, mask.shape, strict=True))
    return np.asarray(np.logical_or.reduceat(np.logical_or.reduceat(mask, rows, axis=0), columns, axis=1))
