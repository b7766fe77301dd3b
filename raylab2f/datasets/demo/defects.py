"""Defects as changes of a part's surface: dents, deeper deformations, scratches."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np

from raylab2f.datasets.demo.fields import Field, coarse_noise, smooth_step
from raylab2f.datasets.demo.geometry import MAP_SIZE, VOID, Link, bow_points, map_coordinates
from raylab2f.datasets.demo.surface import Surface, polyline

__all__ = ["Defect", "add_defect"]


@dataclasses.dataclass(frozen=True)
class Defect:
    """A damaged surface and where the damage lies: `footprint` in [0, 1], shape (MAP_SIZE, MAP_SIZE)."""

    kind: str
    surface: Surface
    footprint: Field


def add_defect(surface: Surface, link: Link, kind: str, size: float, rng: np.random.Generator) -> Defect:
    """Damage a part once.

    Arguments:
        kind: one of `config.DEFECT_KINDS`.
        size: factor on length, width and depth.
        rng: draws place, direction and severity; severity spans about a factor of three.
    """
    damage = {"dent": _dent, "deformation": _deformation, "scratch": _scratch}[kind]
    return damage(surface, link, size, rng)


def _dent(surface: Surface, link: Link, size: float, rng: np.random.Generator) -> Defect:
    """One or two round to oval impressions with a raised lip, their ground smoothed by the blow."""
    x, y = map_coordinates()
    depth = np.zeros((MAP_SIZE, MAP_SIZE), dtype=np.float32)
    footprint = np.zeros_like(depth)
    spots = bow_points(link, 2, rng)[: int(rng.integers(1, 3))]
    for px, py, _ in spots:
        radius = size * rng.uniform(0.045, 0.09)
        steep = rng.uniform(0.28, 0.6)
        distance = _oval(x - px, y - py, rng.uniform(0.0, np.pi), rng.uniform(1.0, 1.7)) / radius
        bowl = smooth_step(1.0, 0.1, distance)
        lip = np.exp(-(((distance - 1.08) / 0.2) ** 2))
        depth += (steep * radius) * (bowl - 0.16 * lip)
        footprint = np.maximum(footprint, smooth_step(1.3, 1.1, distance))
    pressed = cv2.GaussianBlur(np.maximum(surface.thickness, 0.0), (0, 0), 2.0)
    thickness = surface.thickness + 0.6 * smooth_step(0.6, 1.0, footprint) * (pressed - surface.thickness)
    return _damaged(surface, "dent", thickness - depth, footprint, gloss=0.12 * footprint)


def _deformation(surface: Surface, link: Link, size: float, rng: np.random.Generator) -> Defect:
    """A blow with an edge: part of the bow is flattened or notched from the side, so the outline may change."""
    x, y = map_coordinates()
    (px, py, heading) = bow_points(link, 1, rng)[0]
    length, reach = size * rng.uniform(0.09, 0.17), size * rng.uniform(0.05, 0.10)
    tilt = heading + rng.normal(0.0, 0.5)
    along = (x - px) * np.cos(tilt) + (y - py) * np.sin(tilt)
    across = -(x - px) * np.sin(tilt) + (y - py) * np.cos(tilt)
    wobble = 1.0 + 0.15 * coarse_noise(rng, MAP_SIZE, 20)
    distance = np.sqrt((along / length) ** 2 + (across / reach) ** 2) * wobble
    depth = size * rng.uniform(0.02, 0.055) * smooth_step(1.0, 0.35, distance)
    bulge = size * 0.006 * np.exp(-(((distance - 1.1) / 0.2) ** 2))
    footprint = smooth_step(1.35, 1.1, distance)
    return _damaged(surface, "deformation", surface.thickness - depth + bulge, footprint, gloss=0.1 * footprint)


def _scratch(surface: Surface, link: Link, size: float, rng: np.random.Generator) -> Defect:
    """A thin groove, slightly bent, with bare metal at its bottom; from some sides the light does not find it."""
    px, py, heading = bow_points(link, 1, rng)[0]
    length, width = size * rng.uniform(0.11, 0.28), max(0.006, np.sqrt(size) * rng.uniform(0.016, 0.030))
    tilt = heading + rng.normal(0.0, 0.7)
    t = np.linspace(-1.0, 1.0, 24)
    bend = rng.normal(0.0, 0.15) * (1.0 - t**2)
    points = np.stack(
        [
            px + length * (t * np.cos(tilt) - bend * np.sin(tilt)),
            py + length * (t * np.sin(tilt) + bend * np.cos(tilt)),
        ],
        axis=1,
    ).astype(np.float32)
    # Torn in places: the tool skips over the blasted surface.
    torn = smooth_step(-1.6, -0.4, coarse_noise(rng, MAP_SIZE, 48))
    groove = polyline(points, width) * torn
    ridge = np.clip(polyline(points, 2.6 * width) - groove, 0.0, 1.0)
    depth = np.sqrt(size) * rng.uniform(0.008, 0.020)
    thickness = surface.thickness - depth * groove + 0.25 * depth * ridge
    bare = rng.uniform(0.10, 0.35)
    footprint = smooth_step(0.05, 0.3, polyline(points, 2.6 * width))
    return _damaged(surface, "scratch", thickness, footprint, gloss=0.35 * groove, tint=bare * groove)


def _damaged(
    surface: Surface, kind: str, thickness: Field, footprint: Field, gloss: Field, tint: Field | None = None
) -> Defect:
    inside = surface.thickness > 0.0
    # Metal may vanish at the edge, where the damage is deeper than the part is thick; none appears from nowhere.
    kept = inside & (thickness > 0.0)
    colours = surface.tint if tint is None else np.clip(surface.tint + tint[..., None], 0.0, 1.0)
    damaged = Surface(
        thickness=np.where(kept, thickness, VOID).astype(np.float32),
        tint=colours.astype(np.float32),
        gloss=np.clip(surface.gloss + gloss, 0.0, 1.0).astype(np.float32),
    )
    return Defect(kind, damaged, np.where(inside, footprint, 0.0).astype(np.float32))


def _oval(dx: Field, dy: Field, direction: float, stretch: float) -> Field:
    along = dx * np.cos(direction) + dy * np.sin(direction)
    across = -dx * np.sin(direction) + dy * np.cos(direction)
    return np.asarray(np.hypot(along / stretch, across), dtype=np.float32)
