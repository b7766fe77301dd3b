"""Fill a feature store part by part and finish it; see `store.py` for what lies in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from raylab2f.errors import UserError
from raylab2f.features.ingredients import STORE_FORMAT
from raylab2f.files.atomic import atomic_path, write_json, write_parquet
from raylab2f.files.digests import sha256_of
from raylab2f.files.permissions import delete_damaged
from raylab2f.files.strangers import read_json

__all__ = ["array_path", "drop_damaged_parts", "finish_store", "missing_parts", "write_part"]

_DTYPES = ("float16", "float32")


def write_part(
    folder: str | Path,
    part: int,
    image_ids: Sequence[str],
    layers: Sequence[str],
    features: Sequence[np.ndarray],
    dtype: str = "float16",
) -> None:
    """Write one part whole; several processes may write parts of one store. A finished store is left as it is.

    Arguments:
        part: its number; parts are numbered from 0 without gaps.
        features: per layer the pictures' maps, (n, C, H, W).

    Raises:
        UserError: a feature is not finite, or too large for float16.
    """
    folder = Path(folder)
    if dtype not in _DTYPES:
        raise ValueError(f"dtype must be one of {_DTYPES}, not {dtype!r}")
    if any(array.ndim != 4 or len(array) != len(image_ids) for array in features) or len(features) != len(layers):
        raise ValueError(f"expected {len(layers)} arrays (n, C, H, W) with n = {len(image_ids)}")
    if (folder / "store.json").exists():
        return
    files = {}
    for layer, array in zip(layers, features, strict=True):
        stored = _converted(array, dtype, image_ids, layer)
        with atomic_path(array_path(folder, part, layer)) as temporary:
            with temporary.open("wb") as file:
                np.save(file, stored, allow_pickle=False)
            files[layer] = {"bytes": temporary.stat().st_size, "sha256": sha256_of(temporary)}
    shapes = {layer: list(array.shape[1:]) for layer, array in zip(layers, features, strict=True)}
    record = {"image_ids": list(image_ids), "dtype": dtype, "shapes": shapes, "files": files}
    write_json(_record_path(folder, part), record)


def missing_parts(folder: str | Path, part_count: int) -> tuple[int, ...]:
    """The numbers below `part_count` of the parts still to be written; none if the store is finished."""
    folder = Path(folder)
    if (folder / "store.json").exists():
        return ()
    return tuple(part for part in range(part_count) if not _part_is_whole(folder, part))


def finish_store(folder: str | Path, ingredients: Mapping[str, Any]) -> None:
    """Write the index and mark the store finished. Finishing it again does nothing.

    Raises:
        ValueError: parts are missing between others, or do not fit together or to the ingredients.
    """
    folder = Path(folder)
    if (folder / "store.json").exists():
        return
    numbers = sorted(int(path.stem.removeprefix("part-")) for path in folder.glob("part-*.json"))
    if not numbers or numbers != list(range(len(numbers))):
        raise ValueError(f"{folder} has parts {numbers}: some are missing")
    records = [_record(folder, part) for part in numbers]
    first = records[0]
    alike = all(record["dtype"] == first["dtype"] and record["shapes"] == first["shapes"] for record in records)
    if not alike or first["dtype"] != ingredients["dtype"] or sorted(first["shapes"]) != sorted(ingredients["layers"]):
        raise ValueError(f"{folder}: parts differ in layers, shapes or type among themselves or from the ingredients")
    index = pa.table(
        {
            "image_id": pa.array([image_id for record in records for image_id in record["image_ids"]], pa.string()),
            "part": pa.array(np.repeat(numbers, [len(r["image_ids"]) for r in records]), pa.int32()),
            "row": pa.array(np.concatenate([np.arange(len(r["image_ids"])) for r in records]), pa.int32()),
        }
    )
    if len(set(index["image_id"].to_pylist())) < index.num_rows:
        raise ValueError(f"{folder}: an image id stands in several places")
    write_parquet(folder / "index.parquet", index)
    content = {
        "format": STORE_FORMAT,
        "ingredients": dict(ingredients),
        "image_count": index.num_rows,
        "layers": list(ingredients["layers"]),
        "shapes": first["shapes"],
        "dtype": first["dtype"],
        "index": {"sha256": sha256_of(folder / "index.parquet")},
        "parts": [{"rows": len(record["image_ids"]), "files": record["files"]} for record in records],
    }
    write_json(folder / "store.json", content)


def drop_damaged_parts(folder: str | Path) -> list[str]:
    """Delete the parts of a finished store that are not as they were written, which makes it unfinished again.

    Returns:
        The damaged files' names; whoever fills the store writes their parts anew.
    """
    folder = Path(folder)
    mark = folder / "store.json"
    try:
        content = read_json(mark)
        digests = [{layer: file["sha256"] for layer, file in part["files"].items()} for part in content["parts"]]
        index_digest = content["index"]["sha256"]
    except FileNotFoundError:
        return []
    except (UserError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error.__cause__, PermissionError):
            raise
        delete_damaged(mark)
        return [mark.name]
    damaged = {
        part: [array_path(folder, part, k).name for k in files if _differs(array_path(folder, part, k), files[k])]
        for part, files in enumerate(digests)
    }
    names = [name for part in damaged.values() for name in part]
    if _differs(folder / "index.parquet", index_digest):
        names.append("index.parquet")
    if names:
        delete_damaged(mark)
    for part, files in damaged.items():
        if files:
            delete_damaged(_record_path(folder, part))
    return names


def array_path(folder: Path, part: int, layer: str) -> Path:
    """Where a part's maps of one layer lie."""
    return folder / f"part-{part:05d}.{layer}.npy"


