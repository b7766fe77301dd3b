"""Pictures of a partition whose features are read as they are needed, because they exceed what a process may hold."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from raylab2f.detectors.base import Batch, Masks, Samples, to_device
from raylab2f.errors import UserError
from raylab2f.seeding import numpy_generator

__all__ = ["SHUFFLED_SHARDS", "PackedMasks", "Source", "StreamedSamples"]

#: So many shards are mixed with one another in an epoch.
SHUFFLED_SHARDS = 8


class PackedMasks:
    """Foreground masks, eight pixels to a byte."""

    def __init__(self, count: int, size: tuple[int, int]) -> None:
        self.size = size
        self.empty = 0
        self._packed = np.zeros((count, -(-size[0] * size[1] // 8)), np.uint8)

    def put(self, row: int, mask: NDArray[Any]) -> None:
        """Keep a mask (H, W); true, or above 0, on the object."""
        marked = mask.astype(bool)
        self.empty += not marked.any()
        self._packed[row] = np.packbits(marked.ravel())

    def __getitem__(self, row: int) -> NDArray[np.bool_]:
        flat = np.unpackbits(self._packed[row], count=self.size[0] * self.size[1])
        return flat.reshape(self.size).view(np.bool_)


@dataclass(frozen=True)
class Source:
    """From where rows are read; what it gives is the caller's, and nothing of it is kept.

    Arguments:
        features: for rows (B,) the maps (B, C, H, W) of every layer, as they are stored.
        shards: (N,) the shard, the stored part, in which each picture lies.
        pictures: for rows (B,) the pictures (B, H, W, 3) uint8, or `None`: features only.
        picture_size: height and width in pixels; `None` without pictures.
        masks: foreground masks, or `None` when unknown.
    """

    features: Callable[[NDArray[np.int64]], list[NDArray[Any]]]
    shards: NDArray[np.int64]
    pictures: Callable[[NDArray[np.int64]], NDArray[np.uint8]] | None = None
    picture_size: tuple[int, int] | None = None
    masks: PackedMasks | None = None


class StreamedSamples(Samples):
    """What `Samples` is, with features that are read for every batch; the next one while the last is computed with.

    An epoch takes the pictures in an order in which what follows one another lies together: shards in random order,
    `SHUFFLED_SHARDS` of them mixed row by row. It depends on the seed and the epoch alone.

    Arguments:
        source: from where.
        device: where batches go.
        most_rows: pictures that may be looked at together where it is left to choice.
        room: see `Samples.room`.
        dtype: floating type in which batches are handed out.
    """

    def __init__(
        self,
        source: Source,
        device: torch.device,
        *,
        most_rows: int,
        room: int,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.source = source
        self.most_rows = most_rows
        self._room = room
        self.dtype = dtype
        self.positions = None
        self._device = device

    def __getattribute__(self, name: str) -> Any:
        if name in ("features", "pictures", "foregrounds"):
            raise UserError(
                f"--memory-budget: this detector reads the {name} of all pictures at once, which are not held; leave "
                "the option out."
            )
        return super().__getattribute__(name)

    def __len__(self) -> int:
        return len(self.source.shards)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self)} pictures)"

    @property
    def device(self) -> torch.device:
        return self._device

    @property
    def room(self) -> int:
        return self._room

    @property
    def picture_size(self) -> tuple[int, int] | None:
        return self.source.picture_size

    def batch(self, rows: Tensor, prepared: Any = None) -> Batch:
        """The pictures at `rows`, (B,) int64 on the host, with what was prepared for them."""
        return self._batch(rows, self._read(rows), prepared)

    def batches(self, rows: Iterable[Tensor]) -> Iterator[Batch]:
        """The batches of these rows one after another; one of them is read ahead."""
        with ThreadPoolExecutor(1, "read") as thread:
            before: tuple[Tensor, Future[_Read]] | None = None
            for some in rows:
                coming = (some, thread.submit(self._read, some))
                if before is not None:
                    yield self._batch(before[0], before[1].result())
                before = coming
            if before is not None:
                yield self._batch(before[0], before[1].result())

    def split(self, rows: Tensor, most: int) -> Iterator[Tensor]:
        """Rows (n,) in portions of at most so many as may be looked at together."""
        yield from rows.split(min(most, self.most_rows))

    def epoch_order(self, drawn: Tensor, seed: int, epoch: int) -> Tensor:
        """The same rows (n,), shards in random order, some of them mixed with one another."""
        shards = self.source.shards[drawn.numpy()]
        names, own = np.unique(shards, return_inverse=True)
        group = numpy_generator(seed, "shards", epoch).permutation(len(names)) // SHUFFLED_SHARDS
        # Within a group the rows stay in the random order in which they were drawn.
        return drawn[torch.from_numpy(np.argsort(group[own.ravel()], kind="stable"))]

    def select(self, layers: slice) -> Samples:
        """The same pictures' features of some of the layers, without anything else."""
        features = self.source.features
        chosen = Source(lambda rows: features(rows)[layers], self.source.shards)
        return StreamedSamples(chosen, self._device, most_rows=self.most_rows, room=self._room, dtype=self.dtype)

    def mean_features(self) -> list[Tensor]:
        """(C, H, W) float64 per layer: the mean over all pictures, in one pass."""
        return self._means(lambda rows: self.source.features(rows.numpy()))

    def mean_picture(self) -> Tensor | None:
        """(H, W, 3) float64: the mean over all pictures."""
        pictures = self.source.pictures
        return None if pictures is None else self._means(lambda rows: [pictures(rows.numpy())])[0]

    def foreground_masks(self) -> tuple[Masks, int] | None:
        """The foreground masks by row, and how many of them are empty."""
        masks = self.source.masks
        return None if masks is None else (masks, masks.empty)

    def _means(self, read: Callable[[Tensor], Sequence[NDArray[Any]]]) -> list[Tensor]:
        totals: list[Tensor] | None = None
        for rows in self.split(torch.arange(len(self)), len(self)):
            sums = [torch.from_numpy(part).sum(dim=0, dtype=torch.float64) for part in read(rows)]
            totals = sums if totals is None else [total.add_(own) for total, own in zip(totals, sums, strict=True)]
        assert totals is not None, "there are no pictures"
        return [total.div_(len(self)).to(self._device) for total in totals]

    def _read(self, rows: Tensor) -> _Read:
        own = rows.numpy()
        source = self.source
        foregrounds = None if source.masks is None else np.stack([source.masks[row] for row in own.tolist()])
        return _Read(source.features(own), None if source.pictures is None else source.pictures(own), foregrounds)

    def _batch(self, rows: Tensor, read: _Read, prepared: Any = None) -> Batch:
        def placed(array: NDArray[Any]) -> Tensor:
            return to_device(torch.from_numpy(array), self._device)

        return Batch(
            rows=rows,
            features=[placed(feature).to(self.dtype) for feature in read.features],
            pictures=None if read.pictures is None else placed(read.pictures),
            foregrounds=None if read.foregrounds is None else placed(read.foregrounds),
            prepared=prepared,
        )


@dataclass(frozen=True)
class _Read:
    """What was read for a batch, on the host."""

    features: list[NDArray[Any]]
    pictures: NDArray[np.uint8] | None
    foregrounds: NDArray[np.bool_] | None
