"""Can a detector be made for pictures of a size? Told before any of them is prepared, with the smallest that can."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from raylab2f.detectors.registry import detector_class
from raylab2f.errors import UserError
from raylab2f.features import BackboneSpec, ShapeFinder, create_backbone, shape_finder
from raylab2f.preparation import Preparation

__all__ = ["require_possible_size"]

# Heights and widths that are tried when the one asked for is impossible: multiples of this, up to that.
_STEP, _LARGEST = 16, 1024


def require_possible_size(detector: str, config: Any, *, weights: bool = True) -> None:
    """Hold a configuration's size against what its backbone makes of it; nothing is computed.

    Arguments:
        weights: whether those of the backbone must be had on this machine.

    Raises:
        UserError: pictures cannot be prepared at this size, the backbone cannot take them, or the detector the maps
            that it makes of them; or the weights cannot be had.
    """
    # Pictures, too, have a least size, which refuses itself.
    Preparation(config.size)
    detector_class(detector).check_config(config)
    backbones = _Backbones(weights)
    refusal = _refusal(detector, config, backbones)
    if refusal is None:
        return
    smallest = _possible(detector, config, _STEP, backbones)
    if smallest is None:
        raise refusal
    said = f"{smallest}x{smallest} is the smallest square of a multiple of {_STEP} that can be"
    if (wanted := min(config.size)) > smallest:
        larger = _possible(detector, config, -(-wanted // _STEP) * _STEP, backbones)
        said += f", and {larger}x{larger} the next above {wanted}" if larger else ""
    raise UserError(f"{str(refusal).partition(';')[0]}; {said}.") from refusal


class _Backbones(dict[BackboneSpec, ShapeFinder]):
    """What backbones make of a size, each built when it is first asked for."""

    def __init__(self, weights: bool) -> None:
        super().__init__()
        self.weights = weights

    def __missing__(self, spec: BackboneSpec) -> ShapeFinder:
        self[spec] = create_backbone(spec).feature_shapes if self.weights else shape_finder(spec)
        return self[spec]


def _possible(detector: str, config: Any, least: int, backbones: _Backbones) -> int | None:
    """The first height, and width, that can be."""
    for size in range(least, _LARGEST + 1, _STEP):
        if _refusal(detector, replace(config, size=(size, size)), backbones) is None:
            return size
    return None


def _refusal(detector: str, config: Any, backbones: _Backbones) -> UserError | None:
    cls = detector_class(detector)
    shapes: list[tuple[int, int, int]] = []
    for request in cls.feature_requests(config):
        spec = BackboneSpec(request.backbone, request.weights, request.layers)
        find_shapes = backbones[spec]
        try:
            shapes += find_shapes(request.size)
        except UserError as error:
            height, width = config.size
            reason = str(error).partition(": ")[2]
            return UserError(f"--size {height}x{width}: {reason}")
    try:
        cls.check_shapes(config, shapes)
    except UserError as error:
        return error
    return None
