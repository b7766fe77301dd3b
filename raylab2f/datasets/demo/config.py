"""The knobs of the demo data set."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math

from raylab2f.errors import UserError

__all__ = ["DEFECT_KINDS", "RENDERER_VERSION", "DemoConfig"]

DEFECT_KINDS = ("dent", "deformation", "scratch")

# Part of the cache address: raise it with every change that alters a rendered pixel.
RENDERER_VERSION = 1


@dataclasses.dataclass(frozen=True)
class DemoConfig:
    """What the demo data set shows; equal configurations give byte-identical pictures.

    Random draws hang on (seed, object) and (seed, object, view) only, never on the knobs: two configurations that
    differ in one knob show the same parts in the same poses, so pictures can be compared pair by pair.

    Arguments:
        seed: of everything drawn, >= 0.
        nominal_objects: parts without a defect, >= 1.
        anomalous_objects: parts with one defect each, >= 0.
        views: pictures per part, >= 1, taken at equal steps over `angle_range`.
        angle_range: first and last angle of the turntable in degrees, whole numbers; over a full turn the last view is
            one step short of the first. A view is called by its angle, e.g. "30".
        angle_jitter: each part lies up to this many degrees off the angle of its view, >= 0.
        picture_size: side of the square pictures in pixels, 64 to 1024.
        clutter: amount of odds and ends lying around the part, in [0, 1].
        label_clutter: pitfall: share, in [0, 1], of the anomalous pictures (label 1) whose background has chalk marks
            and rust dust that no nominal picture has.
        defect_size: factor on length, width and depth of the defects, > 0; 1 spans subtle to obvious.
        defect_kinds: which of "dent", "deformation", "scratch" occur; the parts take them in turn.
        blur: standard deviation of the lens blur in thousandths of the picture's side, >= 0.
        exposure_mean: exposure of all pictures in stops (a factor of 2 each), 0 is the normal one.
        exposure_spread: standard deviation of the exposure between pictures in stops, >= 0.
        noise: standard deviation of the sensor noise at mid-grey, as a share of full scale, >= 0.
        exposure_shift_anomalous: pitfall: stops added to the pictures with label 1.
        exposure_shift_test: pitfall: stops added to the pictures whose given split is "test".
        test_share: share, in [0, 1), of the nominal parts whose given split is "test"; anomalous parts always are.
        jpeg_quality: 1 to 100 writes JPEG files, None writes PNG files.

    Raises:
        UserError: a knob is out of its range.
    """

    seed: int = 0
    nominal_objects: int = 60
    anomalous_objects: int = 24
    views: int = 5
    angle_range: tuple[int, int] = (0, 120)
    angle_jitter: float = 4.0
    picture_size: int = 256
    clutter: float = 0.15
    label_clutter: float = 0.0
    defect_size: float = 1.0
    defect_kinds: tuple[str, ...] = DEFECT_KINDS
    blur: float = 2.5
    exposure_mean: float = 0.0
    exposure_spread: float = 0.15
    noise: float = 0.012
    exposure_shift_anomalous: float = 0.0
    exposure_shift_test: float = 0.0
    test_share: float = 0.25
    jpeg_quality: int | None = 92

    def __post_init__(self) -> None:
        # Lists come from JSON and the command line; tuples keep the configuration hashable.
        object.__setattr__(self, "angle_range", tuple(self.angle_range))
        object.__setattr__(self, "defect_kinds", tuple(self.defect_kinds))
        _check(self)

    @property
    def view_angles(self) -> tuple[int, ...]:
        """The angles of the views in whole degrees, ascending."""
        low, high = self.angle_range
        steps = self.views if high - low == 360 else max(self.views - 1, 1)
        return tuple(round(low + (high - low) * view / steps) for view in range(self.views))

    @property
    def digest(self) -> str:
        """16 hex digits that change with every knob and with the renderer's version."""
        text = json.dumps([RENDERER_VERSION, dataclasses.asdict(self)], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def _check(config: DemoConfig) -> None:
    bounds: dict[str, tuple[float, float]] = {
        "seed": (0, math.inf),
        "nominal_objects": (1, 9999),
        "anomalous_objects": (0, 9999),
        "views": (1, 360),
        "angle_jitter": (0, 180),
        "picture_size": (64, 1024),
        "clutter": (0, 1),
        "label_clutter": (0, 1),
        "defect_size": (0.05, 4),
        "blur": (0, 50),
        "exposure_mean": (-6, 6),
        "exposure_spread": (0, 3),
        "noise": (0, 1),
        "exposure_shift_anomalous": (-6, 6),
        "exposure_shift_test": (-6, 6),
        "test_share": (0, 0.999),
    }
    for name, (low, high) in bounds.items():
        value = getattr(config, name)
        if not low <= value <= high:  # also refuses NaN
            raise UserError(f"demo option {name} is {value}, but must lie between {low} and {high}")
    if config.jpeg_quality is not None and not 1 <= config.jpeg_quality <= 100:
        raise UserError(
            f"demo option jpeg_quality is {config.jpeg_quality}, but must lie between 1 and 100, or be None"
        )
    unknown = set(config.defect_kinds) - set(DEFECT_KINDS)
    if unknown or not config.defect_kinds:
        raise UserError(
            f"demo option defect_kinds must name some of {', '.join(DEFECT_KINDS)}; got {config.defect_kinds}"
        )
    if len(config.angle_range) != 2 or not 0 <= config.angle_range[1] - config.angle_range[0] <= 360:
        raise UserError(f"demo option angle_range must be (first, last) within one turn, but is {config.angle_range}")
    if len(set(config.view_angles)) < config.views:
        raise UserError(f"demo option views is {config.views}, too many for whole degrees in {config.angle_range}")
