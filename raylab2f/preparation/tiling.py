"""Tiles of a picture: where they lie, and how what is said of them becomes what is said of the picture.

Tiles lie row by row. All have full size: the last of a row or column is shifted inwards, so that it overlaps its
neighbour by more, and no pixel is left out. Maps are put together with weights that rise linearly from a tile's edge
over the overlap, so that no seam shows; where no tile was kept, the joined map has its own least value.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from raylab2f.errors import UserError
from raylab2f.preparation.embedding import Box

__all__ = ["MOST_TILES", "Tiling", "join_maps", "join_scores", "kept_tiles", "parse_tile_score", "shrink_map"]

#: Of one picture; more would be a mistake in the overlap.
MOST_TILES = 10_000
# As small as a prepared picture may be.
_LEAST = 16
_TEXT = re.compile(r"(\d{1,5})(?:x(\d{1,5}))?(?:\+(\d{1,5}))?")
_SCORE = re.compile(r"max|top([1-9]\d{0,4})")
_FAINT = 1e-6


@dataclass(frozen=True)
class Tiling:
    """How pictures are cut.

    Arguments:
        height, width: of a tile, in pixels of the picture.
        overlap: of neighbouring tiles, in pixels, both ways.

    Raises:
        UserError: a tile of less than 16 pixels, or an overlap of a whole tile.
    """

    height: int
    width: int
    overlap: int = 0

    def __post_init__(self) -> None:
        if min(self.height, self.width) < _LEAST:
            raise UserError(f"--tiles {self}: a tile is too small; give at least {_LEAST}x{_LEAST} pixels.")
        if not 0 <= self.overlap < min(self.height, self.width):
            raise UserError(
                f"--tiles {self}: an overlap of {self.overlap} pixels leaves no step from tile to tile; give less than "
                f"{min(self.height, self.width)}, such as {min(self.height, self.width) // 8}."
            )

    @classmethod
    def parse(cls, text: str) -> Tiling:
        """Read `512x512+64`, `512x512` or `512`; `UserError` for anything else."""
        found = _TEXT.fullmatch(text.strip().lower())
        if found is None:
            raise UserError(f"--tiles {text[:40]}: give HEIGHTxWIDTH, or HEIGHTxWIDTH+OVERLAP, in pixels.")
        return cls(int(found[1]), int(found[2] or found[1]), int(found[3] or 0))

    def __str__(self) -> str:
        return f"{self.height}x{self.width}" + (f"+{self.overlap}" if self.overlap else "")

    def fits(self, frame: tuple[int, int]) -> bool:
        """Whether a picture of this height and width has room for a tile."""
        return frame[0] >= self.height and frame[1] >= self.width

    def count(self, frame: tuple[int, int]) -> int:
        """How many tiles a picture of this height and width has."""
        return len(_starts(frame[0], self.height, self.overlap)) * len(_starts(frame[1], self.width, self.overlap))

    def boxes(self, frame: tuple[int, int]) -> list[Box]:
        """The tiles of a picture of this height and width, row by row.

        Raises:
            ValueError: the picture is smaller than a tile.
        """
        if not self.fits(frame):
            raise ValueError(f"a picture of {frame[0]}x{frame[1]} has no room for a tile of {self}")
        return [
            Box(top, left, self.height, self.width)
            for top in _starts(frame[0], self.height, self.overlap)
            for left in _starts(frame[1], self.width, self.overlap)
        ]

    def grid(self, frame: tuple[int, int], cells: tuple[int, int]) -> tuple[int, int]:
        """Cells of a joined map that is as fine as the tiles' maps of so many `cells` are."""
        return max(1, round(frame[0] * cells[0] / self.height)), max(1, round(frame[1] * cells[1] / self.width))


