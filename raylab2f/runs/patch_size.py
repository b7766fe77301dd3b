"""How many pixels of a prepared picture make one cell of a detector's map: its patch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from raylab2f.detectors.backbone_features import backbone_spec
from raylab2f.detectors.registry import detector_class
from raylab2f.errors import UserError
from raylab2f.features import BackboneSpec, shape_finder
from raylab2f.features.backbones import ShapeFinder

__all__ = ["PatchFinder", "patch_of"]


def patch_of(size: tuple[int, int], shapes: Sequence[tuple[int, int, int]]) -> tuple[float, float]:
    """Height and width of a patch in pixels, of the finest of the maps (C, H, W) that are made of such a picture."""
    cells = max(((height, width) for _, height, width in shapes), key=lambda cell: cell[0] * cell[1])
    return size[0] / cells[0], size[1] / cells[1]


class PatchFinder:
    """A detector's patch at any size; nothing is computed, and weights need not be at hand.

    Arguments:
        detector: name in the registry.
        config: its configuration; the size in it does not matter.

    Raises:
        UserError: unknown backbone or layer, or a detector whose patch nobody knows.
    """

    def __init__(self, detector: str, config: Any) -> None:
        self._class, self._config = detector_class(detector), config
        if not self._class.patch_is_known:
            raise UserError(
                f"--detector {detector}: how many pixels make one patch of somebody's own class is not known; give "
                "--detector patchcore, or another of raylab2f's own, whose patches are about as large."
            )
        self._finders: dict[BackboneSpec, ShapeFinder] = {}
        for request in self._class.feature_requests(config):
            spec = backbone_spec(request)
            self._finders.setdefault(spec, shape_finder(spec))

    def __call__(self, size: tuple[int, int]) -> tuple[float, float] | None:
        """Height and width of a patch in pixels; `None` where the detector cannot be made for this size."""
        config = replace(self._config, size=size)
        try:
            shapes = [
                shape
                for request in self._class.feature_requests(config)
                for shape in self._finders[backbone_spec(request)](request.size)
            ]
            self._class.check_shapes(config, shapes)
        except UserError:
            return None
        return patch_of(size, shapes)
