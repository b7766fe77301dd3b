"""A model as one module of tensors: from decoded pictures to scores and maps, which other runtimes can be given."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram
from torch.fx.experimental.proxy_tensor import make_fx
from torch.nn import functional

from raylab2f.detectors.base import Batch, Detector
from raylab2f.errors import UserError
from raylab2f.features import Backbone
from raylab2f.models.export.resizing import GraphResizing
from raylab2f.models.familiarity import MARGIN
from raylab2f.models.judging import Judge

__all__ = ["INPUT", "OUTPUTS", "JudgingGraph", "largest_picture", "traced"]

#: Names of the graph's input and outputs.
INPUT, OUTPUTS = "pictures", ("scores", "maps")
# Of a float16: digits after the first one, and the exponent of the smallest normal number.
_DIGITS, _SMALLEST = 10, -14


def largest_picture(judge: Judge) -> tuple[int, int]:
    """Height and width beyond those of the evaluation's pictures by as much as counts as familiar."""
    low, high = judge.familiarity.low[:2], judge.familiarity.high[:2]
    # A quarter more where all were of one size: a camera may be replaced.
    granted = (max(1 + MARGIN, 1 + MARGIN * (most - least) / most) for least, most in zip(low, high, strict=True))
    height, width = (math.ceil(most * grant) for most, grant in zip(high, granted, strict=True))
    return height, width