def _starts(length: int, tile: int, overlap: int) -> list[int]:
    """Where tiles begin along a side."""
    step = tile - overlap
    return [min(number * step, length - tile) for number in range(-(-(length - tile) // step) + 1)]


def kept_tiles(boxes: Sequence[Box], foreground: NDArray[np.bool_] | None) -> list[bool]:
    """Which tiles a detector sees: those with any foreground, and all where there is none in any, or it is unknown.

    Arguments:
        foreground: (H, W) of the picture; `None`: unknown.
    """
    if foreground is None:
        return [True] * len(boxes)
    seen = [bool(foreground[b.top : b.top + b.height, b.left : b.left + b.width].any()) for b in boxes]
    return seen if any(seen) else [True] * len(boxes)


def parse_tile_score(text: str) -> int:
    """Of how many of the highest tiles a picture's score is the mean: 1 for `max`, 3 for `top3`.

    Raises:
        UserError: it is neither.
    """
    found = _SCORE.fullmatch(text)
    if found is None:
        raise UserError(f"--tile-score {text[:40]}: give max, or top with a number of tiles, such as top3.")
    return int(found[1] or 1)


def join_scores(scores: NDArray[np.floating], counts: Sequence[int], highest: int) -> NDArray[np.float64]:
    """Scores (n,) of pictures from those of their tiles.

    Arguments:
        scores: (t,) of the tiles, those of a picture after one another.
        counts: tiles of each of the n pictures, above 0.
        highest: the mean of so many of the highest counts; of all where there are fewer. 1: the maximum.
    """
    ends = np.cumsum(counts)
    parts = np.split(np.asarray(scores, np.float64), ends[:-1])
    return np.array([np.sort(part)[::-1][:highest].mean() for part in parts], np.float64)


def join_maps(
    maps: NDArray[np.float32], boxes: Sequence[Box], frame: tuple[int, int], grid: tuple[int, int], overlap: int
) -> NDArray[np.float32]:
    """The map of a picture, `grid` float32, from those of its tiles.

    Arguments:
        maps: (t, h, w) of the tiles, each over all of its tile.
        boxes: where the tiles lie.
        frame: height and width of the picture.
        grid: height and width of the joined map; its cells are read between those of the tiles' maps, linearly.
        overlap: of the tiling, in pixels.
    """
    total, weights = np.zeros(grid, np.float32), np.zeros(grid, np.float32)
    for own, box in zip(maps, boxes, strict=True):
        rows = _side(box.top, box.height, own.shape[0], frame[0], grid[0], overlap)
        columns = _side(box.left, box.width, own.shape[1], frame[1], grid[1], overlap)
        across = own[rows.low] * (1 - rows.share)[:, None] + own[rows.high] * rows.share[:, None]
        read = across[:, columns.low] * (1 - columns.share) + across[:, columns.high] * columns.share
        weight = np.outer(rows.weight, columns.weight)
        total[rows.cells, columns.cells] += weight * read
        weights[rows.cells, columns.cells] += weight
    covered = weights > 0
    joined = np.divide(total, weights, out=total, where=covered)
    if not covered.all():
        joined[~covered] = joined[covered].min() if covered.any() else 0.0
    return joined


@dataclass(frozen=True)
class _Side:
    """How one side of a tile's map is read: n cells of the joined map lie on the tile.

    Arguments:
        cells: which.
        low, high: (n,) neighbouring cells of the tile's map; `share` (n,) is that of the latter.
        weight: (n,) above 0.
    """

    cells: slice
    low: NDArray[np.int64]
    high: NDArray[np.int64]
    share: NDArray[np.float32]
    weight: NDArray[np.float32]


def _side(start: int, length: int, cells: int, frame: int, grid: int, overlap: int) -> _Side:
    centres = (np.arange(grid) + 0.5) * frame / grid - start
    inside = np.flatnonzero((centres >= 0) & (centres < length))
    at = centres[inside]
    place = np.clip(at * cells / length - 0.5, 0, cells - 1)
    low = np.floor(place).astype(np.int64)
    weight = np.clip(np.minimum(at, length - at) / max(overlap, 1), _FAINT, 1)
    return _Side(
        slice(int(inside[0]), int(inside[-1]) + 1) if len(inside) else slice(0, 0),
        low,
        np.minimum(low + 1, cells - 1),
        (place - low).astype(np.float32),
        weight.astype(np.float32),
    )


def shrink_map(values: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    """A map (..., h, w) with at most `size` cells, each the highest of those that it stands for.

    What a small defect raises must not be averaged away, nor be missed between two cells.
    """
    for axis, most in ((-2, size[0]), (-1, size[1])):
        length = values.shape[axis]
        if length > most:
            values = np.maximum.reduceat(values, np.arange(most) * length // most, axis=axis)
    return values
