"""Local anomalies: a texture laid over a nominal picture within a mask of Perlin noise."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from raylab2f.detectors.glass.texture_augmentation import augment_texture
from raylab2f.detectors.glass.textures import Textures

__all__ = ["LocalAnomaly", "draw_local_anomaly", "draw_mask", "perlin_noise"]

# Lattices of the noise have 2**0 to 2**5 cells along a side.
_EXPONENTS = 6
_NOISE_THRESHOLD = 0.5
_SHARE_BOUNDS = (0.2, 0.8)
_TRIES = 100


@dataclass(frozen=True)
class LocalAnomaly:
    """What is laid over a nominal picture x to imitate a defect: within the mask, share * x + (1 - share) * texture.

    Arguments:
        mask: (H, W) bool, at least one pixel true.
        patches: (h, w) bool, true where the mask touches the patch.
        texture: (H, W, 3) uint8 RGB.
        share: of the picture in the overlay (transparency), in [0.2, 0.8].
    """

    mask: NDArray[np.bool_]
    patches: NDArray[np.bool_]
    texture: NDArray[np.uint8]
    share: float


def draw_local_anomaly(
    foreground: NDArray[np.bool_] | None,
    textures: Textures,
    grid: tuple[int, int],
    generator: np.random.Generator,
    *,
    transparency_mean: float = 0.5,
    transparency_std: float = 0.1,
) -> LocalAnomaly:
    """Draw a local anomaly (section 3.4, equation 7).

    Arguments:
        foreground: (H, W), where anomalies may lie; `None`: anywhere.
        textures: of the pictures' size.
        grid: (h, w), the patch resolution.
        generator: all random draws.
        transparency_mean, transparency_std: of the normal distribution of the share, before it is clipped.
    """
    mask = draw_mask(textures.size, foreground, generator)
    texture = augment_texture(textures.load(int(generator.integers(len(textures)))), generator)
    share = float(np.clip(generator.normal(transparency_mean, transparency_std), *_SHARE_BOUNDS))
    return LocalAnomaly(mask, _any_in_patch(mask, grid), texture, share)


def draw_mask(
    size: tuple[int, int], foreground: NDArray[np.bool_] | None, generator: np.random.Generator
) -> NDArray[np.bool_]:
    """A (H, W) mask with at least one true pixel, inside the foreground: one thresholded Perlin noise, or the union or
    intersection of two, with equal probability. The foreground must not be empty.
    """
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


def perlin_noise(size: tuple[int, int], cells: tuple[int, int], generator: np.random.Generator) -> NDArray[np.float32]:
    """Gradient noise (Perlin, SIGGRAPH 1985), (H, W) in [-1, 1], on a lattice of `cells` (rows, columns).

    A lattice point's gradient g counts at a pixel at distance (dy, dx) with weight w(y) w(x) (g_y dy + g_x dx). Weights
    and distances depend on one axis each, so the sum over lattice points is a product of matrices.
    """
    angles = generator.uniform(0, 2 * np.pi, (cells[0] + 1, cells[1] + 1)).astype(np.float32)
    weight_y, moment_y = _lattice(size[0], cells[0])
    weight_x, moment_x = _lattice(size[1], cells[1])
    noise = (moment_y @ np.sin(angles)) @ weight_x.T + (weight_y @ np.cos(angles)) @ moment_x.T
    return np.asarray(np.float32(np.sqrt(2)) * noise)


def _blobs(size: tuple[int, int], generator: np.random.Generator) -> NDArray[np.bool_]:
    rows, columns = 2 ** generator.integers(0, _EXPONENTS, 2)
    noise = perlin_noise(size, (int(rows), int(columns)), generator)
    height, width = size
    turn = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), generator.uniform(-90, 90), 1.0)
    return np.asarray(cv2.warpAffine(noise, turn, (width, height)) > _NOISE_THRESHOLD)


@lru_cache(maxsize=4 * _EXPONENTS)
def _lattice(pixels: int, cells: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Along one axis, (pixels, cells + 1): each lattice point's weight at each pixel, and weight times distance."""
    place = np.arange(pixels) * (cells / pixels)
    distance = place[:, None] - np.arange(cells + 1)
    t = np.clip(1 - np.abs(distance), 0, 1)
    weight = t**3 * (t * (t * 6 - 15) + 10)
    return weight.astype(np.float32), (weight * distance).astype(np.float32)


def _any_in_patch(mask: NDArray[np.bool_], grid: tuple[int, int]) -> NDArray[np.bool_]:
    """Maximum over the pixels of each patch; patches are as equal as the sizes allow."""
    rows, columns = ((np.arange(count) * pixels) // count for count, pixels in zip(grid, mask.shape, strict=True))
    return np.asarray(np.logical_or.reduceat(np.logical_or.reduceat(mask, rows, axis=0), columns, axis=1))
