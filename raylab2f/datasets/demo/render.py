"""One part, all its views: pictures, foregrounds and defect masks."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from raylab2f.datasets.demo.background import chalk_marks, draw_plate, plate_radiance, scatter_clutter
from raylab2f.datasets.demo.camera import develop, draw_shot
from raylab2f.datasets.demo.config import DemoConfig
from raylab2f.datasets.demo.defects import Defect, add_defect
from raylab2f.datasets.demo.fields import Field, sample
from raylab2f.datasets.demo.geometry import draw_link
from raylab2f.datasets.demo.lighting import Lights, Relief, draw_lights, relief, shade
from raylab2f.datasets.demo.surface import draw_surface
from raylab2f.datasets.demo.tracing import (
    Hits,
    Pose,
    Rays,
    camera_rays,
    first_hits,
    map_pixels,
    mirrored,
    shadow,
)
from raylab2f.seeding import numpy_generator

__all__ = ["DemoObject", "Rendering", "demo_objects", "render_object"]

# The scene is rendered this much finer than the picture and averaged down.
_OVERSAMPLING = 1.5
# A defect shows where it changes the displayed brightness by this much (of full scale, noise-free) ...
_VISIBLE_CONTRAST = 0.08
# ... and is visible in a picture when it shows on at least this share of the picture's area.
_VISIBLE_SHARE = 0.0006


@dataclasses.dataclass(frozen=True)
class DemoObject:
    """A part to be rendered: its id, its defect's kind ("good" without one), its given split ("train" or "test")."""

    object_id: str
    defect_type: str
    given_split: str


@dataclasses.dataclass(frozen=True)
class Rendering:
    """One picture of a part.

    picture: RGB uint8 (S, S, 3).
    foreground: bool (S, S), where the part is seen.
    mask: bool (S, S), where its defect shows; empty where light and angle hide it, or without a defect.
    """

    view: int
    pose: Pose
    picture: NDArray[np.uint8]
    foreground: NDArray[np.bool_]
    mask: NDArray[np.bool_]


def demo_objects(config: DemoConfig) -> list[DemoObject]:
    """All parts of a data set, nominal ones first; the last of the nominal ones are the given test split."""
    kept = config.nominal_objects - round(config.test_share * config.nominal_objects)
    objects = [
        DemoObject(f"nominal-{index:04d}", "good", "train" if index < kept else "test")
        for index in range(config.nominal_objects)
    ]
    for index in range(config.anomalous_objects):
        kind = config.defect_kinds[index % len(config.defect_kinds)]
        objects.append(DemoObject(f"anomalous-{index:04d}", kind, "test"))
    return objects


def render_object(config: DemoConfig, item: DemoObject) -> Iterator[Rendering]:
    """Render the views of one part, in the order of `config.view_angles`; depends on nothing but the arguments."""
    rng = numpy_generator(config.seed, "demo", item.object_id)
    link = draw_link(rng)
    surface = draw_surface(link, rng)
    rest = float(surface.thickness.max())
    clean, defect, damaged = relief(surface, rest), None, None
    if item.defect_type != "good":
        rng = numpy_generator(config.seed, "demo", item.object_id, "defect")
        defect = add_defect(surface, link, item.defect_type, config.defect_size, rng)
        damaged = relief(defect.surface, rest)
    for view in config.view_angles:
        yield _render_view(config, item, view, clean, defect, damaged)


