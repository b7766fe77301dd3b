"""PatchCore: how far is the nearest nominal patch?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from raylab2f.detectors.base import Batch, FeatureRequest, Prediction, Samples
from raylab2f.detectors.fitted import FittedDetector
from raylab2f.detectors.image_score import score_of_map
from raylab2f.detectors.patch_embedding import PatchEmbedding
from raylab2f.detectors.patchcore.config import PATCHCORE_PRESETS, REWEIGHTED, PatchCoreConfig
from raylab2f.detectors.patchcore.coreset import candidate_bytes, greedy_coreset, random_projection
from raylab2f.detectors.patchcore.neighbours import nearest, reweighted
from raylab2f.detectors.smoothing import smooth_upsample
from raylab2f.seeding import numpy_generator, torch_seed

__all__ = ["PatchCore"]


class PatchCore(FittedDetector):
    """Patches far from every patch of a memory of nominal ones are anomalous.

    References:
        Roth, Pemula, Zepeda, Schölkopf, Brox, Gehler: Towards Total Recall in Industrial Anomaly Detection, CVPR 2022.

    Arguments:
        config: see `PatchCoreConfig`.
        feature_shapes: (C, H, W) of the backbone levels, finest first.
        backbone: not used.
    """

    name = "patchcore"
    config_class = PatchCoreConfig
    presets = PATCHCORE_PRESETS

    memory: Tensor

    def __init__(
        self,
        config: PatchCoreConfig,
        feature_shapes: Sequence[tuple[int, int, int]],
        backbone: nn.Module | None = None,
    ) -> None:
        super().__init__(config, feature_shapes, backbone)
        self.grid = (feature_shapes[0][1], feature_shapes[0][2])
        channels = [shape[0] for shape in feature_shapes]
        self.embedding = PatchEmbedding(channels, config.embedding, config.neighbourhood)
        self.register_buffer("memory", torch.empty(0, config.embedding))

    @classmethod
    def feature_requests(cls, config: PatchCoreConfig) -> tuple[FeatureRequest, ...]:
        """One request for all levels."""
        return (FeatureRequest(config.backbone, config.weights, config.layers, config.size),)

    @classmethod
    def least_room(cls, config: PatchCoreConfig, shapes: Sequence[tuple[int, int, int]], pictures: int) -> int:
        """The memory, chosen among no more candidates than it has rows."""
        patches = pictures * shapes[0][1] * shapes[0][2]
        return _memory_bytes(config, patches) + _wanted(config, patches) * candidate_bytes(config.projection)

    @torch.no_grad()
    def begin(self, samples: Samples, seed: int) -> dict[str, Any]:
        """Choose the memory. Nothing but projected candidates and the memory is held.

        Where room is short (`Samples.room`), fewer candidates are drawn than the configuration asks for.
        """
        config = self.config
        patches = len(samples) * self.grid[0] * self.grid[1]
        most = config.most_candidates
        if samples.room is not None:
            room = samples.room - _memory_bytes(config, patches)
            most = min(most, room // candidate_bytes(config.projection))
        if patches <= most:
            candidates = torch.arange(patches)
        else:
            drawn = numpy_generator(seed, "candidates").choice(patches, most, replace=False)
            candidates = torch.from_numpy(drawn).sort().values
        wanted = min(_wanted(config, patches), len(candidates))
        generator = torch.Generator().manual_seed(torch_seed(seed, "coreset"))
        projection = random_projection(config.embedding, config.projection, generator).to(samples.device, samples.dtype)
        projected = torch.cat([rows @ projection for rows in self._rows(samples, candidates)])
        first = int(torch.randint(len(candidates), (), generator=generator))
        chosen = candidates[greedy_coreset(projected, wanted, first).cpu().sort().values]
        self.memory = torch.cat(list(self._rows(samples, chosen)))
        return {"patches": patches, "candidates": len(candidates), "memory": wanted}

    def _rows(self, samples: Samples, wanted: Tensor) -> Iterator[Tensor]:
        """The wanted patches' features, ascending numbers in the order picture, row, column; portion by portion."""
        per_picture = self.grid[0] * self.grid[1]
        pictures = torch.arange(len(samples))
        if samples.room is not None:
            # Others need not be read.
            pictures = (wanted // per_picture).unique()
        for some in samples.split(pictures, self.config.schedule.batch_size):
            low, high = int(some[0]) * per_picture, (int(some[-1]) + 1) * per_picture
            own = wanted[(wanted >= low) & (wanted < high)]
            if len(own):
                own = torch.searchsorted(some, own // per_picture) * per_picture + own % per_picture
                yield self._embed(samples.batch(some).features)[own.to(samples.device)]

    def _embed(self, levels: Sequence[Tensor]) -> Tensor:
        patches: Tensor = self.embedding(levels).flatten(0, 1)
        return functional.normalize(patches, dim=1) if self.config.distance == "cosine" else patches

    @torch.no_grad()
    def predict(self, batch: Batch) -> Prediction:
        """Map: each patch's distance to the memory. Image score: as the configuration asks; as published the largest,
        re-weighted (equations 6 and 7).
        """
        patches = self._embed(batch.features)
        distances, neighbours = nearest(patches, self.memory)
        if self.config.distance == "cosine":
            # Of rows of unit length.
            distances = distances.square() / 2
        maps = distances.view(batch.count, -1)
        if self.config.image_score != REWEIGHTED:
            grid = maps.view(batch.count, *self.grid)
            return Prediction(score_of_map(grid, self.config.image_score), grid)
        largest = maps.argmax(dim=1) + torch.arange(batch.count, device=maps.device) * maps.shape[1]
        scores = reweighted(
            patches[largest], distances[largest], neighbours[largest], self.memory, self.config.neighbours
        )
        return Prediction(scores, maps.view(batch.count, *self.grid))

    def upsample(self, maps: Tensor, size: tuple[int, int]) -> Tensor:
        """Bilinear, then a Gaussian."""
        return smooth_upsample(maps, size, self.config.smoothing_sigma)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *arguments: Any) -> None:
        # How many patches the memory holds depends on the training pictures.
        stored = state_dict.get(f"{prefix}memory")
        if stored is not None and stored.ndim == 2:
            self.memory = self.memory.new_empty(len(stored), self.memory.shape[1])
        super()._load_from_state_dict(state_dict, prefix, *arguments)  # type: ignore[no-untyped-call]


def _wanted(config: PatchCoreConfig, patches: int) -> int:
    """Rows of the memory where so many nominal patches are candidates."""
    return min(max(1, round(config.coreset * patches)), config.most_patches, config.most_candidates, patches)


def _memory_bytes(config: PatchCoreConfig, patches: int) -> int:
    """Of the memory, float32, and of its portions while they are put together; of the numbers of so many patches."""
    return 2 * 4 * _wanted(config, patches) * config.embedding + 8 * patches
