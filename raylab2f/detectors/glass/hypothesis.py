"""Which hypothesis on the nominal features' distribution fits a data set: the spectrogram rule."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["prefers_hypersphere"]

_SIDE = 289
_BLUR = 39
_BRIGHT = 170
_DENSITY = 0.21
_LEAST_RADIUS = 12
_LEAST_POINTS = 60


def prefers_hypersphere(mean_picture: NDArray[np.uint8]) -> bool:
    """Whether the hypersphere hypothesis is chosen; otherwise the manifold one.

    The rule looks at the spectrum of the blurred mean training picture. Where its strong frequencies fill a large and
    dense region, the nominal pictures are aligned and have structure, and their features lie around one centre.

    References:
        Chen et al., ECCV 2024, supplementary material; constants from the published code.

    Arguments:
        mean_picture: (H, W, 3) uint8 RGB mean of the training pictures.
    """
    resized = cv2.resize(mean_picture, (_SIDE, _SIDE))
    grey = cv2.blur(cv2.cvtColor(resized, cv2.COLOR_RGB2GRAY), (_BLUR, _BLUR))
    transform = np.fft.fftshift(cv2.dft(grey.astype(np.float32), flags=cv2.DFT_COMPLEX_OUTPUT))
    # Shifted over all axes, as published: swapping real and imaginary part leaves the magnitude as it is.
    with np.errstate(divide="ignore"):
        magnitude = 20 * np.log(cv2.magnitude(transform[:, :, 0], transform[:, :, 1]))
    rows, columns = np.nonzero(magnitude > _BRIGHT)
    if len(rows) == 0:
        return False
    center = _SIDE // 2
    dx, dy = np.abs(columns - center), np.abs(rows - center)
    radius = np.hypot(dx, dy).max()
    box = 4 * max(dx.max(), 1) * max(dy.max(), 1)
    all_rows, all_columns = np.indices((2 * _SIDE, 2 * _SIDE))
    disc = np.count_nonzero(np.hypot(all_columns - center, all_rows - center) <= radius)
    dense = len(rows) / box > _DENSITY or len(rows) / (disc + 1e-10) > _DENSITY
    return bool(dense and radius > _LEAST_RADIUS and len(rows) > _LEAST_POINTS)
