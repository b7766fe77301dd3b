"""Ray Data reads and prepares pictures and leaves image shards on storage."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import ray.data

from raylab2f.cluster.failures import user_errors_unwrapped
from raylab2f.datasets.pictures import read_mask, read_picture
from raylab2f.preparation import (
    SHARD_ROWS,
    Preparation,
    finish_shards,
    prepare_mask,
    prepare_picture,
    write_shard,
)
from raylab2f.preparation.shards import PictureShards, shard_address, shard_path

__all__ = ["ingest_pictures"]


def ingest_pictures(
    manifest: pa.Table,
    fingerprint: str,
    preparation: Preparation,
    cache: Path,
    *,
    pixel_limit: int,
    progress: Callable[[int, int], None] | None = None,
) -> PictureShards:
    """Prepared pictures of a dataset as shards under `cache`; what is there already is not made again.

    Arguments:
        manifest: the dataset; `fingerprint` is its fingerprint.
        progress: called with pictures done and pictures in all.

    Raises:
        UserError: a picture cannot be read any more.
    """
    folder = cache / "pictures" / shard_address(fingerprint, preparation.to_dict())
    if (folder / "shards.json").exists():
        return PictureShards.open(folder)
    manifest = manifest.sort_by("image_id")
    items = []
    for shard, start in enumerate(range(0, manifest.num_rows, SHARD_ROWS)):
        if not shard_path(folder, shard).exists():
            rows = manifest.slice(start, SHARD_ROWS).select(["image_id", "path", "foreground_path", "mask_path"])
            items.append({"file": str(shard_path(folder, shard)), **rows.to_pydict()})
    if items:
        write = _ShardWriter(preparation, pixel_limit)
        done = 0
        # One block an item: a worker holds one shard's pictures at a time, and a lost worker costs one shard.
        dataset = ray.data.from_items(items, override_num_blocks=len(items)).map(write, num_cpus=1)
        with user_errors_unwrapped():
            for row in dataset.iter_rows():
                done += row["count"]
                if progress:
                    progress(done, sum(len(item["image_id"]) for item in items))
    has_foregrounds = manifest["foreground_path"].null_count < manifest.num_rows
    finish_shards(
        folder,
        manifest["image_id"].to_pylist(),
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
        pictures, foregrounds, defects = [], [], []
        for path, foreground, defect in zip(item["path"], item["foreground_path"], item["mask_path"], strict=True):
            pictures.append(prepare_picture(read_picture(path, pixel_limit=self.pixel_limit), self.preparation))
            foregrounds.append(self._mask(foreground, absent=True))
            defects.append(self._mask(defect, absent=False))
        write_shard(
            Path(item["file"]),
            list(item["image_id"]),
            np.stack(pictures),
            np.stack(foregrounds),
            np.stack(defects),
        )
        return {"count": len(pictures)}

    def _mask(self, path: str | None, *, absent: bool) -> np.ndarray:
        if path is None:
            return np.full(self.preparation.size, absent)
        return prepare_mask(read_mask(path), self.preparation)
