"""Image shards: prepared pictures and masks as Parquet files with fixed-shape tensors.

A shard holds `SHARD_ROWS` rows of the manifest, in the order of `image_id`, in the columns `image_id`, `picture`
(H, W, 3 uint8), `foreground` and `defect` (H, W uint8, 0 or 1). `shards.json` is written last: a folder without it is
unfinished, and the shards that are there need not be written again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from raylab2f.errors import UserError
from raylab2f.files.atomic import write_json, write_parquet
from raylab2f.files.digests import sha256_of
from raylab2f.files.parquet import read_parquet
from raylab2f.files.permissions import delete_damaged
from raylab2f.files.strangers import read_json

__all__ = ["SHARD_ROWS", "PictureShards", "drop_damaged_shards", "finish_shards", "shard_address", "write_shard"]

SHARD_ROWS = 64
_FORMAT = 1
_TENSORS = ("picture", "foreground", "defect")


def shard_address(fingerprint: str, preparation: dict[str, Any]) -> str:
    """Name of the folder for a dataset prepared in one way."""
    text = json.dumps({"format": _FORMAT, "dataset": fingerprint, "preparation": preparation}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def write_shard(
    path: Path,
    image_ids: Sequence[str],
    pictures: NDArray[np.uint8],
    foregrounds: NDArray[np.bool_],
    defects: NDArray[np.bool_],
) -> None:
    """Write one shard: (n, H, W, 3) pictures, (n, H, W) masks."""
    arrays = {
        "picture": pictures,
        "foreground": foregrounds.astype(np.uint8),
        "defect": defects.astype(np.uint8),
    }
    columns: dict[str, Any] = {"image_id": pa.array(image_ids, pa.string())}
    for name, array in arrays.items():
        columns[name] = pa.FixedShapeTensorArray.from_numpy_ndarray(np.ascontiguousarray(array))
    write_parquet(path, pa.table(columns))


def finish_shards(folder: Path, image_ids: Sequence[str], has_foregrounds: bool, description: dict[str, Any]) -> None:
    """Mark a folder whose shards hold `image_ids`, in this order, as complete."""
    own: dict[str, Any] = {"format": _FORMAT, "has_foregrounds": has_foregrounds, "image_ids": list(image_ids)}
    own["sha256"] = [sha256_of(shard_path(folder, shard)) for shard in range(-(-len(image_ids) // SHARD_ROWS))]
    write_json(folder / "shards.json", {**description, **own})


def drop_damaged_shards(folder: Path) -> list[str]:
    """Delete the shards of a complete folder that are not as they were written, which makes it unfinished again.

    Returns:
        Their names; whoever fills the folder writes them anew.
    """
    index = folder / "shards.json"
    try:
        recorded = _digests(read_json(index), index)
    except FileNotFoundError:
        return []
    except UserError as error:
        if isinstance(error.__cause__, PermissionError):
            raise
        delete_damaged(index)
        return [index.name]
    paths = [shard_path(folder, shard) for shard in range(len(recorded))]
    damaged = [
        path for path, digest in zip(paths, recorded, strict=True) if not path.is_file() or sha256_of(path) != digest
    ]
    if damaged:
        delete_damaged(index)
    for path in damaged:
        delete_damaged(path)
    return [path.name for path in damaged]


def shard_path(folder: Path, shard: int) -> Path:
    """File of shard number `shard`."""
    return folder / f"part-{shard:05d}.parquet"


@dataclass(frozen=True)
class PictureShards:
    """The prepared pictures in a complete folder.

    Arguments:
        folder: where they lie.
        image_ids: all pictures, in the shards' order.
        has_foregrounds: false when no picture came with a foreground mask (all are then true everywhere).
    """

    folder: Path
    image_ids: tuple[str, ...]
    has_foregrounds: bool

    @classmethod
    def open(cls, folder: Path) -> PictureShards:
        """The shards in `folder`; `UserError` when it is unfinished or damaged."""
        try:
            description = read_json(folder / "shards.json")
        except FileNotFoundError as error:
            raise UserError(f"{folder} holds no finished image shards; run the command again.") from error
        digests = _digests(description, folder / "shards.json")
        image_ids, has_foregrounds = description.get("image_ids"), description.get("has_foregrounds")
        if not _are_texts(image_ids) or not isinstance(has_foregrounds, bool):
            raise _damaged(folder / "shards.json")
        if digests and len(digests) != -(-len(image_ids) // SHARD_ROWS):
            raise _damaged(folder / "shards.json")
        return cls(folder, tuple(image_ids), has_foregrounds)

    @property
    def shard_count(self) -> int:
        return -(-len(self.image_ids) // SHARD_ROWS)

    def read(self, image_ids: Sequence[str], columns: Sequence[str] = _TENSORS) -> dict[str, NDArray[np.uint8]]:
        """The columns asked for, each (n, ...) uint8, rows in the order of `image_ids`; a shard in memory at a time."""
        place = {image_id: row for row, image_id in enumerate(self.image_ids)}
        wanted: dict[int, list[tuple[int, int]]] = {}
        for target, image_id in enumerate(image_ids):
            shard, row = divmod(place[image_id], SHARD_ROWS)
            wanted.setdefault(shard, []).append((target, row))
        result: dict[str, NDArray[np.uint8]] = {}
        for shard, places in sorted(wanted.items()):
            targets, rows = (list(column) for column in zip(*places, strict=True))
            for name, array in read_shard(shard_path(self.folder, shard), columns).items():
                whole = result.setdefault(name, np.empty((len(image_ids), *array.shape[1:]), np.uint8))
                whole[targets] = array[rows]
        return result


def _digests(description: Any, index: Path) -> list[str]:
    """The shards' sha256; none were recorded by earlier versions."""
    digests = description.get("sha256", []) if isinstance(description, dict) else None
    if not _are_texts(digests):
        raise _damaged(index)
    return digests


def _damaged(index: Path) -> UserError:
    return UserError(f"{index} is damaged; delete its folder, it will be made again.")


def _are_texts(values: Any) -> TypeGuard[list[str]]:
    return isinstance(values, list) and all(isinstance(value, str) for value in values)


def read_shard(path: Path, columns: Sequence[str] = _TENSORS) -> dict[str, NDArray[np.uint8]]:
    """The tensors of one shard."""
    table = read_parquet(path, columns=list(columns))
    return {name: table[name].combine_chunks().to_numpy_ndarray() for name in columns}
