"""A first pass over the foreground masks: how large is every object, and is there one at all."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import ray.data

from raylab2f.cluster.failures import user_errors_unwrapped
from raylab2f.cluster.session import cluster_slots, ray_session
from raylab2f.datasets.entries import first_few
from raylab2f.datasets.pictures import read_mask
from raylab2f.errors import UserError
from raylab2f.files.atomic import write_parquet
from raylab2f.files.mirror import fetch, publish
from raylab2f.files.parquet import read_parquet
from raylab2f.files.places import join
from raylab2f.preparation.embedding import FOREGROUND_SCHEMA, bounding_box
from raylab2f.preparation.rotation import rotate_mask

__all__ = ["measure_foregrounds"]

# Raised whenever the same masks give other sizes than before. 2: all classes of a mask are marked.
_FORMAT = 2
_ROWS = 256


def measure_foregrounds(
    pictures: pa.Table, fingerprint: str, cache: str | Path, *, progress: Callable[[int, int], None] | None = None
) -> pa.Table:
    """The size of every picture's foreground, from `cache` where it was measured before.

    Arguments:
        pictures: `preparation.with_copies` of the dataset with this `fingerprint`.
        progress: called with masks done and masks in all.

    Returns:
        Table of `preparation.embedding.FOREGROUND_SCHEMA`, sorted by `image_id`.

    Raises:
        UserError: lists pictures without a foreground mask; a mask cannot be read any more.
    """
    without = pictures.filter(pc.is_null(pictures["foreground_path"]))["image_id"].to_pylist()
    if without:
        raise UserError(
            f"--mask-background and --centre-embed need a foreground mask for every picture, but {len(without)} have "
            f"none: {first_few(without)}; make them with raylab2f segment."
        )
    angles = sorted(set(pictures["rotation"].to_pylist()))
    text = json.dumps({"format": _FORMAT, "dataset": fingerprint, "angles": angles})
    folder, name = join(cache, "foregrounds"), f"{hashlib.sha256(text.encode()).hexdigest()[:20]}.parquet"
    path = fetch(folder, [name]) / name
    if path.exists():
        return read_parquet(path)
    columns = pictures.select(["image_id", "foreground_path", "rotation"])
    items = [columns.slice(start, _ROWS).to_pydict() for start in range(0, columns.num_rows, _ROWS)]
    rows: list[dict[str, Any]] = []
    with ray_session(), user_errors_unwrapped():
        dataset = ray.data.from_items(items, override_num_blocks=len(items)).flat_map(
            _measure, num_cpus=1, concurrency=min(cluster_slots()[0], len(items))
        )
        for row in dataset.iter_rows():
            rows.append(row)
            if progress:
                progress(len(rows), columns.num_rows)
    table = pa.Table.from_pylist(rows, schema=FOREGROUND_SCHEMA).sort_by("image_id")
    write_parquet(path, table)
    publish(folder, [name])
    return table


def _measure(item: dict[str, Any]) -> list[dict[str, Any]]:
    rows = []
    for image_id, path, angle in zip(item["image_id"], item["foreground_path"], item["rotation"], strict=True):
        mask = read_mask(path)
        turned = rotate_mask(mask, angle, grow=True, reflect=False)
        box = bounding_box(turned)
        height, width = (0, 0) if box is None else (box.height, box.width)
        rows.append({"image_id": image_id, "height": height, "width": width, "share": float(mask.mean())})
    return rows
