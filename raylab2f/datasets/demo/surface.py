"""What forging and shot-blasting leave on the part: roughness, pits, scale, handling marks."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np

from raylab2f.datasets.demo.fields import Field, coarse_noise, grain, smooth_step
from raylab2f.datasets.demo.geometry import MAP_SIZE, VOID, Link, bow_points, half_thickness

__all__ = ["Surface", "draw_surface", "polyline"]


@dataclasses.dataclass(frozen=True)
class Surface:
    """One part's upper side as maps of shape (MAP_SIZE, MAP_SIZE[, 3]).

    thickness: half-thickness, `geometry.VOID` outside the part.
    tint: reflectance, red, green, blue in [0, 1].
    gloss: 0 shot-blasted matt to 1 burnished.
    """

    thickness: Field
    tint: Field
    gloss: Field


def draw_surface(link: Link, rng: np.random.Generator) -> Surface:
    """A nominal part: blasting texture, pits, oxide stains and harmless scuffs differ from part to part."""
    thickness = half_thickness(link, rng)
    inside = thickness > 0.0
    fine = grain(rng, MAP_SIZE, 6.0)
    relief = 0.0006 * fine + 0.0007 * grain(rng, MAP_SIZE, 13.0) + 0.003 * coarse_noise(rng, MAP_SIZE, 14)
    relief -= _pits(link, rng)

    scuffs = _scuffs(link, rng)
    stains = smooth_step(0.4, 2.2, coarse_noise(rng, MAP_SIZE, 9) + 0.35 * coarse_noise(rng, MAP_SIZE, 40))
    rust = 0.6 * smooth_step(0.9, 2.6, coarse_noise(rng, MAP_SIZE, 16))
    shade = 0.50 + 0.025 * fine + 0.03 * coarse_noise(rng, MAP_SIZE, 5)
    shade = shade * (1.0 - 0.28 * stains) + 0.10 * scuffs
    tone = np.asarray([0.97, 0.99, 1.02], dtype=np.float32) * rng.uniform(0.95, 1.05)
    browning = np.asarray([0.05, 0.20, 0.34], dtype=np.float32)
    tint = shade[..., None] * (tone - rust[..., None] * browning)

    # Blasting hits exposed faces alike, handling burnishes what stands proud.
    proud = thickness - cv2.GaussianBlur(thickness, (0, 0), 6.0)
    gloss = 0.18 + 25.0 * np.clip(proud, 0.0, 0.02) + 0.3 * scuffs + 0.06 * coarse_noise(rng, MAP_SIZE, 7)
    return Surface(
        thickness=np.where(inside, np.maximum(thickness + relief, 1e-3), VOID).astype(np.float32),
        tint=np.clip(tint, 0.02, 1.0).astype(np.float32),
        gloss=np.clip(gloss, 0.0, 1.0).astype(np.float32),
    )


def polyline(points: Field, width: float) -> Field:
    """A soft line through map coordinates (n, 2) of the given width (map units), 0 to 1, shape (MAP_SIZE, MAP_SIZE)."""
    canvas = np.zeros((MAP_SIZE, MAP_SIZE), dtype=np.uint8)
    # OpenCV takes fixed-point coordinates; 4 fractional bits keep thin lines from jumping between pixels.
    pixels = np.round(((points + 1.0) * (MAP_SIZE / 2) - 0.5) * 16).astype(np.int32)
    thick = max(1, round(width * MAP_SIZE / 2))
    cv2.polylines(canvas, [pixels.reshape(-1, 1, 2)], False, 255, thick, cv2.LINE_AA, 4)
    soft = cv2.GaussianBlur(canvas.astype(np.float32) / 255.0, (0, 0), 0.8)
    return np.asarray(soft, dtype=np.float32)


def _pits(link: Link, rng: np.random.Generator) -> Field:
    """Depth of a few scale pits: small, shallow, round; every part has them."""
    depth = np.zeros((MAP_SIZE, MAP_SIZE), dtype=np.float32)
    for x, y, _ in bow_points(link, int(rng.poisson(14)), rng):
        column, row = (int((value + 1.0) * MAP_SIZE / 2) for value in (x, y))
        radius = int(rng.integers(1, 4))
        cv2.circle(depth, (column, row), radius, float(rng.uniform(0.002, 0.006)), -1, cv2.LINE_8)
    return np.asarray(cv2.GaussianBlur(depth, (0, 0), 1.2), dtype=np.float32)


def _scuffs(link: Link, rng: np.random.Generator) -> Field:
    """Bright marks of parts rubbing on each other: no depth, hence no defect."""
    marks = np.zeros((MAP_SIZE, MAP_SIZE), dtype=np.float32)
    for x, y, _ in bow_points(link, int(rng.poisson(5)), rng):
        angle, length = rng.uniform(0.0, np.pi), rng.uniform(0.03, 0.12)
        reach = length * np.asarray([np.cos(angle), np.sin(angle)])
        place = np.asarray([x, y])
        points = np.asarray([place - reach, place + reach], dtype=np.float32)
        marks = np.maximum(marks, rng.uniform(0.2, 0.7) * polyline(points, rng.uniform(0.004, 0.012)))
    return marks
