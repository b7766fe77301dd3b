"""What a finalised model keeps of a run whose pictures were cut into tiles."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from raylab2f.files.mirror import local
from raylab2f.files.parquet import read_parquet
from raylab2f.models.judging import Judge
from raylab2f.models.tiles import Cut
from raylab2f.preparation import PictureShards
from raylab2f.preparation.tile_table import TILES_FILE, TileTable, in_view
from raylab2f.preparation.tiling import shrink_map
from raylab2f.workflows.evidence import RunEvidence

__all__ = ["frame_of_positions", "leaves_out_tiles", "picture_maps", "reference_tiles"]


def leaves_out_tiles(evidence: RunEvidence) -> bool:
    """Whether the run's detectors saw only tiles that show foreground, where pictures have others, too."""
    if evidence.inputs.preparation.tiles is None:
        return False
    return not all(read_parquet(local(evidence.inputs.seen_place) / TILES_FILE)["kept"].to_pylist())


def frame_of_positions(evidence: RunEvidence) -> tuple[int, int] | None:
    """Height and width of the pictures, where each position of their tiles has a detector of its own."""
    if not evidence.settings.preparation.per_position:
        return None
    [frame] = set(_tiles(evidence)[1].frames.values())
    return frame


def reference_tiles(evidence: RunEvidence, rows: pa.Table) -> tuple[pa.Table, NDArray[np.uint8], list[int]]:
    """In place of each reference picture the middle one of its tiles: what the model's detectors are held against.

    Arguments:
        rows: `image_id`, `object_id` and `label` of n pictures; the last one says nothing of what a tile shows.

    Returns:
        The same of the tiles, the tiles (n, H, W, 3) as prepared, and their positions.
    """
    shards, table = _tiles(evidence)
    tiles = [table.tiles[name][len(table.tiles[name]) // 2] for name in rows["image_id"].to_pylist()]
    place = rows.column_names.index("image_id")
    rows = rows.set_column(place, "image_id", pa.array(tiles, pa.string()))
    return rows, shards.read(tiles, ["picture"])["picture"], [table.positions[tile] for tile in tiles]


def picture_maps(evidence: RunEvidence, judge: Judge, image_ids: Sequence[str]) -> NDArray[np.float32]:
    """Maps (n, H, W) of whole pictures, as `Opinion.map` is."""
    shards, table = _tiles(evidence)
    preparation = judge.preparation
    maps = []
    for image_id in image_ids:
        tiles = shards.read(table.tiles[image_id], ["picture"])["picture"]
        positions = tuple(table.positions[tile] for tile in table.tiles[image_id])
        view = in_view(table.boxes[image_id], table.frames[image_id], preparation)
        _, map_ = judge.score_cut(Cut(tiles, *view, table.tiling, positions))
        maps.append(shrink_map(map_, preparation.size))
    return np.stack(maps)


def _tiles(evidence: RunEvidence) -> tuple[PictureShards, TileTable]:
    folder = local(evidence.inputs.seen_place)
    return PictureShards.open(folder), TileTable.open(folder, evidence.inputs.preparation)