def _differs(path: Path, digest: str) -> bool:
    return not path.is_file() or sha256_of(path) != digest


def _converted(array: np.ndarray, dtype: str, image_ids: Sequence[str], layer: str) -> np.ndarray:
    """The array in the type on disk, provided that all of it is finite there."""
    with np.errstate(over="ignore"):
        stored = np.ascontiguousarray(array, dtype)
    bad = np.flatnonzero(~np.isfinite(stored).all(axis=(1, 2, 3)))
    if len(bad) and np.isfinite(array[bad]).all():
        raise UserError(
            f"features of layer {layer} are too large for {dtype} in picture {image_ids[bad[0]]}; choose "
            "--feature-dtype float32."
        )
    if len(bad):
        raise UserError(
            f"features of layer {layer} are not finite in picture {image_ids[bad[0]]}; choose other --layers or "
            "--weights."
        )
    return stored


def _part_is_whole(folder: Path, part: int) -> bool:
    try:
        files = _record(folder, part)["files"]
        return all(array_path(folder, part, layer).stat().st_size == file["bytes"] for layer, file in files.items())
    except (OSError, UserError, ValueError):
        return False


def _record(folder: Path, part: int) -> Any:
    """What is recorded of a part; `ValueError` if it is not what `write_part` writes."""
    record = read_json(_record_path(folder, part))
    try:
        ids, files, shapes = record["image_ids"], record["files"], record["shapes"]
        fits = isinstance(ids, list) and all(isinstance(one, str) for one in ids) and record["dtype"] in _DTYPES
        fits = fits and len(files) > 0 and files.keys() == shapes.keys()
        fits = fits and all(len(s) == 3 and all(type(n) is int and n > 0 for n in s) for s in shapes.values())
        fits = fits and all(isinstance(file["sha256"], str) and type(file["bytes"]) is int for file in files.values())
    except (KeyError, TypeError, AttributeError):
        fits = False
    if not fits:
        raise ValueError(f"{_record_path(folder, part)} is no record of a part")
    return record


def _record_path(folder: Path, part: int) -> Path:
    return folder / f"part-{part:05d}.json"
