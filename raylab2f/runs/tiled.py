"""What a fold reads for its pictures, and how what is said of that becomes what is said of pictures.

Without tiles a picture is read as one, and nothing is changed. With tiles its tiles are read, all on the side on which
their picture stands, and scores and maps are joined, so that whatever follows knows pictures alone.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from raylab2f.files.strangers import read_json
from raylab2f.preparation import PictureShards, Preparation
from raylab2f.preparation.tile_table import TILES_FILE, TileTable, in_view
from raylab2f.preparation.tiling import join_maps, join_scores, parse_tile_score

__all__ = ["Reading", "Tiled", "Whole", "reading_of"]


class Reading(ABC):
    """How pictures are read from shards and stores."""

    @abstractmethod
    def rows(self, image_ids: Sequence[str]) -> list[str]:
        """The ids under which shards and stores have what belongs to the pictures, in their order."""

    @abstractmethod
    def portions(self, image_ids: Sequence[str], most: int) -> Iterator[Sequence[str]]:
        """The pictures in order, so many at a time that at most `most` rows are read; a picture is never divided."""

    @abstractmethod
    def scores(self, image_ids: Sequence[str], scores: NDArray[np.floating]) -> NDArray[np.floating]:
        """(n,) of the pictures from those (r,) of their rows."""

    @abstractmethod
    def maps(self, image_ids: Sequence[str], maps: NDArray[np.float32]) -> NDArray[np.float32]:
        """(n, h, w) of the pictures from those of their rows, all of one size."""

    @abstractmethod
    def positions(self, rows: Sequence[str]) -> Tensor | None:
        """(r,) int64, where in their pictures these rows lie, see `TileTable.positions`; `None` for whole pictures."""


class Whole(Reading):
    """Pictures that are read as they are."""

    def rows(self, image_ids: Sequence[str]) -> list[str]:
        return list(image_ids)

    def portions(self, image_ids: Sequence[str], most: int) -> Iterator[Sequence[str]]:
        return (image_ids[start : start + most] for start in range(0, len(image_ids), most))

    def scores(self, image_ids: Sequence[str], scores: NDArray[np.floating]) -> NDArray[np.floating]:
        return scores

    def maps(self, image_ids: Sequence[str], maps: NDArray[np.float32]) -> NDArray[np.float32]:
        return maps

    def positions(self, rows: Sequence[str]) -> Tensor | None:
        return None


class Tiled(Reading):
    """Pictures that are read tile by tile.

    Arguments:
        table: their tiles.
        preparation: of the tiles.
        highest: see `preparation.tiling.join_scores`.
    """

    def __init__(self, table: TileTable, preparation: Preparation, highest: int) -> None:
        self.table, self.preparation, self.highest = table, preparation, highest
        views = [in_view((), frame, preparation)[1] for frame in set(table.frames.values())]
        # All joined maps have one size: as fine as the tiles' maps on the highest and widest pictures.
        self._largest = max(height for height, _ in views), max(width for _, width in views)

    def rows(self, image_ids: Sequence[str]) -> list[str]:
        return self.table.expand(image_ids)

    def portions(self, image_ids: Sequence[str], most: int) -> Iterator[Sequence[str]]:
        return self.table.portions(image_ids, most)

    def scores(self, image_ids: Sequence[str], scores: NDArray[np.floating]) -> NDArray[np.floating]:
        return join_scores(scores, self.table.counts(image_ids), self.highest)

    def maps(self, image_ids: Sequence[str], maps: NDArray[np.float32]) -> NDArray[np.float32]:
        tiling = self.table.tiling
        grid = tiling.grid(self._largest, (maps.shape[1], maps.shape[2]))
        joined = []
        for image_id, own in self._split(image_ids, maps):
            boxes, frame = in_view(self.table.boxes[image_id], self.table.frames[image_id], self.preparation)
            joined.append(join_maps(own, boxes, frame, grid, tiling.overlap))
        return np.stack(joined)

    def positions(self, rows: Sequence[str]) -> Tensor | None:
        numbers = self.table.positions
        return torch.tensor([numbers[row] for row in rows], dtype=torch.int64)

    def full_maps(self, image_ids: Sequence[str], maps: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
        """Each picture's map (H, W) at its own resolution, from those (t, h, w) of the pictures' tiles."""
        for image_id, own in self._split(image_ids, maps):
            frame = self.table.frames[image_id]
            yield join_maps(own, self.table.boxes[image_id], frame, frame, self.table.tiling.overlap)

    def like(self, tile: str, image_id: str, other: str) -> str:
        """The tile of picture `other` that lies as `tile` does in `image_id`; near there where it was not kept."""
        own, theirs = self.table.tiles[image_id], self.table.tiles[other]
        box = self.table.boxes[image_id][own.index(tile)]
        away = [abs(b.top - box.top) + abs(b.left - box.left) for b in self.table.boxes[other]]
        return theirs[int(np.argmin(away))]

    def _split(self, image_ids: Sequence[str], maps: NDArray[np.float32]) -> Iterator[tuple[str, NDArray[np.float32]]]:
        start = 0
        for image_id, count in zip(image_ids, self.table.counts(image_ids), strict=True):
            yield image_id, maps[start : start + count]
            start += count


def reading_of(shards: PictureShards, tile_score: str = "max") -> Reading:
    """How the pictures of these shards are read.

    Arguments:
        shards: of pictures or of tiles.
        tile_score: from tiles to pictures, see `preparation.tiling.parse_tile_score`.

    Raises:
        UserError: their table of tiles is damaged.
    """
    if not (shards.folder / TILES_FILE).exists():
        return Whole()
    preparation = Preparation.from_dict(read_json(shards.folder / "shards.json")["preparation"])
    return Tiled(TileTable.open(shards.folder, preparation), preparation, parse_tile_score(tile_score))