class JudgingGraph(nn.Module):
    """What `Judge.look` computes of pictures, without what makes them familiar.

    Maps have the size of prepared pictures, as `Judge.upsample` gives them. Features pass through the same type as
    there. A picture that is too large for the graph scores infinity, so that it is never accepted.

    Arguments:
        judge: of a model on the CPU.
        largest: height and width of pictures, see `GraphResizing`; `None`: `largest_picture`.
        casts: features become float16 by casting; `False`: by arithmetic, for runtimes that leave out a cast to a
            shorter type and back.

    Raises:
        UserError: pictures are prepared in a way that no graph can, or they are larger than it can take.
    """

    def __init__(self, judge: Judge, largest: tuple[int, int] | None = None, *, casts: bool = True) -> None:
        super().__init__()
        _require_plain(judge)
        preparation = judge.preparation
        self.size = preparation.size
        self.largest = largest or largest_picture(judge)
        self.resizing = GraphResizing(preparation.size, preparation.fit, self.largest)
        self.backbones = nn.ModuleList(
            _Network(backbone, request.size) for backbone, request in zip(judge.backbones, judge.requests, strict=True)
        )
        self.detectors = nn.ModuleList(judge.detectors)
        self.members = judge.record.members
        self.halved, self.casts = judge.record.feature_dtype == "float16", casts
        self.scalings = nn.ModuleList(_Antialiased(preparation.size, request.size) for request in judge.requests)
        self.eval()
        # Detectors keep what they compute from their configuration alone; it shall be no part of what is traced.
        with torch.no_grad():
            self(torch.zeros(1, *preparation.size, 3, dtype=torch.uint8))

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """Scores (B,) and anomaly maps (B, *size), float32, of pictures (B, H, W, 3), uint8 RGB."""
        prepared, enough = self.resizing(pictures)
        features = []
        for backbone, scaling in zip(self.backbones, self.scalings, strict=True):
            features += [self._rounded(maps) for maps in backbone(prepared, scaling)]
        batch = Batch(torch.arange(pictures.shape[0], device=pictures.device), features)
        scores, maps = self._members(batch)
        large = cast(Detector, self.detectors[0]).upsample(maps, self.size)
        return torch.where(enough > 0, scores, torch.full_like(scores, math.inf)), large

    def _rounded(self, maps: Tensor) -> Tensor:
        """Through the type in which features are stored, as in training."""
        if not self.halved:
            return maps
        if self.casts:
            return maps.half().float()
        exponent = torch.floor(torch.log2(maps.abs().clamp(min=2.0**_SMALLEST)))
        step = torch.pow(2.0, exponent - _DIGITS)
        return torch.round(maps / step) * step

    def _members(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Means over the detectors of their calibrated scores and maps."""
        scores, shown = [], []
        for detector, (_, centre, scale) in zip(self.detectors, self.members, strict=True):
            prediction = cast(Detector, detector).predict(batch)
            scores.append((prediction.scores - centre) / scale)
            shown.append((prediction.maps - centre) / scale)
        return _mean(scores), _mean(shown)


def traced(graph: JudgingGraph) -> ExportedProgram:
    """The graph without Python, for any number of pictures of any height and width."""
    height, width = graph.size
    # Sides and number differ from all others, so that none is taken for a constant.
    example = torch.zeros(2, height + 3, width + 5, 3, dtype=torch.uint8)
    free = torch.export.Dim.DYNAMIC
    with torch.no_grad():
        return torch.export.export(graph, (example,), dynamic_shapes=({0: free, 1: free, 2: free},), strict=False)


class _Network(nn.Module):
    """A backbone as a flat graph: it leaves its network by an exception, which torch.export cannot follow."""

    def __init__(self, backbone: Backbone, size: tuple[int, int]) -> None:
        super().__init__()
        self.register_buffer("mean", backbone.get_buffer("_mean"))
        self.register_buffer("std", backbone.get_buffer("_std"))
        with torch.no_grad():
            traced = make_fx(lambda x: backbone.maps(x), tracing_mode="symbolic", _allow_non_fake_inputs=True)
            # Not one picture, which would stay one, and not as many as there are colours.
            self.network = traced(torch.zeros(2, 3, *size))

    def forward(self, pictures: Tensor, scaling: nn.Module) -> list[Tensor]:
        """The features (B, C, h, w) of pictures (B, H, W, 3)."""
        normalised = (pictures.permute(0, 3, 1, 2) - self.get_buffer("mean")) / self.get_buffer("std")
        maps: list[Tensor] = self.network(scaling(normalised))
        return maps


class _Antialiased(nn.Module):
    """`interpolate(..., antialias=True)` as two matrix products, for runtimes that have no such operation."""

    def __init__(self, size: tuple[int, int], wanted: tuple[int, int]) -> None:
        super().__init__()
        self.changes = size != wanted
        for name, length, target in zip(("rows", "columns"), size, wanted, strict=True):
            self.register_buffer(name, _antialiasing(length, target) if self.changes else None, persistent=False)

    def forward(self, pictures: Tensor) -> Tensor:
        """(B, C, H, W) at the wanted size."""
        if not self.changes:
            return pictures
        return self.get_buffer("rows") @ (pictures @ self.get_buffer("columns").T)


def _antialiasing(length: int, target: int) -> Tensor:
    """(target, length) weights along one axis."""
    one = torch.eye(length)[:, None, None, :]
    return functional.interpolate(one, (1, target), mode="bilinear", antialias=True)[:, 0, 0].T.contiguous()


def _mean(parts: Sequence[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.stack(list(parts)).mean(dim=0)


def _require_plain(judge: Judge) -> None:
    if judge.preparation.tiles is not None:
        raise UserError(
            "This model judges pictures tile by tile, which an exported file cannot do yet; use raylab2f predict or "
            "serve, or export a model that was evaluated without --tiles."
        )
    if judge.detectors[0].reads_pictures:
        raise UserError(
            f"{judge.record.detector} is no detector of raylab2f's own, and an exported file holds those alone; judge "
            "with predict or serve."
        )
    if judge.preparation.needs_foreground:
        raise UserError(
            "This model's pictures are freed of their background or centred by masks, which an exported file cannot "
            "do; export a model that was evaluated without --mask-background and --centre-embed."
        )
    if any(angle % 360 for angle in judge.record.angles):
        raise UserError(
            "This model judges turned copies of a picture, which an exported file cannot make; export a model that was "
            "evaluated with --eval-angles 0."
        )
