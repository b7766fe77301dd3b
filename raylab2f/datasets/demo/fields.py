"""Random fields and blends that the renderer's other modules draw on."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["Field", "coarse_noise", "grain", "sample", "smooth_step"]

Field = NDArray[np.float32]


def grain(rng: np.random.Generator, size: int, wavelength: float) -> Field:
    """Isotropic band-limited noise, shape (size, size), mean 0, standard deviation about 1.

    A difference of two blurs of white noise: structures of about `wavelength` pixels dominate.
    """
    white = rng.standard_normal((size, size), dtype=np.float32)
    fine, coarse = (cv2.GaussianBlur(white, (0, 0), wavelength * factor) for factor in (0.2, 0.4))
    band = fine - coarse
    return np.asarray(band / (band.std() + 1e-12), dtype=np.float32)


def coarse_noise(rng: np.random.Generator, size: int, cells: int) -> Field:
    """Smooth noise with about `cells` humps along a side, shape (size, size), standard deviation about 1."""
    knots = rng.standard_normal((cells + 1, cells + 1), dtype=np.float32)
    field = cv2.resize(knots, (size, size), interpolation=cv2.INTER_CUBIC)
    return np.asarray(field / (field.std() + 1e-12), dtype=np.float32)


def smooth_step(low: float, high: float, x: Field) -> Field:
    """0 below `low`, 1 above `high`, a cubic in between; falling where low > high."""
    t = np.clip((x - low) / (high - low), 0.0, 1.0)
    return np.asarray(t * t * (3.0 - 2.0 * t), dtype=np.float32)


def sample(layer: Field, x: Field, y: Field) -> Field:
    """Bilinear samples of `layer` (h, w[, c]) at pixel coordinates x, y of one shape (H, W); edges repeat."""
    return np.asarray(cv2.remap(layer, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), dtype=np.float32)
