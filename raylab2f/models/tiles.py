"""A picture that a model judges tile by tile."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from raylab2f.errors import UserError
from raylab2f.preparation import Preparation, prepare_tiles
from raylab2f.preparation.embedding import Box
from raylab2f.preparation.tile_table import frame_of, in_view
from raylab2f.preparation.tiling import MOST_TILES, Tiling, join_maps

__all__ = ["Cut", "cut_picture"]


@dataclass(frozen=True)
class Cut:
    """The kept tiles of one picture.

    Arguments:
        tiles: (t, H, W, 3) uint8, prepared.
        boxes: where they lie in the picture as it is viewed, see `raylab2f.preparation.tile_table.in_view`.
        frame: its height and width, in pixels.
        tiling: how it was cut.
        positions: of the tiles, see `TileTable.positions`.
    """

    tiles: NDArray[np.uint8]
    boxes: tuple[Box, ...]
    frame: tuple[int, int]
    tiling: Tiling
    positions: tuple[int, ...]

    def joined(self, maps: NDArray[np.float32]) -> NDArray[np.float32]:
        """The picture's map from those (t, h, w) of its tiles, as fine as they are."""
        grid = self.tiling.grid(self.frame, (maps.shape[1], maps.shape[2]))
        return join_maps(maps, self.boxes, self.frame, grid, self.tiling.overlap)


def cut_picture(
    picture: NDArray[np.uint8],
    preparation: Preparation,
    foreground: NDArray[np.bool_] | None,
    angle: float,
    known: Collection[int] = (),
    frame: tuple[int, int] | None = None,
) -> Cut:
    """Cut a picture (h, w, 3) as it was taken, turned by `angle` degrees, as a run cuts its pictures.

    Arguments:
        preparation: with tiles.
        foreground: (h, w); `None`: unknown, and all tiles are kept.
        known: positions that have a detector of their own; none: one detector judges all tiles.
        frame: height and width that a picture must have for these.

    Raises:
        UserError: the picture is smaller than a tile, has too many, or cannot be prepared; or has tiles that no
            detector is for.
    """
    tiling = preparation.tiling
    assert tiling is not None
    own = frame_of(picture.shape[0], picture.shape[1], angle, preparation)
    if not tiling.fits(own):
        raise UserError(f"It has {own[0]}x{own[1]} pixels, less than a tile of the model ({tiling}); give larger ones.")
    if tiling.count(own) > MOST_TILES:
        raise UserError(f"It would be cut into {tiling.count(own):,} tiles of {tiling}; give smaller pictures.")
    if frame is not None and own != tuple(frame):
        raise UserError(
            f"It has {own[0]}x{own[1]} pixels, but a model with a detector for each position of tiles judges pictures "
            f"of {frame[0]}x{frame[1]} alone; give such."
        )
    boxes = tiling.boxes(own)
    prepared = prepare_tiles(picture, preparation, boxes, foreground=foreground, angle=angle)
    # Shrunk masks keep whatever was marked, so these are the tiles that a run keeps.
    shown = [one.foreground.any() for one in prepared]
    kept = [number for number, some in enumerate(shown) if some or not any(shown)]
    if known and (new := set(kept) - set(known)):
        raise UserError(
            f"It shows something in {len(new)} of its tiles where no part that was trained on shows any; take another "
            "picture, or a model without --per-position."
        )
    tiles = np.stack([prepared[number].picture for number in kept])
    return Cut(tiles, *in_view([boxes[number] for number in kept], own, preparation), tiling, tuple(kept))
