"""Alterations of prepared pictures: what a line, a camera or a file format does to them.

Every alteration is a function of picture, dose and random generator. The same generator state is given for all doses of
one picture, so that the doses differ in strength alone (the same direction of shift, the same noise pattern).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from raylab2f.preparation.rotation import rotate_picture

__all__ = ["ALTERATIONS", "BACKGROUND_ALTERATIONS", "Alteration", "alter", "black_background", "swap_background"]

Picture = NDArray[np.uint8]

#: Alterations of backgrounds need masks and other pictures, so they are functions of their own.
BACKGROUND_ALTERATIONS = ("background-swap", "background-black")


@dataclass(frozen=True)
class Alteration:
    """One kind of alteration.

    Arguments:
        noun: what it is called at the beginning of a sentence.
        unit: of the dose.
        doses: ascending in strength.
        everyday: up to this dose it happens on any line, unseen by its operators.
        apply: (picture, dose, generator) -> picture of the same shape.
        period: after which doses repeat; `None`: they do not.
    """

    noun: str
    unit: str
    doses: tuple[float, ...]
    everyday: float
    apply: Callable[[Picture, float, np.random.Generator], Picture]
    period: float | None = None

    def strength(self, dose: float) -> float:
        """How far a dose is from none: 270 degrees are a quarter turn."""
        return abs(dose) if self.period is None else min(dose % self.period, -dose % self.period)

    def describe(self, dose: float) -> str:
        """Such as `Rotation by 5 degrees`."""
        return f"{self.noun} of {dose:g} {self.unit}"


def alter(picture: Picture, alteration: str, dose: float, generator: np.random.Generator) -> Picture:
    """A picture (H, W, 3) altered; `alteration` is a key of `ALTERATIONS`."""
    return ALTERATIONS[alteration].apply(picture, dose, generator)


def black_background(picture: Picture, foreground: NDArray[np.bool_]) -> Picture:
    """The picture with all but the foreground (H, W) black."""
    return np.asarray(picture * foreground[..., None], np.uint8)


def swap_background(
    picture: Picture, foreground: NDArray[np.bool_], donor: Picture, donor_foreground: NDArray[np.bool_]
) -> Picture:
    """The picture's foreground before the donor's background; where the donor shows its own part, its background is
    continued from around.
    """
    hole = cv2.dilate(donor_foreground.astype(np.uint8), np.ones((5, 5), np.uint8))
    filled = cv2.inpaint(donor, hole, 3, cv2.INPAINT_TELEA)
    # A soft seam of a pixel: a hard one would be an edge that no picture has.
    cover = cv2.GaussianBlur(foreground.astype(np.float32), (0, 0), 0.7)[..., None]
    return np.asarray(np.rint(cover * picture + (1 - cover) * filled), np.uint8)


def _rotate(picture: Picture, degrees: float, generator: np.random.Generator) -> Picture:
    """About the centre: by quarter turns counter-clockwise, other angles either way, mirrored at the border."""
    sign = 1 if degrees % 90 == 0 or generator.random() < 0.5 else -1
    turned = rotate_picture(picture, sign * degrees, grow=False, reflect=True)
    if turned.shape == picture.shape:
        return turned
    return np.asarray(cv2.resize(turned, picture.shape[1::-1], interpolation=cv2.INTER_LINEAR), np.uint8)


def _shift(picture: Picture, percent: float, generator: np.random.Generator) -> Picture:
    """In a random direction."""
    height, width = picture.shape[:2]
    angle = generator.uniform(0, 2 * math.pi)
    reach = percent / 100 * max(height, width)
    return _warp(picture, np.array([[1, 0, reach * math.cos(angle)], [0, 1, reach * math.sin(angle)]]))


def _scale(picture: Picture, percent: float, generator: np.random.Generator) -> Picture:
    """Larger or smaller."""
    height, width = picture.shape[:2]
    factor = 1 + percent / 100 if generator.random() < 0.5 else 1 / (1 + percent / 100)
    return _warp(picture, cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), 0.0, factor))


def _warp(picture: Picture, matrix: NDArray[Any]) -> Picture:
    height, width = picture.shape[:2]
    warped = cv2.warpAffine(picture, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
    return np.asarray(warped, np.uint8)


def _expose(picture: Picture, stops: float, generator: np.random.Generator) -> Picture:
    """More or less light, and what is brighter than white is lost."""
    light = np.power(picture.astype(np.float32) / 255, 2.2) * 2.0**stops
    return np.asarray(np.rint(255 * np.power(np.clip(light, 0, 1), 1 / 2.2)), np.uint8)


def _brighten(picture: Picture, stops: float, generator: np.random.Generator) -> Picture:
    """Brighter or darker."""
    return _expose(picture, stops if generator.random() < 0.5 else -stops, generator)


def _overexpose(picture: Picture, stops: float, generator: np.random.Generator) -> Picture:
    """Too much light, and highlights bleed."""
    light = np.power(picture.astype(np.float32) / 255, 2.2) * 2.0**stops
    bleed = cv2.GaussianBlur(np.clip(light - 1, 0, 2), (0, 0), 0.012 * max(picture.shape[:2]))
    return np.asarray(np.rint(255 * np.power(np.clip(light + 0.35 * bleed, 0, 1), 1 / 2.2)), np.uint8)


def _blur(picture: Picture, permille: float, generator: np.random.Generator) -> Picture:
    sigma = permille / 1000 * max(picture.shape[:2])
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma), np.uint8)


def _noise(picture: Picture, percent: float, generator: np.random.Generator) -> Picture:
    noise = generator.standard_normal(picture.shape, dtype=np.float32) * (percent / 100 * 255)
    return np.asarray(np.rint(np.clip(picture + noise, 0, 255)), np.uint8)


def _jpeg(picture: Picture, loss: float, generator: np.random.Generator) -> Picture:
    """Compressed with quality 100 - loss."""
    done, content = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, round(100 - loss)])
    if not done:
        raise RuntimeError("OpenCV could not encode a picture")
    decoded = np.asarray(cv2.imdecode(content, cv2.IMREAD_COLOR), np.uint8)
    return np.ascontiguousarray(decoded[..., ::-1])


ALTERATIONS: dict[str, Alteration] = {
    "rotation": Alteration("Rotation", "degrees", (1, 2, 5, 10, 90, 180, 270), 2, _rotate, period=360),
    "shift": Alteration("A shift", "% of the picture's side", (1, 2, 4, 8), 2, _shift),
    "scale": Alteration("A change of scale", "%", (1, 2, 5, 10), 2, _scale),
    "brightness": Alteration("A change of brightness", "stops", (0.1, 0.2, 0.5, 1.0), 0.1, _brighten),
    "overexposure": Alteration("Overexposure", "stops", (0.5, 1.0, 2.0), 0.0, _overexpose),
    "blur": Alteration("Blur", "thousandths of the picture's side", (2, 4, 8, 16), 2, _blur),
    "noise": Alteration("Sensor noise", "% of full scale", (0.5, 1, 2, 4), 0.5, _noise),
    "jpeg": Alteration("JPEG compression", "below quality 100", (10, 25, 50, 80), 10, _jpeg),
}
