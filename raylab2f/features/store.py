"""The feature store: what a frozen backbone computed of a dataset, once for all folds, detectors and runs.

A store is a folder named by the `address` of its ingredients:

- `part-00000.<layer>.npy`: (n, C, H, W) float16 or float32 maps of some pictures, read through memory maps;
- `part-00000.json`: the part's image ids and its files' checksums; written after its arrays, so a part with it is
  whole. Of no use once the store is finished, but another process may be reading it;
- `index.parquet`: `image_id`, `part`, `row` of every picture;
- `store.json`: ingredients, layers, shapes, type, and every file's size and sha256; written last, so a store with it
  is finished.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from raylab2f.errors import UserError
from raylab2f.features.ingredients import STORE_FORMAT
from raylab2f.features.store_writing import array_path
from raylab2f.files.digests import sha256_of
from raylab2f.files.parquet import read_parquet
from raylab2f.files.strangers import read_json, require_readable

__all__ = ["FeatureStore"]

_PORTION = 256


@dataclass(frozen=True)
class FeatureStore:
    """A finished store, open for reading; see `open`. Nothing is kept in memory but the index.

    Arguments:
        folder: where it lies.
        layers: names, in the order asked for.
        shapes: (C, H, W) per layer.
        dtype: `float16` or `float32`.
        image_ids: all pictures, in the order in which they are stored.
    """

    folder: Path
    layers: tuple[str, ...]
    shapes: Mapping[str, tuple[int, int, int]]
    dtype: str
    image_ids: tuple[str, ...]
    _places: Mapping[str, tuple[int, int]]
    _parts: tuple[dict[str, Any], ...]

    @classmethod
    def open(cls, folder: str | Path) -> FeatureStore:
        """Open a finished store. Files' presence and sizes are checked, their content by `verify`.

        Raises:
            UserError: it is absent, unfinished or damaged.
        """
        folder = Path(folder)
        content = _description(folder)
        try:
            if not (folder / "index.parquet").is_file():
                raise ValueError("no index")
            if content["format"] != STORE_FORMAT or content["index"]["sha256"] != sha256_of(folder / "index.parquet"):
                raise ValueError("another format, or an index of another store")
            index = read_parquet(folder / "index.parquet")
            image_ids = index["image_id"].to_pylist()
            places = zip(index["part"].to_pylist(), index["row"].to_pylist(), strict=True)
            store = cls(
                folder=folder,
                layers=tuple(content["layers"]),
                shapes={layer: (shape[0], shape[1], shape[2]) for layer, shape in content["shapes"].items()},
                dtype=content["dtype"],
                image_ids=tuple(image_ids),
                _places=dict(zip(image_ids, places, strict=True)),
                _parts=tuple(content["parts"]),
            )
            sizes = {path: file["bytes"] for path, file in store._files()}
            store._require_sane()
        except PermissionError as error:
            raise require_readable(error, folder) from error
        except (OSError, ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
            raise _damaged(folder, "store.json or index.parquet") from error
        for path, size in sizes.items():
            if not path.is_file() or path.stat().st_size != size:
                raise _damaged(folder, path.name)
        return store

    def read(self, image_ids: Sequence[str], layer: str) -> np.ndarray:
        """The maps (n, C, H, W) of the named pictures, in their order, copied from the memory-mapped parts.

        Raises:
            UserError: a picture is not in the store, or a file is damaged.
        """
        unknown = [image_id for image_id in image_ids if image_id not in self._places]
        if unknown:
            raise UserError(
                f"feature store {self.folder} lacks picture {unknown[0]}; delete it, it will be made again."
            )
        maps = np.empty((len(image_ids), *self.shapes[layer]), self.dtype)
        part, row = np.array([self._places[image_id] for image_id in image_ids], np.int64).reshape(-1, 2).T
        # In the order of the disk; pictures that follow one another there and in the request are copied at once.
        order = np.lexsort((row, part))
        part, row = part[order], row[order]
        breaks = (np.diff(part) != 0) | (np.diff(row) != 1) | (np.diff(order) != 1)
        opened, mapped = -1, maps
        for run in np.split(np.arange(len(order)), np.flatnonzero(breaks) + 1) if len(order) else ():
            if part[run[0]] != opened:
                opened = int(part[run[0]])
                mapped = self._map(opened, layer)
            target, source = order[run[0]], row[run[0]]
            maps[target : target + len(run)] = mapped[source : source + len(run)]
        return maps

    def parts_of(self, image_ids: Sequence[str]) -> np.ndarray:
        """(n,) int64: the parts in which the named pictures lie."""
        return np.array([self._places[image_id][0] for image_id in image_ids], np.int64)

    def means(self, image_ids: Sequence[str], layer: str) -> np.ndarray:
        """(n, C) float64: the maps of the named pictures, averaged over positions; a portion at a time is in memory.

        Raises:
            UserError: as for `read`.
        """
        portions = (image_ids[start : start + _PORTION] for start in range(0, len(image_ids), _PORTION))
        means = [self.read(portion, layer).mean(axis=(2, 3), dtype=np.float64) for portion in portions]
        return np.concatenate([np.empty((0, self.shapes[layer][0])), *means])

    def verify(self) -> None:
        """Read every file and compare its sha256.

        Raises:
            UserError: naming the first file that is not as it was written.
        """
        for path, file in self._files():
            if not path.is_file() or sha256_of(path) != file["sha256"]:
                raise _damaged(self.folder, path.name)

    def _require_sane(self) -> None:
        """`ValueError` if what the files say is not of a store of ours; their sizes bound what is to be read."""
        known = self.dtype in ("float16", "float32") and all(isinstance(value, str) for value in self.image_ids)
        numbers = [number for shape in self.shapes.values() for number in shape]
        if not known or not all(type(number) is int and number > 0 for number in numbers):
            raise ValueError("other types")
        for part in self._parts:
            for layer in self.layers:
                least = part["rows"] * math.prod(self.shapes[layer]) * np.dtype(self.dtype).itemsize
                if type(part["rows"]) is not int or part["rows"] < 0 or part["files"][layer]["bytes"] < least:
                    raise ValueError("files are smaller than their content")
        if any(
            not (0 <= part < len(self._parts) and 0 <= row < self._parts[part]["rows"])
            for part, row in self._places.values()
        ):
            raise ValueError("pictures that no part has")

    def _files(self) -> Iterator[tuple[Path, dict[str, Any]]]:
        for part, record in enumerate(self._parts):
            for layer in self.layers:
                yield array_path(self.folder, part, layer), record["files"][layer]

    def _map(self, part: int, layer: str) -> np.ndarray:
        path = array_path(self.folder, part, layer)
        shape = (self._parts[part]["rows"], *self.shapes[layer])
        try:
            mapped: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
        except PermissionError as error:
            raise require_readable(error, path) from error
        except (OSError, ValueError) as error:
            raise _damaged(self.folder, path.name) from error
        if mapped.shape != shape or mapped.dtype != self.dtype:
            raise _damaged(self.folder, path.name)
        return mapped


def _description(folder: Path) -> Any:
    try:
        return read_json(folder / "store.json")
    except FileNotFoundError as error:
        raise UserError(f"{folder} holds no finished feature store; run the extraction again to finish it.") from error
    except UserError as error:
        if isinstance(error.__cause__, PermissionError):
            raise
        raise _damaged(folder, "store.json") from error


def _damaged(folder: Path, file: str) -> UserError:
    return UserError(f"feature store {folder} is damaged ({file}); delete it, it will be made again.")
