"""A partition's samples that are read from the feature stores, and from the image shards, as they are needed."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from raylab2f.detectors.base import Samples
from raylab2f.detectors.streamed import SHUFFLED_SHARDS, PackedMasks, Source, StreamedSamples
from raylab2f.features import FeatureStore
from raylab2f.preparation import SHARD_ROWS, PictureShards
from raylab2f.preparation.shards import read_shard, shard_path
from raylab2f.runs.fold_memory import Streaming

__all__ = ["streamed_samples"]


def streamed_samples(
    image_ids: Sequence[str],
    stores: Sequence[FeatureStore],
    shards: PictureShards | None,
    device: torch.device,
    streaming: Streaming,
) -> Samples:
    """The named pictures as samples that hold none of them.

    Arguments:
        shards: the image shards, where prepared pictures and foreground masks are needed as well.
        device: where batches go.
    """

    def features(rows: NDArray[np.int64]) -> list[NDArray[np.floating]]:
        names = [image_ids[row] for row in rows]
        return [store.read(names, layer) for store in stores for layer in store.layers]

    if shards is None:
        source = Source(features, stores[0].parts_of(image_ids))
    else:
        pictures = _Pictures(shards, image_ids)
        masks = pictures.masks() if shards.has_foregrounds else None
        source = Source(features, pictures.shards, pictures.read, pictures.size, masks)
    return StreamedSamples(source, device, most_rows=streaming.most_rows, room=streaming.room)


class _Pictures:
    """Prepared pictures by row; the shards used last lie decoded, as many as an epoch mixes with one another."""

    def __init__(self, shards: PictureShards, image_ids: Sequence[str]) -> None:
        place = {image_id: row for row, image_id in enumerate(shards.image_ids)}
        self._folder = shards.folder
        self.shards, self._within = np.divmod(np.array([place[i] for i in image_ids], np.int64), SHARD_ROWS)
        self._decoded: OrderedDict[int, NDArray[np.uint8]] = OrderedDict()
        height, width = self._shard(int(self.shards[0])).shape[1:3]
        self.size = (height, width)

    def read(self, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        """(B, H, W, 3) uint8."""
        pictures = np.empty((len(rows), *self.size, 3), np.uint8)
        own = self.shards[rows]
        for shard in np.unique(own):
            where = np.flatnonzero(own == shard)
            pictures[where] = self._shard(int(shard))[self._within[rows[where]]]
        return pictures

    def masks(self) -> PackedMasks:
        """The foreground masks of all rows, read once, a shard at a time."""
        masks = PackedMasks(len(self.shards), self.size)
        for shard in np.unique(self.shards):
            stored = read_shard(shard_path(self._folder, int(shard)), ["foreground"])["foreground"]
            for row in np.flatnonzero(self.shards == shard).tolist():
                masks.put(row, stored[self._within[row]])
        return masks

    def _shard(self, shard: int) -> NDArray[np.uint8]:
        if shard in self._decoded:
            self._decoded.move_to_end(shard)
            return self._decoded[shard]
        while len(self._decoded) >= SHUFFLED_SHARDS:
            self._decoded.popitem(last=False)
        self._decoded[shard] = read_shard(shard_path(self._folder, shard), ["picture"])["picture"]
        return self._decoded[shard]
