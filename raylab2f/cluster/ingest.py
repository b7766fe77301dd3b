"""Ray Data reads and prepares pictures and leaves image shards on storage."""

from __future__ import annotations

from collections.abc import Callable
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import ray.data

from raylab2f.cluster.failures import user_errors_unwrapped
from raylab2f.cluster.session import ray_session
from raylab2f.datasets.pictures import read_mask, read_picture
from raylab2f.preparation import (
    SHARD_ROWS,
    PictureShards,
    Preparation,
    Prepared,
    drop_damaged_shards,
    finish_shards,
    prepare,
    shard_address,
    write_shard,
)
from raylab2f.preparation.shards import shard_path

__all__ = ["ingest_pictures"]

_COLUMNS = ["image_id", "path", "foreground_path", "mask_path", "rotation"]


def ingest_pictures(
    pictures: pa.Table,
    fingerprint: str,
    preparation: Preparation,
    cache: Path,
    *,
    pixel_limit: int,
    progress: Callable[[int, int], None] | None = None,
    warn: Callable[[str], None] | None = None,
) -> PictureShards:
    """Prepared pictures of a dataset as shards under `cache`; what is there already is not made again.

    Arguments:
        pictures: `preparation.with_copies` of the dataset with this `fingerprint`, at the preparation's angles.
        progress: called with pictures done and pictures in all.
        warn: called with a sentence on shards that were found damaged and are made again.

    Raises:
        UserError: a picture cannot be read any more.
    """
    folder = cache / "pictures" / shard_address(fingerprint, preparation.to_dict())
    damaged = drop_damaged_shards(folder)
    if damaged and warn:
        warn(f"{folder}: {', '.join(damaged)} not as written; prepared again.")
    if (folder / "shards.json").exists():
        return PictureShards.open(folder)
    pictures = pictures.sort_by("image_id")
    items = []
    for shard, start in enumerate(range(0, pictures.num_rows, SHARD_ROWS)):
        if not shard_path(folder, shard).exists():
            rows = pictures.slice(start, SHARD_ROWS).select(_COLUMNS)
            items.append({"file": str(shard_path(folder, shard)), **rows.to_pydict()})
    if items:
        write = _ShardWriter(preparation, pixel_limit)
        done = 0
        # One block an item: a worker holds one shard's pictures at a time, and a lost worker costs one shard.
        with ray_session(), user_errors_unwrapped():
            dataset = ray.data.from_items(items, override_num_blocks=len(items)).map(write, num_cpus=1)
            for row in dataset.iter_rows():
                done += row["count"]
                if progress:
                    progress(done, sum(len(item["image_id"]) for item in items))
    has_foregrounds = pictures["foreground_path"].null_count < pictures.num_rows
    finish_shards(
        folder,
        pictures["image_id"].to_pylist(),
        has_foregrounds,
        {"dataset": fingerprint, "preparation": preparation.to_dict()},
    )
    return PictureShards.open(folder)


class _ShardWriter:
    """Read, prepare and write the pictures of one shard."""

    def __init__(self, preparation: Preparation, pixel_limit: int) -> None:
        self.preparation = preparation
        self.pixel_limit = pixel_limit

    def __call__(self, item: dict[str, Any]) -> dict[str, Any]:
        rows = zip(*(item[name] for name in _COLUMNS[1:]), strict=True)
        prepared: list[Prepared] = []
        # The turned copies of a picture follow it, so its files are decoded once.
        for (path, foreground, defect), copies in groupby(rows, key=lambda row: row[:3]):
            prepared.extend(self._prepare(path, foreground, defect, [rotation for *_, rotation in copies]))
        write_shard(
            Path(item["file"]),
            list(item["image_id"]),
            np.stack([one.picture for one in prepared]),
            np.stack([one.foreground for one in prepared]),
            np.stack([one.defect for one in prepared]),
        )
        return {"count": len(prepared)}

    def _prepare(self, path: str, foreground: str | None, defect: str | None, angles: list[float]) -> list[Prepared]:
        picture = read_picture(path, pixel_limit=self.pixel_limit)
        masks = {
            "foreground": None if foreground is None else read_mask(foreground),
            "defect": None if defect is None else read_mask(defect),
        }
        return [prepare(picture, self.preparation, **masks, angle=angle) for angle in angles]
