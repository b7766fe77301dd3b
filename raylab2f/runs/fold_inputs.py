"""What a fold reads: prepared pictures and their features, as the samples of its partitions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import torch

from raylab2f.detectors.base import Detector, Samples
from raylab2f.detectors.per_position import per_position as one_per_position
from raylab2f.detectors.registry import config_from_dict, detector_class
from raylab2f.features import BackboneSpec, FeatureStore, create_backbone
from raylab2f.preparation import PictureShards
from raylab2f.runs.fold_memory import fold_size, plan_streaming
from raylab2f.runs.positions import positions_of
from raylab2f.runs.streaming import streamed_samples
from raylab2f.runs.tiled import reading_of

__all__ = ["FoldInputs"]


class FoldInputs:
    """The stored pictures and features from which the partitions' samples are taken.

    Arguments:
        detector: name in the registry.
        config: the detector's configuration as a dictionary.
        pictures: folder of the image shards, on this machine.
        stores: folders of the feature stores, one per feature request.
        split: partition of every picture of the fold.
        memory_budget: bytes beyond which features are read as they are needed; `None`: all are held.
        tile_score: from tiles to pictures, where these are tiles; `reading` says how pictures are read.
        per_position: where these are tiles, one detector for each position.

    Raises:
        UserError: a folder holds no such thing, or no such fold gets by with the budget.
    """

    def __init__(
        self,
        detector: str,
        config: dict[str, Any],
        pictures: Path,
        stores: Sequence[Path],
        split: pa.Table,
        memory_budget: int | None = None,
        tile_score: str = "max",
        per_position: bool = False,
    ) -> None:
        self.cls = detector_class(detector)
        self.config = config_from_dict(detector, config)
        self.shards = PictureShards.open(pictures)
        self.reading = reading_of(self.shards, tile_score)
        self.stores = [FeatureStore.open(store) for store in stores]
        self.positions = positions_of(self.reading) if per_position else ()
        size = fold_size(detector, config, self.stores, split, self.reading)
        self.streaming = plan_streaming(size, memory_budget)

    @property
    def feature_shapes(self) -> list[tuple[int, int, int]]:
        """(C, H, W) of every map."""
        return [store.shapes[layer] for store in self.stores for layer in store.layers]

    def create_detector(self, seed: int) -> Detector:
        """A new one, whose first parameters descend from `seed`."""
        backbone = None
        if self.cls.trains_on_pictures:
            request = self.cls.feature_requests(self.config)[0]
            backbone = create_backbone(BackboneSpec(request.backbone, request.weights, request.layers))
        config = replace(self.config, init_seed=seed)
        if self.positions:
            return one_per_position(self.cls)(config, self.feature_shapes, backbone, self.positions)
        return self.cls(config, self.feature_shapes, backbone)

    def training_rows(self, image_ids: Sequence[str]) -> list[str]:
        """The ids of what is read for pictures that train; in the order of positions where each has a detector."""
        rows = self.reading.rows(image_ids)
        if not self.positions:
            return rows
        positions = self.reading.positions(rows)
        assert positions is not None
        return [rows[place] for place in positions.argsort(stable=True).tolist()]

    def samples(self, image_ids: Sequence[str], device: torch.device, *, for_training: bool) -> Samples:
        """The named pictures, as the detector reads them."""
        samples = self._samples(image_ids, device, for_training)
        if self.positions:
            samples.positions = self.reading.positions(image_ids)
        return samples

    def _samples(self, image_ids: Sequence[str], device: torch.device, for_training: bool) -> Samples:
        with_pictures = for_training and self.cls.trains_on_pictures
        if not self.cls.reads_pictures and not with_pictures:
            return self.features(image_ids, device)
        if self.streaming is not None and not self.cls.reads_pictures:
            return streamed_samples(image_ids, self.stores, self.shards, device, self.streaming)
        stored = self.shards.read(image_ids, ["picture", "foreground"] if for_training else ["picture"])
        pictures, foregrounds = torch.from_numpy(stored["picture"]).to(device), None
        if for_training and self.shards.has_foregrounds:
            foregrounds = torch.from_numpy(stored["foreground"]).to(device).bool()
        features = [] if self.cls.reads_pictures else self.features(image_ids, device).features
        return Samples(features, pictures, foregrounds)

    def features(self, image_ids: Sequence[str], device: torch.device) -> Samples:
        """The named pictures' features alone."""
        if self.streaming is not None:
            return streamed_samples(image_ids, self.stores, None, device, self.streaming)
        return Samples(
            [torch.from_numpy(store.read(image_ids, name)).to(device) for store in self.stores for name in store.layers]
        )
