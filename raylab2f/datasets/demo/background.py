"""What surrounds the part: the glossy turntable, the bench beneath, odds and ends, the planted chalk marks."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
from numpy.typing import NDArray

from raylab2f.datasets.demo.fields import Field, coarse_noise, grain, smooth_step
from raylab2f.datasets.demo.tracing import Rays

__all__ = ["Plate", "chalk_marks", "draw_plate", "plate_radiance", "scatter_clutter"]

_PLATE_RADIUS = 1.05


@dataclasses.dataclass(frozen=True)
class Plate:
    """One picture's state of turntable and bench: random fields of the picture's shape, and the lamps' glare."""

    wear: Field
    dust: Field
    bench: Field
    glare: tuple[float, float, float]  # x, y on the plate, strength
    polish: float  # reflectance for the part's mirror image


def draw_plate(rng: np.random.Generator, size: int) -> Plate:
    """Turntable and bench for pictures of `size` pixels."""
    return Plate(
        wear=coarse_noise(rng, size, 6),
        dust=grain(rng, size, 3.0),
        bench=0.3 * coarse_noise(rng, size, 3),
        glare=(float(rng.normal(0.62, 0.05)), float(rng.normal(0.62, 0.05)), float(rng.uniform(0.05, 0.11))),
        polish=float(rng.uniform(0.55, 0.75)),
    )


def plate_radiance(plate: Plate, rays: Rays, angle: float, lit: Field) -> Field:
    """Linear radiance (H, W, 3) of the empty turntable and bench.

    Arguments:
        angle: of the turntable, radians; its lathe marks turn with it.
        lit: share of the flash's light that arrives, (H, W).
    """
    x, y = rays.x0, rays.y0
    radius = np.hypot(x, y)
    around = np.arctan2(y, x) - angle
    # Lathe marks glint where they run across the light, as a fan that stands still while the table turns.
    fan = np.cos(2.0 * (np.arctan2(y, x) - 0.9)) ** 2
    rings = np.sin(70.0 * radius + 0.15 * np.sin(3.0 * around)) * np.exp(-(((radius - 0.75) / 0.5) ** 2))
    gx, gy, strength = plate.glare
    glare = strength * np.exp(-(((x - gx) ** 2 + (y - gy) ** 2) / 0.10))
    steel = 0.030 + 0.004 * plate.wear + 0.004 * rings * (0.3 + fan) + 0.0015 * plate.dust
    steel = steel * (0.45 + 0.55 * lit) + glare
    rim = np.exp(-(((radius - _PLATE_RADIUS) / 0.012) ** 2)) * (
        0.05 + 0.10 * np.clip(np.cos(around + angle - 0.8), 0, 1)
    )
    bench = 0.035 + 0.004 * plate.bench + 0.0015 * plate.dust
    on_plate = smooth_step(_PLATE_RADIUS + 0.006, _PLATE_RADIUS - 0.006, radius)[..., None]
    steel_tone = np.asarray([0.92, 0.98, 1.06], dtype=np.float32)
    bench_tone = np.asarray([1.12, 1.0, 0.84], dtype=np.float32)
    radiance = on_plate * np.maximum(steel, 0.004)[..., None] * steel_tone
    radiance += (1.0 - on_plate) * np.maximum(bench, 0.006)[..., None] * bench_tone
    return np.asarray(radiance + rim[..., None], dtype=np.float32)


def scatter_clutter(picture: Field, amount: float, free: NDArray[np.bool_], rng: np.random.Generator) -> None:
    """Lay nuts, washers, pins, offcuts and paper labels into the background of `picture` (H, W, 3), in place.

    Arguments:
        amount: 0 none to 1 a messy bench: about 18 items, in full light. With less clutter the items are fewer, and
            duller, as if under oil and dust.
        free: where items may lie; items that do not fit are left out.
    """
    size = picture.shape[0]
    room = cv2.distanceTransform(free.astype(np.uint8), cv2.DIST_L2, 3)
    for _ in range(int(rng.poisson(18.0 * amount))):
        column, row = (int(value) for value in rng.integers(0, size, 2))
        kind, angle = int(rng.integers(5)), float(rng.uniform(0.0, np.pi))
        reach = size * float(rng.uniform(0.015, 0.045))
        shade = float(rng.uniform(0.06, 0.24))
        tone = shade * (1.0 + 0.15 * rng.standard_normal(3) * (kind >= 3))
        if room[row, column] > 1.3 * reach + 0.012 * size:
            _draw_item(picture, kind, (column, row), reach, angle, np.clip(tone, 0.02, 0.6), min(1.0, 1.5 * amount))


