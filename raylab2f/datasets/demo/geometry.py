"""The shape of a coupling link's half: a C-shaped bow that ends in two lugs with pin holes.

The part lies flat. It is mirror-symmetric about the die's parting plane, so one field holds all of it: the
half-thickness over the plane, negative where there is no material. Lengths are in units of half the map's side; the
map covers [-1, 1] x [-1, 1] with the part's centre in the middle.
"""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np

from raylab2f.datasets.demo.fields import Field, coarse_noise, smooth_step

__all__ = ["MAP_SIZE", "VOID", "Link", "bow_points", "draw_link", "half_thickness", "map_coordinates"]

# Pixels along a map's side: a little finer than the pictures see it.
MAP_SIZE = 512
# Half-thickness where there is nothing: slightly below zero, so that interpolated edges stay sharp.
VOID = -0.04

_LETTERING = ("RAYLAB 10-8", "RAYLAB 10-8", "RAYLAB 13-8")


@dataclasses.dataclass(frozen=True)
class Link:
    """Measures of one part; they differ between parts by forging tolerances."""

    radius: float  # of the bow's centre line
    opening: float  # half angle of the bow's arc, radians
    leg: float  # length of the straight legs between arc and lug centre
    crown_width: float  # half width of the bow at its crown
    leg_width: float  # half width of the legs
    thickness: float  # half-thickness of the bow
    lug_radius: float
    lug_thickness: float
    hole_radius: float
    lettering: str
    lettering_height: float
    skew: float  # radians by which the lettering is off centre

    @property
    def centre(self) -> tuple[float, float]:
        """Centre of the bow's arc on the map; the bow opens to +x."""
        return -0.04, 0.0

    def arc_end(self, side: int) -> tuple[float, float]:
        """Where the arc meets the leg of this side (+1 or -1)."""
        angle = np.pi - self.opening
        return (
            self.centre[0] + self.radius * float(np.cos(angle)),
            self.centre[1] + side * self.radius * float(np.sin(angle)),
        )

    def lug_centre(self, side: int) -> tuple[float, float]:
        """Centre of the lug on this side (+1 or -1); the leg runs to it tangentially from the arc."""
        x, y = self.arc_end(side)
        angle = np.pi - self.opening
        return x + self.leg * float(np.sin(angle)), y - side * self.leg * float(np.cos(angle))


def draw_link(rng: np.random.Generator) -> Link:
    """A part within forging tolerances: about 1 % on lengths, 2 % on thickness."""

    def around(value: float, spread: float) -> float:
        return float(value * (1.0 + spread * np.clip(rng.standard_normal(), -2.5, 2.5)))

    return Link(
        radius=around(0.50, 0.008),
        opening=around(1.80, 0.01),
        leg=around(0.40, 0.015),
        crown_width=around(0.175, 0.015),
        leg_width=around(0.128, 0.015),
        thickness=around(0.135, 0.015),
        lug_radius=around(0.195, 0.012),
        lug_thickness=around(0.115, 0.02),
        hole_radius=around(0.082, 0.015),
        lettering=_LETTERING[int(rng.integers(len(_LETTERING)))],
        lettering_height=around(0.019, 0.12),
        skew=float(rng.normal(0.0, 0.01)),
    )


def map_coordinates() -> tuple[Field, Field]:
    """x and y of every map pixel's centre, shape (MAP_SIZE, MAP_SIZE)."""
    axis = ((np.arange(MAP_SIZE) + 0.5) * (2.0 / MAP_SIZE) - 1.0).astype(np.float32)
    x, y = np.meshgrid(axis, axis)
    return x, y


