"""Ray Data reads and prepares pictures and leaves image shards on storage."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import ray.data
from numpy.typing import NDArray

from raylab2f.cluster.failures import user_errors_unwrapped
from raylab2f.cluster.session import cluster_slots, ray_session
from raylab2f.datasets.pictures import read_mask, read_picture
from raylab2f.files.atomic import STALE_SECONDS, remove_temporaries
from raylab2f.files.mirror import fetch, local, publish, repair
from raylab2f.files.places import absolute, join, name_of, parent_of
from raylab2f.preparation import (
    SHARD_ROWS,
    Preparation,
    Prepared,
    drop_damaged_shards,
    finish_shards,
    prepare,
    prepare_tiles,
    shard_address,
    write_shard,
)
from raylab2f.preparation.embedding import Box
from raylab2f.preparation.shards import shard_path

__all__ = ["ingest_pictures", "prepare_files", "shards_place"]

_COLUMNS = ["image_id", "path", "foreground_path", "mask_path", "rotation"]
# Of tiles, beside.
_CORNER = ["top", "left"]


def ingest_pictures(
    pictures: pa.Table,
    fingerprint: str,
    preparation: Preparation,
    cache: str | Path,
    *,
    pixel_limit: int,
    progress: Callable[[int, int], None] | None = None,
    warn: Callable[[str], None] | None = None,
) -> str:
    """Prepared pictures of a dataset as shards under `cache`; what is there already is not made again.

    Arguments:
        pictures: `preparation.with_copies` of the dataset with this `fingerprint`, at the preparation's angles. Of a
            preparation with tiles a row for each of them: its id, its picture's files, and `top` and `left`.
        progress: called with pictures done and pictures in all.
        warn: called with a sentence on shards that were found damaged and are made again.

    Returns:
        The place of the shards; their files are in this machine's mirror of it.

    Raises:
        UserError: a picture cannot be read any more.
    """
    place = shards_place(cache, fingerprint, preparation)
    folder = local(place)
    remove_temporaries(folder, STALE_SECONDS)
    damaged = repair(place, drop_damaged_shards)
    if damaged and warn:
        warn(f"{place}: {', '.join(damaged)} not as written; prepared again.")
    if (folder / "shards.json").exists():
        publish(place)
        return place
    pictures = pictures.sort_by("image_id")
    columns = _COLUMNS if preparation.tiles is None else _COLUMNS + _CORNER
    items = []
    for shard, start in enumerate(range(0, pictures.num_rows, SHARD_ROWS)):
        if not shard_path(folder, shard).exists():
            rows = pictures.slice(start, SHARD_ROWS).select(columns)
            items.append({"file": join(place, shard_path(folder, shard).name), **rows.to_pydict()})
    if items:
        write = _ShardWriter(preparation, pixel_limit)
        done = 0
        # One block an item: a worker holds one shard's pictures at a time, and a lost worker costs one shard.
        with ray_session(), user_errors_unwrapped():
            dataset = ray.data.from_items(items, override_num_blocks=len(items)).map(
                write, num_cpus=1, concurrency=min(cluster_slots()[0], len(items))
            )
            for row in dataset.iter_rows():
                done += row["count"]
                if progress:
                    progress(done, sum(len(item["image_id"]) for item in items))
        fetch(place)
    has_foregrounds = pictures["foreground_path"].null_count < pictures.num_rows
    finish_shards(
        folder,
        pictures["image_id"].to_pylist(),
        has_foregrounds,
        {"dataset": fingerprint, "preparation": preparation.to_dict()},
    )
    publish(place)
    return place


def shards_place(cache: str | Path, fingerprint: str, preparation: Preparation) -> str:
    """Where the cache has, or will have, the shards of a data set prepared in one way."""
    return absolute(join(cache, "pictures", shard_address(fingerprint, preparation.to_dict())))


def prepare_files(
    path: str,
    foreground: str | None,
    defect: str | None,
    preparation: Preparation,
    angles: Sequence[float],
    pixel_limit: int,
) -> list[Prepared]:
    """A picture and its masks, read once and prepared at each angle."""
    picture, masks = _read(path, foreground, defect, pixel_limit)
    return [prepare(picture, preparation, **masks, angle=angle) for angle in angles]


def _read(
    path: str, foreground: str | None, defect: str | None, pixel_limit: int
) -> tuple[NDArray[np.uint8], dict[str, NDArray[np.bool_] | None]]:
    masks = {
        "foreground": None if foreground is None else read_mask(foreground),
        "defect": None if defect is None else read_mask(defect),
    }
    return read_picture(path, pixel_limit=pixel_limit), masks


def _tiles(
    path: str,
    foreground: str | None,
    defect: str | None,
    preparation: Preparation,
    places: Sequence[tuple[float, int, int]],
    pixel_limit: int,
) -> list[Prepared]:
    """Tiles of a picture, read once: of the copy that is turned by so many degrees, from so many pixels down, right."""
    picture, masks = _read(path, foreground, defect, pixel_limit)
    tiling = preparation.tiling
    assert tiling is not None
    prepared: list[Prepared] = []
    for angle, some in groupby(places, key=lambda place: place[0]):
        boxes = [Box(top, left, tiling.height, tiling.width) for _, top, left in some]
        prepared.extend(prepare_tiles(picture, preparation, boxes, **masks, angle=angle))
    return prepared


class _ShardWriter:
    """Read, prepare and write the pictures of one shard."""

    def __init__(self, preparation: Preparation, pixel_limit: int) -> None:
        self.preparation = preparation
        self.pixel_limit = pixel_limit

    def __call__(self, item: dict[str, Any]) -> dict[str, Any]:
        columns = [item[name] for name in (*_COLUMNS[1:], *(name for name in _CORNER if name in item))]
        prepared: list[Prepared] = []
        # The turned copies of a picture follow it, and so do its tiles: its files are decoded once.
        for (path, foreground, defect), copies in groupby(zip(*columns, strict=True), key=lambda row: row[:3]):
            files = path, foreground, defect
            turns = [copy[3:] for copy in copies]
            if self.preparation.tiling is None:
                angles = [rotation for (rotation,) in turns]
                prepared.extend(prepare_files(*files, self.preparation, angles, self.pixel_limit))
            else:
                prepared.extend(_tiles(*files, self.preparation, turns, self.pixel_limit))
        write_shard(
            local(item["file"]),
            list(item["image_id"]),
            np.stack([one.picture for one in prepared]),
            np.stack([one.foreground for one in prepared]),
            np.stack([one.defect for one in prepared]),
        )
        publish(parent_of(item["file"]), [name_of(item["file"])])
        return {"count": len(prepared)}
