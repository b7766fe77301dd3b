"""From light to a picture file: lens, exposure, sensor, encoding."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
from numpy.typing import NDArray

from raylab2f.datasets.demo.config import DemoConfig
from raylab2f.datasets.demo.fields import Field

__all__ = ["Shot", "develop", "draw_shot", "encode"]


@dataclasses.dataclass(frozen=True)
class Shot:
    """How one picture was taken: exposure in stops, blur in pixels, white balance (3,), the seed of its noise."""

    stops: float
    blur: float
    white: Field
    noise: np.random.Generator


def draw_shot(config: DemoConfig, rng: np.random.Generator) -> Shot:
    """Exposure, focus and white balance of one picture, before any planted shift."""
    return Shot(
        stops=config.exposure_mean + config.exposure_spread * float(rng.standard_normal()),
        blur=config.blur / 1000.0 * config.picture_size * float(rng.uniform(0.7, 1.3)),
        white=(1.0 + 0.015 * rng.standard_normal(3)).astype(np.float32),
        noise=rng,
    )


def develop(radiance: Field, shot: Shot, noise: float, *, shift: float = 0.0) -> NDArray[np.uint8]:
    """An RGB picture (H, W, 3) of linear radiance (H, W, 3).

    Arguments:
        noise: standard deviation at mid-grey; it grows with the square root of the light, with a floor from readout.
        shift: stops added to the shot's exposure.
    """
    size = radiance.shape[0]
    light = radiance * (shot.white * 2.0 ** (shot.stops + shift))
    # Blown highlights bleed, as in a cheap lens.
    glow = cv2.GaussianBlur(np.clip(light - 0.85, 0.0, 2.0), (0, 0), 0.012 * size)
    light = light + 0.35 * glow
    if shot.blur > 0.0:
        light = cv2.GaussianBlur(light, (0, 0), shot.blur)
    light *= _vignette(size)
    if noise > 0.0:
        # 0.18 is mid-grey; a third of the variance there is readout noise.
        sigma = noise * np.sqrt(0.33 + 0.67 * np.clip(light, 0.0, 1.0) / 0.18) * 0.33
        light += sigma * shot.noise.standard_normal(light.shape, dtype=np.float32)
    encoded = np.power(np.clip(light, 0.0, 1.0), np.float32(1.0 / 2.2))
    return np.asarray(np.rint(255.0 * encoded), dtype=np.uint8)


def encode(picture: NDArray[np.uint8], jpeg_quality: int | None) -> bytes:
    """File content of an RGB (H, W, 3) or grey (H, W) picture: JPEG of the given quality, or PNG for None."""
    pixels = picture[..., ::-1] if picture.ndim == 3 else picture
    if jpeg_quality is None:
        done, content = cv2.imencode(".png", np.ascontiguousarray(pixels), [cv2.IMWRITE_PNG_COMPRESSION, 4])
    else:
        done, content = cv2.imencode(".jpg", np.ascontiguousarray(pixels), [cv2.IMWRITE_JPEG_QUALITY, jpeg_quality])
    if not done:
        raise RuntimeError("OpenCV could not encode a rendered picture")
    return bytes(content)


def _vignette(size: int) -> Field:
    axis = np.linspace(-1.0, 1.0, size, dtype=np.float32)
    square = axis[:, None] ** 2 + axis[None, :] ** 2
    return np.asarray((1.0 - 0.16 * square)[..., None], dtype=np.float32)