def half_thickness(link: Link, rng: np.random.Generator) -> Field:
    """Half-thickness of the forged blank with lettering and parting flash, VOID outside.

    `rng` draws how raggedly the flash at the parting line was trimmed.
    """
    x, y = map_coordinates()
    cx, cy = link.centre
    r = np.hypot(x - cx, y - cy)
    # 0 at the crown, +-opening where the legs begin
    angle = np.arctan2(y - cy, -(x - cx))
    along = np.clip(np.abs(angle) / link.opening, 0.0, 1.0)
    width = link.crown_width + (link.leg_width - link.crown_width) * smooth_step(0.2, 1.0, along)
    offset = np.where(np.abs(angle) <= link.opening, np.abs(r - link.radius) / width, 9.0)
    lugs = np.full_like(x, 9.0)
    holes = np.full_like(x, 9.0)
    for side in (-1, 1):
        offset = np.minimum(offset, _leg_offset(link, side, x, y))
        lx, ly = link.lug_centre(side)
        from_lug = np.hypot(x - lx, y - ly)
        lugs = np.minimum(lugs, from_lug / link.lug_radius)
        holes = np.minimum(holes, from_lug - link.hole_radius)

    bow = link.thickness * _superellipse(offset, 2.5)
    lug = link.lug_thickness * _superellipse(lugs, 5.0)
    # A high norm instead of a maximum leaves a forging fillet where leg and lug meet.
    body = np.power(bow**6 + lug**6, 1.0 / 6.0)
    letters = _lettering(link, r, angle)
    body = body + link.lettering_height * letters * smooth_step(0.03, 0.08, body)

    ragged = 0.035 + 0.02 * coarse_noise(rng, MAP_SIZE, 24)
    flash = np.minimum(offset, lugs) < 1.0 + ragged
    body = np.maximum(body, np.where(flash, 0.016, 0.0))
    chamfer = link.lug_thickness * (0.72 + 0.28 * holes / 0.03)
    body = np.where(holes < 0.03, np.minimum(body, chamfer), body)
    return np.where((body > 1e-4) & (holes > 0.0), body, VOID).astype(np.float32)


def bow_points(link: Link, count: int, rng: np.random.Generator) -> Field:
    """Random spots on the part's upper side as rows (x, y, direction of the centre line), shape (count, 3)."""
    spots = np.empty((count, 3), dtype=np.float32)
    arc, leg = link.opening * link.radius, link.leg
    for spot in spots:
        position = rng.uniform(0.0, arc + 0.85 * leg)
        side = int(rng.choice((-1, 1)))
        across = rng.uniform(-0.55, 0.55)
        if position < arc:
            angle = position / link.radius
            width = link.crown_width + (link.leg_width - link.crown_width) * angle / link.opening
            distance = link.radius + across * width
            spot[0] = link.centre[0] - distance * np.cos(angle)
            spot[1] = link.centre[1] + side * distance * np.sin(angle)
            spot[2] = side * (np.pi / 2 - angle)
        else:
            (x0, y0), (x1, y1) = link.arc_end(side), link.lug_centre(side)
            share = (position - arc) / leg
            heading = np.arctan2(y1 - y0, x1 - x0)
            spot[0] = x0 + share * (x1 - x0) - across * link.leg_width * np.sin(heading)
            spot[1] = y0 + share * (y1 - y0) + across * link.leg_width * np.cos(heading)
            spot[2] = heading
    return spots


def _superellipse(offset: Field, exponent: float) -> Field:
    inside = np.clip(1.0 - np.power(np.minimum(offset, 1.0), exponent), 0.0, 1.0)
    return np.asarray(np.power(inside, 1.0 / exponent), dtype=np.float32)


def _leg_offset(link: Link, side: int, x: Field, y: Field) -> Field:
    """Distance from the leg's centre line over its half width."""
    (x0, y0), (x1, y1) = link.arc_end(side), link.lug_centre(side)
    dx, dy = (x1 - x0) / link.leg, (y1 - y0) / link.leg
    along = (x - x0) * dx + (y - y0) * dy
    beyond = along - np.clip(along, 0.0, link.leg)
    # Nothing before the arc's end: there the arc itself goes on.
    distance = np.where(along < -1e-3, 9.0, np.hypot(beyond, (y - y0) * dx - (x - x0) * dy))
    return np.asarray(distance / link.leg_width, dtype=np.float32)


def _lettering(link: Link, r: Field, angle: Field) -> Field:
    """Raised letters along the crown, 0 to 1."""
    scale, height = 330.0, 72
    font, size, stroke = cv2.FONT_HERSHEY_DUPLEX, 1.7, 7
    (width, text_height), _ = cv2.getTextSize(link.lettering, font, size, stroke)
    strip = np.zeros((height, width + 16), dtype=np.uint8)
    cv2.putText(strip, link.lettering, (8, (height + text_height) // 2), font, size, 255, stroke, cv2.LINE_AA)
    u = (strip.shape[1] / 2 + (angle + link.skew) * link.radius * scale).astype(np.float32)
    v = (height / 2 - (r - link.radius) * scale).astype(np.float32)
    blurred = cv2.GaussianBlur(strip, (0, 0), 1.6)
    letters = cv2.remap(blurred, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    return np.asarray(letters.astype(np.float32) / 255.0)