def _render_view(
    config: DemoConfig, item: DemoObject, view: int, clean: Relief, defect: Defect | None, damaged: Relief | None
) -> Rendering:
    rng = numpy_generator(config.seed, "demo", item.object_id, view)
    jitter = config.angle_jitter * float(rng.uniform(-1.0, 1.0))
    pose = Pose(np.deg2rad(view + jitter), *(float(value) for value in rng.normal(0.0, 0.02, 2)))
    lights = draw_lights(rng)
    shot = draw_shot(config, rng)
    fine = round(config.picture_size * _OVERSAMPLING)
    rays = camera_rays(fine)
    plate = draw_plate(rng, fine)

    part = clean if damaged is None else damaged
    radiance, hits = _part_radiance(part, rays, pose, lights)
    foreground = _shrink(hits.found.astype(np.float32), config.picture_size) >= 0.5
    mask = np.zeros_like(foreground)
    if defect is not None:
        intact, _ = _part_radiance(clean, rays, pose, lights)
        mask = foreground & _visible(radiance, intact, defect, hits, rays, pose, config.picture_size)

    lit = shadow(part.surface.thickness, part.rest, rays.x0, rays.y0, np.zeros_like(rays.x0), lights.flash, pose)
    scene = plate_radiance(plate, rays, pose.angle, lit)
    scene += plate.polish * _mirror_image(part, rays, pose, lights)
    free = ~hits.found
    # A branch of its own: clutter may be turned without changing anything else that is drawn.
    scatter_clutter(scene, config.clutter, free, numpy_generator(config.seed, "demo", item.object_id, view, "clutter"))
    if mask.any():
        branch = numpy_generator(config.seed, "demo", item.object_id, view, "label clutter")
        if branch.random() < config.label_clutter:
            chalk_marks(scene, free, branch)
    scene = np.where(hits.found[..., None], radiance, scene)

    shift = config.exposure_shift_anomalous if mask.any() else 0.0
    shift += config.exposure_shift_test if item.given_split == "test" else 0.0
    picture = develop(_shrink(scene, config.picture_size), shot, config.noise, shift=shift)
    return Rendering(view, pose, picture, foreground, mask)


def _part_radiance(part: Relief, rays: Rays, pose: Pose, lights: Lights) -> tuple[Field, Hits]:
    heights = np.linspace(2.0 * part.rest + 0.012, 0.0, 30, dtype=np.float32)
    hits = first_hits(part.surface.thickness, part.rest, rays, pose, heights)
    return shade(part, hits, rays, pose, lights), hits


def _mirror_image(part: Relief, rays: Rays, pose: Pose, lights: Lights) -> Field:
    """What the plate mirrors of the part; the plate is not flat enough for a sharp image, so half resolution serves."""
    half = Rays(rays.x0[::2, ::2], rays.y0[::2, ::2], rays.dx[::2, ::2], rays.dy[::2, ::2])
    heights = np.linspace(0.0, 2.0 * part.rest, 12, dtype=np.float32)
    upward = mirrored(half)
    hits = first_hits(part.surface.thickness, part.rest, upward, pose, heights)
    image = shade(part, hits, upward, pose, lights, shadows=False)
    fade = np.exp(-hits.z / 0.16)[..., None]
    size = rays.x0.shape[0]
    image = cv2.GaussianBlur(image * fade, (0, 0), 0.005 * size)
    return np.asarray(cv2.resize(image, (size, size), interpolation=cv2.INTER_LINEAR), dtype=np.float32)


def _visible(
    damaged: Field, intact: Field, defect: Defect, hits: Hits, rays: Rays, pose: Pose, size: int
) -> NDArray[np.bool_]:
    """Where the defect shows: inside its footprint and brighter or darker than the same part without it would be."""
    display = [np.power(np.clip(_shrink(image, size), 0.0, 1.0), 1.0 / 2.2) for image in (damaged, intact)]
    contrast = cv2.GaussianBlur(np.abs(display[0] - display[1]).max(axis=2), (0, 0), 1.0)
    x, y = map_pixels(pose, rays.x0 + rays.dx * hits.z, rays.y0 + rays.dy * hits.z)
    footprint = _shrink(sample(defect.footprint, x, y) * hits.found, size) > 0.3
    shows = footprint & (contrast > _VISIBLE_CONTRAST)
    if shows.sum() < _VISIBLE_SHARE * size * size:
        return np.zeros_like(shows)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))
    closed = cv2.morphologyEx(shows.astype(np.uint8), cv2.MORPH_CLOSE, kernel) > 0
    return np.asarray(closed & footprint)


def _shrink(image: Field, size: int) -> Field:
    return np.asarray(cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA), dtype=np.float32)
