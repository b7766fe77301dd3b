"""Rays through the tripod camera's pixels to the part on the turntable, its mirror image and its shadow.

World axes: X to the right, Y away from the camera, Z up; the plate is Z = 0. The part's two-sided thickness field
floats with its parting plane at height `rest`, so that its thickest spot touches the plate.
"""

from __future__ import annotations

import dataclasses
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from raylab2f.datasets.demo.fields import Field
from raylab2f.datasets.demo.geometry import MAP_SIZE, VOID

__all__ = ["Hits", "Pose", "Rays", "camera_rays", "first_hits", "map_pixels", "mirrored", "shadow"]

_TILT = np.deg2rad(27.0)  # of the optical axis off the vertical
_DISTANCE = 5.0  # of the camera from the turntable's centre
_FIELD = 1.98  # width of what the picture shows at the turntable's centre


@dataclasses.dataclass(frozen=True)
class Rays:
    """A straight line per pixel: (x, y) at height z is (x0 + z * dx, y0 + z * dy); all of shape (H, W).

    `rising` says which way they are walked.
    """

    x0: Field
    y0: Field
    dx: Field
    dy: Field
    rising: bool = False


@dataclasses.dataclass(frozen=True)
class Pose:
    """Where the part lies: turned by `angle` (radians, about Z), shifted by (x, y)."""

    angle: float
    x: float
    y: float


@dataclasses.dataclass(frozen=True)
class Hits:
    """First contact of rays with the part: `found` (H, W) and the contact's height `z` (0 where none)."""

    found: NDArray[np.bool_]
    z: Field


@lru_cache(maxsize=4)
def camera_rays(size: int) -> Rays:
    """The fixed camera's rays for a square picture of `size` pixels; do not write into the arrays."""
    axis = ((np.arange(size) + 0.5) / size - 0.5) * (_FIELD / _DISTANCE)
    right, down = np.meshgrid(axis, axis)
    sin, cos = np.sin(_TILT), np.cos(_TILT)
    # forward = (0, sin, -cos), picture-up = (0, cos, sin)
    along_x, along_y, along_z = right, sin - down * cos, -cos - down * sin
    eye_y, eye_z = -_DISTANCE * sin, _DISTANCE * cos
    dx, dy = along_x / along_z, along_y / along_z
    fields = (-eye_z * dx, eye_y - eye_z * dy, dx, dy)
    return Rays(*(field.astype(np.float32) for field in fields))


def mirrored(rays: Rays) -> Rays:
    """The rays after the plate has reflected them: they go on and rise again."""
    return Rays(rays.x0, rays.y0, -rays.dx, -rays.dy, rising=True)


def map_pixels(pose: Pose, x: Field, y: Field) -> tuple[Field, Field]:
    """Pixel coordinates on the part's maps of world positions."""
    cos, sin = np.float32(np.cos(pose.angle)), np.float32(np.sin(pose.angle))
    half = np.float32(MAP_SIZE / 2)
    px, py = x - np.float32(pose.x), y - np.float32(pose.y)
    return (px * cos + py * sin) * half + (half - 0.5), (py * cos - px * sin) * half + (half - 0.5)


def first_hits(thickness: Field, rest: float, rays: Rays, pose: Pose, heights: Field) -> Hits:
    """Walk along the rays through `heights` (in the order given) until inside the part, then bisect linearly."""
    at_x, at_y = map_pixels(pose, rays.x0, rays.y0)
    turned = Pose(pose.angle, 0.0, 0.0)
    step_x, step_y = map_pixels(turned, rays.dx, rays.dy)
    offset = np.float32(MAP_SIZE / 2 - 0.5)
    step_x, step_y = step_x - offset, step_y - offset

    found = np.zeros(rays.x0.shape, dtype=bool)
    contact = np.zeros(rays.x0.shape, dtype=np.float32)
    gap_before = np.full(rays.x0.shape, 1.0, dtype=np.float32)
    z_before = heights[0]
    for z in heights:
        material = _lookup(thickness, at_x + step_x * z, at_y + step_y * z)
        gap = abs(z - rest) - material
        new = (gap < 0.0) & ~found
        share = gap_before / (gap_before - gap + 1e-9)
        np.copyto(contact, z_before + share * (z - z_before), where=new)
        found |= new
        gap_before, z_before = np.maximum(gap, 0.0), z
    return Hits(found, contact)


def shadow(thickness: Field, rest: float, x: Field, y: Field, z: Field, towards: Field, pose: Pose) -> Field:
    """Share of the flash's light that reaches world positions, 0 to 1; soft, for the flash has a breadth.

    Arguments:
        towards: unit vector to the flash, shape (3,).
    """
    blocked = np.zeros(x.shape, dtype=np.float32)
    for distance in np.linspace(0.03, 0.45, 9, dtype=np.float32):
        px, py = map_pixels(pose, x + distance * towards[0], y + distance * towards[1])
        depth = _lookup(thickness, px, py) - np.abs(z + distance * towards[2] - rest)
        np.maximum(blocked, depth / (0.12 * distance + 0.01), out=blocked)
    return np.asarray(1.0 - np.clip(blocked, 0.0, 1.0), dtype=np.float32)


def _lookup(thickness: Field, x: Field, y: Field) -> Field:
    return np.asarray(
        cv2.remap(thickness, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=VOID),
        dtype=np.float32,
    )
