"""Which tiles of a data set detectors see: all that show any foreground, found in a first pass over the masks."""

from __future__ import annotations

from collections.abc import Callable
from itertools import compress
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
_LOOKED_AT = ["image_id", "foreground_path", "mask_path", "rotation", "height", "width"]
# Columns that masks decide.
_SEEN = ["kept", "hides"]


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
        looked = _looked_at(masked, preparation)
        own = list(zip(table["image_id"].to_pylist(), table["tile_id"].to_pylist(), strict=True))
        columns = {
            "kept": [image_id not in looked or tile in looked[image_id][0] for image_id, tile in own],
            "hides": [image_id in looked and tile in looked[image_id][1] for image_id, tile in own],
        }
        for name, values in columns.items():
            table = table.set_column(table.column_names.index(name), name, pa.array(values, pa.bool_()))
    write_parquet(path, table)
    publish(place, [TILES_FILE])
    return table


def _found(path: Path, table: pa.Table) -> pa.Table | None:
    """What was written before, if it is of these very tiles."""
    try:
        found = read_parquet(path)
        same = found.schema.equals(table.schema) and found.drop_columns(_SEEN).equals(table.drop_columns(_SEEN))
    except (OSError, pa.ArrowException):
        return None
    return found if same else None


def _looked_at(pictures: pa.Table, preparation: Preparation) -> dict[str, tuple[set[str], set[str]]]:
    """By picture, the ids of its tiles that are kept, and of those that hide a defect."""
    columns = pictures.select(_LOOKED_AT).sort_by("image_id")
    items = [columns.slice(start, _ROWS).to_pydict() for start in range(0, columns.num_rows, _ROWS)]
    with ray_session(), user_errors_unwrapped():
        dataset = ray.data.from_items(items, override_num_blocks=len(items)).flat_map(
            _Looker(preparation), num_cpus=1, concurrency=min(cluster_slots()[0], len(items))
        )
        return {row["image_id"]: (set(row["kept"]), set(row["hiding"])) for row in dataset.iter_rows()}


class _Looker:
    """Read masks and say which tiles show any foreground, and then which others show a defect."""

    def __init__(self, preparation: Preparation) -> None:
        self.preparation = preparation

    def __call__(self, item: dict[str, Any]) -> list[dict[str, Any]]:
        tiling = self.preparation.tiling
        assert tiling is not None
        found = []
        for image_id, path, defect_path, rotation, height, width in zip(
            *(item[name] for name in _LOOKED_AT), strict=True
        ):
            mask, angle = read_mask(path), float(rotation)
            blank = np.zeros((*mask.shape, 3), np.uint8)
            defect = None if defect_path is None else read_mask(defect_path)
            _, foreground, defect = arrange(blank, self.preparation, foreground=mask, defect=defect, angle=angle)
            boxes = tiling.boxes(frame_of(int(height), int(width), angle, self.preparation))
            kept = kept_tiles(boxes, foreground)
            windows = [(slice(b.top, b.top + b.height), slice(b.left, b.left + b.width)) for b in boxes]
            # Nothing is decided by defects; what is not seen of them is told.
            for window, seen in zip(windows, kept, strict=True):
                if seen:
                    defect[window] = False
            hiding = [not seen and bool(defect[w].any()) for w, seen in zip(windows, kept, strict=True)]
            ids = [tile_id(image_id, box.top, box.left) for box in boxes]
            chosen = {"kept": kept, "hiding": hiding}
            found.append({"image_id": image_id, **{name: list(compress(ids, marks)) for name, marks in chosen.items()}})
        return found
