"""At which positions tiles lie, and whether a detector for each of them can be trained."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from raylab2f.detectors.checkpoint import MOST_POSITIONS
from raylab2f.errors import UserError
from raylab2f.runs.tiled import Reading, Tiled

__all__ = ["positions_of", "require_trained_positions"]

# Of what would be too little for any detector.
_LEAST = 2


def positions_of(reading: Reading) -> tuple[int, ...]:
    """The positions at which any picture has a tile that detectors see, ascending; none without tiles."""
    return tuple(sorted(set(reading.table.positions.values()))) if isinstance(reading, Tiled) else ()


def require_trained_positions(reading: Reading, splits: Sequence[pa.Table]) -> None:
    """`UserError` where a fold has too few tiles to train on at a position at which pictures have some.

    Arguments:
        reading: of tiles.
        splits: partition of every picture, of each fold.
    """
    positions = positions_of(reading)
    if len(positions) > MOST_POSITIONS:
        raise UserError(
            f"--per-position: a picture has {len(positions):,} tiles, and as many detectors are too many; give larger "
            "tiles, or leave the option out."
        )
    for fold, split in enumerate(splits):
        train = split.filter(pc.equal(split["partition"], "train"))["image_id"].to_pylist()
        own = reading.positions(reading.rows(train))
        assert own is not None
        for position in positions:
            if (count := int((own == position).sum())) < _LEAST:
                raise UserError(
                    f"--per-position: in fold {fold}, {count} of the tiles at position {position} of the pictures "
                    "train; others show no foreground there, see --tiles. Give larger tiles, or leave the option out."
                )
