"""Which tiles of a data set detectors see: all that show any foreground, found in a first pass over the masks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import ray.data

from raylab2f.cluster.failures import user_errors_unwrapped
from raylab2f.cluster.pictures.ingest import ingest_pictures, shards_place
from raylab2f.cluster.session import cluster_slots, ray_session
from raylab2f.datasets.pictures import read_mask
from raylab2f.files.atomic import write_parquet
from raylab2f.files.mirror import fetch, publish
from raylab2f.files.parquet import read_parquet
from raylab2f.preparation import Preparation, arrange
from raylab2f.preparation.tile_table import TILES_FILE, TILES_SCHEMA, frame_of, tile_id, tiles_of
from raylab2f.preparation.tiling import kept_tiles

__all__ = ["ingest_tiles"]

# Masks of a task; so many are read before progress is told.
_ROWS = 16
_LOOKED_AT = ["image_id", "foreground_path", "rotation", "height", "width"]


def ingest_tiles(
    pictures: pa.Table,
    fingerprint: str,
    preparation: Preparation,
    cache: str | Path,
    *,
    pixel_limit: int,
    progress: Callable[[int, int], None] | None = None,
    warn: Callable[[str], None] | None = None,
) -> str:
    """The tiles of a data set as shards under `cache`, with their table beside them; arguments as `ingest_pictures`.

    Arguments:
        pictures: `preparation.with_copies` of the dataset with this `fingerprint`.
        preparation: with tiles.

    Returns:
        The place of the shards and of `tiles.parquet`.

    Raises:
        UserError: a picture is smaller than a tile, has too many, or cannot be read any more.
    """
    place = shards_place(cache, fingerprint, preparation)
    table = _kept(pictures, preparation, place)
    of_pictures = ("image_id", "path", "foreground_path", "mask_path", "rotation")
    known = dict(zip(pictures["image_id"].to_pylist(), pictures.select(of_pictures).to_pylist(), strict=True))
    rows = [
        {**known[row["image_id"]], "image_id": row["tile_id"], "top": row["top"], "left": row["left"]}
        for row in table.filter(pc.field("kept")).to_pylist()
    ]
    fields = [*(pictures.schema.field(name) for name in of_pictures), *(TILES_SCHEMA.field(n) for n in ("top", "left"))]
    return ingest_pictures(
        pa.Table.from_pylist(rows, schema=pa.schema(fields)),
        fingerprint,
        preparation,
        cache,
        pixel_limit=pixel_limit,
        progress=progress,
        warn=warn,
    )


def _kept(pictures: pa.Table, preparation: Preparation, place: str) -> pa.Table:
    """The table of tiles at the shards' place, found there or made."""
    table = tiles_of(pictures, preparation)
    path = fetch(place, [TILES_FILE]) / TILES_FILE
    if (found := _found(path, table)) is not None:
        return found
    masked = pictures.filter(pc.is_valid(pictures["foreground_path"]))
    if masked.num_rows:
        kept = _looked_at(masked, preparation)
        own = zip(table["image_id"].to_pylist(), table["tile_id"].to_pylist(), strict=True)
        column = pa.array([image_id not in kept or tile in kept[image_id] for image_id, tile in own], pa.bool_())
        table = table.set_column(table.column_names.index("kept"), "kept", column)
    write_parquet(path, table)
    publish(place, [TILES_FILE])
    return table


def _found(path: Path, table: pa.Table) -> pa.Table | None:
    """What was written before, if it is of these very tiles."""
    try:
        found = read_parquet(path)
        same = found.schema.equals(table.schema) and found.drop_columns("kept").equals(table.drop_columns("kept"))
    except (OSError, pa.ArrowException):
        return None
    return found if same else None


def _looked_at(pictures: pa.Table, preparation: Preparation) -> dict[str, set[str]]:
    """By picture, the ids of its tiles that are kept."""
    columns = pictures.select(_LOOKED_AT).sort_by("image_id")
    items = [columns.slice(start, _ROWS).to_pydict() for start in range(0, columns.num_rows, _ROWS)]
    with ray_session(), user_errors_unwrapped():
        dataset = ray.data.from_items(items, override_num_blocks=len(items)).flat_map(
            _Looker(preparation), num_cpus=1, concurrency=min(cluster_slots()[0], len(items))
        )
        return {row["image_id"]: set(row["tiles"]) for row in dataset.iter_rows()}


class _Looker:
    """Read masks and say which tiles show any foreground."""

    def __init__(self, preparation: Preparation) -> None:
        self.preparation = preparation

    def __call__(self, item: dict[str, Any]) -> list[dict[str, Any]]:
        tiling = self.preparation.tiling
        assert tiling is not None
        found = []
        for image_id, path, rotation, height, width in zip(*(item[name] for name in _LOOKED_AT), strict=True):
            mask, angle = read_mask(path), float(rotation)
            blank = np.zeros((*mask.shape, 3), np.uint8)
            _, foreground, _ = arrange(blank, self.preparation, foreground=mask, angle=angle)
            boxes = tiling.boxes(frame_of(int(height), int(width), angle, self.preparation))
            kept = zip(boxes, kept_tiles(boxes, foreground), strict=True)
            tiles = [tile_id(image_id, box.top, box.left) for box, seen in kept if seen]
            found.append({"image_id": image_id, "tiles": tiles})
        return found
