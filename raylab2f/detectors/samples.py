"""Pictures of a partition and batches of them, as detectors are given them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["Batch", "Masks", "Samples", "to_device"]

# Rows that are summed at once.
_CHUNK = 64


@dataclass(frozen=True)
class Batch:
    """Some pictures of a partition.

    Arguments:
        rows: (B,) int64, the pictures' positions in their `Samples`, on the host.
        features: one (B, C, H, W) floating map per layer of each feature request, in the order requested.
        pictures: (B, H, W, 3) uint8 RGB, or `None` when the detector reads features only.
        foregrounds: (B, H, W) bool, true on the object, or `None` when unknown.
        prepared: what the detector's `prepare` gave for these rows; `None`: it was not asked.
        positions: (B,) int64, see `Samples.positions`, on the host.
    """

    rows: Tensor
    features: list[Tensor]
    pictures: Tensor | None = None
    foregrounds: Tensor | None = None
    prepared: Any = None
    positions: Tensor | None = None

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def count(self) -> int:
        """Pictures. `len` would make a constant of it where `predict` is traced for another runtime."""
        return self.features[0].shape[0]


class Masks(Protocol):
    """Foreground masks, (H, W) bool on the host, of pictures by their row."""

    def __getitem__(self, row: int) -> NDArray[np.bool_]: ...


@dataclass
class Samples:
    """The pictures of one partition, held in memory on one device; row i of every field is one picture.

    What a detector needs of all pictures it takes from the methods, portion by portion, rather than from the fields:
    `StreamedSamples` has these methods too, and holds nothing.

    Arguments:
        features: one (N, C, H, W) map per layer of each feature request, any floating dtype; none for a detector that
            `reads_pictures`.
        pictures: (N, H, W, 3) uint8 RGB, or `None`.
        foregrounds: (N, H, W) bool, or `None`.
        dtype: floating type in which batches are handed out.
        positions: (N,) int64 on the host, where in their pictures tiles lie; `None`: no matter.
    """

    features: list[Tensor]
    pictures: Tensor | None = None
    foregrounds: Tensor | None = None
    dtype: torch.dtype = torch.float32
    positions: Tensor | None = None

    def __len__(self) -> int:
        return len(self._first)

    @property
    def device(self) -> torch.device:
        return self._first.device

    @property
    def _first(self) -> Tensor:
        first = self.pictures if not self.features else self.features[0]
        assert first is not None
        return first

    @property
    def room(self) -> int | None:
        """Bytes that a detector may hold of what it computes of all pictures; `None`: as many as it likes."""
        return None

    @property
    def picture_size(self) -> tuple[int, int] | None:
        """Height and width of the pictures in pixels, `None` where there are none."""
        return None if self.pictures is None else (self.pictures.shape[1], self.pictures.shape[2])

    def batch(self, rows: Tensor, prepared: Any = None) -> Batch:
        """The pictures at `rows`, (B,) int64 on the host, with what was prepared for them."""
        places = to_device(rows, self.device)
        return Batch(
            rows=rows,
            features=[feature[places].to(self.dtype) for feature in self.features],
            pictures=None if self.pictures is None else self.pictures[places],
            foregrounds=None if self.foregrounds is None else self.foregrounds[places],
            prepared=prepared,
            positions=None if self.positions is None else self.positions[rows],
        )

    def batches(self, rows: Iterable[Tensor]) -> Iterator[Batch]:
        """The batches of these rows one after another."""
        yield from map(self.batch, rows)

    def split(self, rows: Tensor, most: int) -> Iterator[Tensor]:
        """Rows (n,) in portions of at most so many as may be looked at together."""
        yield from rows.split(most)

    def portions(self, most: int) -> Iterator[Batch]:
        """All pictures in order, at most so many at a time."""
        return self.batches(self.split(torch.arange(len(self)), most))

    def epoch_order(self, drawn: Tensor, seed: int, epoch: int) -> Tensor:
        """The order in which an epoch takes the rows (n,) that were drawn for it, in random order."""
        return drawn

    def groups(self, order: Tensor, most: int) -> list[Tensor]:
        """Rows (n,) in the order of an epoch as its batches of at most so many; in one, tiles of one position alone."""
        if self.positions is None:
            return list(order.split(most))
        own = self.positions[order]
        places = torch.arange(len(order))
        taken = [some for position in own.unique() for some in places[own == position].split(most)]
        return [order[some] for some in sorted(taken, key=lambda some: int(some[0]))]

    def span(self, start: int, stop: int) -> Samples:
        """The pictures from row `start` to row `stop`, which is not among them, as a view, without positions."""
        rows = slice(start, stop)
        return Samples(
            [feature[rows] for feature in self.features],
            None if self.pictures is None else self.pictures[rows],
            None if self.foregrounds is None else self.foregrounds[rows],
            self.dtype,
        )

    def select(self, layers: slice) -> Samples:
        """The same pictures' features of some of the layers, without anything else."""
        return Samples(self.features[layers], dtype=self.dtype)

    def mean_features(self) -> list[Tensor]:
        """(C, H, W) float64 per layer: the mean over all pictures."""
        return [_mean(level) for level in self.features]

    def mean_picture(self) -> Tensor | None:
        """(H, W, 3) float64: the mean over all pictures."""
        return None if self.pictures is None else _mean(self.pictures)

    def foreground_masks(self) -> tuple[Masks, int] | None:
        """The foreground masks by row, and how many of them are empty."""
        if self.foregrounds is None:
            return None
        empty = int((~self.foregrounds.flatten(1).any(dim=1)).sum())
        return self.foregrounds.cpu().numpy(), empty


def _mean(rows: Tensor) -> Tensor:
    """Mean over the rows in float64; summed chunk by chunk, for the rows may be of a short type."""
    total = torch.zeros(rows.shape[1:], dtype=torch.float64, device=rows.device)
    for chunk in rows.split(_CHUNK):
        total += chunk.sum(dim=0, dtype=torch.float64)
    return total / len(rows)


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """A tensor of the host on a device; on a GPU without waiting for what that still computes."""
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)