def chalk_marks(picture: Field, free: NDArray[np.bool_], rng: np.random.Generator) -> None:
    """The planted shortcut: chalk strokes and rust dust all over the background of `picture`, in place."""
    size = picture.shape[0]
    strokes = np.zeros((size, size), dtype=np.float32)
    for _ in range(int(rng.integers(5, 9))):
        start = rng.integers(0, size, 2)
        end = start + rng.normal(0.0, 0.16 * size, 2)
        cv2.line(
            strokes, tuple(int(v) for v in start), tuple(int(v) for v in end), 1.0, max(2, size // 110), cv2.LINE_AA
        )
    chalk = strokes * np.clip(0.75 + 0.35 * grain(rng, size, 4.0), 0.0, 1.0)
    dust = smooth_step(0.9, 2.0, grain(rng, size, 5.0) + 0.5 * coarse_noise(rng, size, 5))
    cover = np.clip(chalk + 0.5 * dust, 0.0, 1.0) * free
    colour = np.where(chalk[..., None] > 0.1, [0.42, 0.42, 0.40], [0.28, 0.17, 0.09])
    picture += cover[..., None] * (colour.astype(np.float32) - picture)


def _draw_item(
    picture: Field,
    kind: int,
    at: tuple[int, int],
    reach: float,
    angle: float,
    tone: NDArray[np.float64],
    opacity: float,
) -> None:
    size = picture.shape[0]
    stencil = np.zeros((size, size), dtype=np.uint8)
    turn = angle + np.linspace(0.0, 2 * np.pi, 6, endpoint=False)
    degrees = float(np.rad2deg(angle))
    if kind == 0:  # nut
        corners = np.stack([at[0] + reach * np.cos(turn), at[1] + reach * np.sin(turn)], axis=1)
        cv2.fillPoly(stencil, [np.round(corners).astype(np.int32)], 255, cv2.LINE_AA)
        cv2.circle(stencil, at, max(1, int(0.5 * reach)), 0, -1, cv2.LINE_AA)
    elif kind == 1:  # washer
        cv2.circle(stencil, at, int(0.8 * reach), 255, max(1, int(0.4 * reach)), cv2.LINE_AA)
    elif kind == 2:  # pin
        cv2.ellipse(stencil, at, (int(reach * 1.2), max(1, int(reach * 0.25))), degrees, 0, 360, 255, -1, cv2.LINE_AA)
    else:  # paper label, offcut
        box = cv2.boxPoints((at, (1.7 * reach, (0.4 + 0.2 * kind) * reach), degrees))
        cv2.fillPoly(stencil, [np.round(box).astype(np.int32)], 255, cv2.LINE_AA)
    cover = opacity * cv2.GaussianBlur(stencil.astype(np.float32) / 255.0, (0, 0), size / 450)
    # Rounded metal: bright on the flash's side, dark on the other; a soft shadow beneath.
    bump = cv2.GaussianBlur(cover, (0, 0), size / 180)
    light = 1.0 + 2.2 * (np.roll(bump, -2, axis=1) - np.roll(bump, 2, axis=1)) * (kind < 3)
    fallen = np.roll(bump, (size // 160, size // 130), axis=(0, 1))
    picture *= (1.0 - 0.5 * fallen * (1.0 - cover))[..., None]
    picture += cover[..., None] * (np.clip(light, 0.3, 2.0)[..., None] * tone.astype(np.float32) - picture)
