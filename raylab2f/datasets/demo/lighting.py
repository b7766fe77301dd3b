"""Light on forged steel: a flash and its reflections, a soft box, and the dark room that the metal mirrors."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np

from raylab2f.datasets.demo.fields import Field, sample, smooth_step
from raylab2f.datasets.demo.geometry import MAP_SIZE
from raylab2f.datasets.demo.surface import Surface
from raylab2f.datasets.demo.tracing import Hits, Pose, Rays, map_pixels, shadow

__all__ = ["Lights", "Relief", "draw_lights", "relief", "shade"]


@dataclasses.dataclass(frozen=True)
class Lights:
    """Unit vectors towards flash and soft box, shape (3,), and their strengths."""

    flash: Field
    flash_strength: float
    soft_box: Field
    soft_box_strength: float


@dataclasses.dataclass(frozen=True)
class Relief:
    """A surface made ready for shading: slopes, gloss and cavity (H, W, 4), tint (H, W, 3), for any number of views."""

    surface: Surface
    layers: Field
    rest: float


def draw_lights(rng: np.random.Generator) -> Lights:
    """The lamps of one picture: mounted on the tripod, they move little, and the flash fires unevenly."""

    def unit(x: float, y: float, z: float, spread: float) -> Field:
        vector = np.asarray([x, y, z]) + spread * rng.standard_normal(3)
        return np.asarray(vector / np.linalg.norm(vector), dtype=np.float32)

    return Lights(
        flash=unit(-0.42, -0.32, 0.9, 0.025),
        flash_strength=float(1.0 + 0.06 * rng.standard_normal()),
        soft_box=unit(0.75, 0.45, 0.6, 0.02),
        soft_box_strength=float(1.0 + 0.05 * rng.standard_normal()),
    )


def relief(surface: Surface, rest: float) -> Relief:
    """Slopes and cavities of a surface; `rest` is the height at which its parting plane lies."""
    material = np.maximum(surface.thickness, 0.0)
    scale = MAP_SIZE / 2 / 8.0  # Sobel sums eight differences over one pixel each
    slope_x = cv2.Sobel(surface.thickness, cv2.CV_32F, 1, 0, ksize=3, scale=scale)
    slope_y = cv2.Sobel(surface.thickness, cv2.CV_32F, 0, 1, ksize=3, scale=scale)
    cavity = np.clip((cv2.GaussianBlur(material, (0, 0), 7.0) - material) / 0.03, 0.0, 1.0)
    layers = np.stack([slope_x, slope_y, surface.gloss, cavity], axis=-1).astype(np.float32)
    return Relief(surface, layers, rest)


def shade(part: Relief, hits: Hits, rays: Rays, pose: Pose, lights: Lights, *, shadows: bool = True) -> Field:
    """Linear radiance (H, W, 3) of the part where it was hit, 0 elsewhere; 1 is what the sensor takes at most."""
    picture = np.zeros((*hits.found.shape, 3), dtype=np.float32)
    if not hits.found.any():
        return picture
    x, y = rays.x0 + rays.dx * hits.z, rays.y0 + rays.dy * hits.z
    px, py = map_pixels(pose, x, y)
    found = hits.found
    slope_x, slope_y, gloss, cavity = sample(part.layers, px, py)[found].T
    tint = sample(part.surface.tint, px, py)[found]
    height = hits.z[found]

    # Below the parting plane the field's mirror image looks down.
    up = np.where(height >= part.rest - 1e-4, 1.0, -1.0).astype(np.float32)
    cos, sin = np.float32(np.cos(pose.angle)), np.float32(np.sin(pose.angle))
    length = 1.0 / np.sqrt(slope_x**2 + slope_y**2 + 1.0)
    nx, ny = -(slope_x * cos - slope_y * sin) * length, -(slope_x * sin + slope_y * cos) * length
    nz = up * length

    # Against the ray.
    dx, dy = rays.dx[found], rays.dy[found]
    norm = np.float32(-1.0 if rays.rising else 1.0) / np.sqrt(dx**2 + dy**2 + 1.0)
    vx, vy, vz = dx * norm, dy * norm, norm

    lit = shadow(part.surface.thickness, part.rest, x, y, hits.z, lights.flash, pose)[found] if shadows else 1.0
    flash, soft = lights.flash, lights.soft_box
    n_flash = np.maximum(nx * flash[0] + ny * flash[1] + nz * flash[2], 0.0)
    n_soft = np.maximum(nx * soft[0] + ny * soft[1] + nz * soft[2], 0.0)
    open_sky = (0.5 + 0.5 * nz) * (1.0 - 0.55 * cavity)

    hx, hy, hz = vx + flash[0], vy + flash[1], vz + flash[2]
    n_half = (nx * hx + ny * hy + nz * hz) / np.sqrt(hx**2 + hy**2 + hz**2)
    matt = _lobe(n_half, 0.34) * 0.13
    burnished = _lobe(n_half, 0.15) * 0.12 * gloss

    # What the metal mirrors: a dark plate below, a grey room above, the soft box as a broad bright patch.
    facing = 2.0 * (nx * vx + ny * vy + nz * vz)
    rx, ry, rz = facing * nx - vx, facing * ny - vy, facing * nz - vz
    room = 0.10 + 0.22 * smooth_step(-0.2, 0.9, rz)
    window = smooth_step(0.72, 0.97, rx * soft[0] + ry * soft[1] + rz * soft[2])
    mirrored = (0.4 + 0.6 * gloss) * (room + 0.75 * lights.soft_box_strength * window) * (1.0 - 0.5 * cavity)

    diffuse = 0.24 * lights.flash_strength * lit * n_flash + 0.12 * lights.soft_box_strength * n_soft + 0.09 * open_sky
    specular = lights.flash_strength * lit * (n_flash > 0.0) * (matt + burnished)
    picture[found] = tint * (diffuse + specular + 0.55 * mirrored)[:, None]
    return picture


def _lobe(n_half: Field, roughness: float) -> Field:
    """Normal distribution of Walter et al., "Microfacet models for refraction" (EGSR 2007), eq. 33 (GGX), times pi."""
    square = roughness**2
    n_half = np.clip(n_half, 0.0, 1.0)
    return np.asarray(square / (n_half**2 * (square - 1.0) + 1.0) ** 2, dtype=np.float32)
