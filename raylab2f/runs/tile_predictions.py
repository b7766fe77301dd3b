"""`tiles.parquet` of a fold: what the detector said of every tile, and its maps at the resolution of the pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray

from raylab2f.datasets.pictures import read_mask
from raylab2f.detectors.base import Detector
from raylab2f.evaluation.pixels.pixel_curves import PixelBatch
from raylab2f.files.atomic import atomic_path
from raylab2f.files.parquet import read_parquet
from raylab2f.preparation import Preparation, arrange
from raylab2f.preparation.tile_table import TILES_FILE
from raylab2f.runs.tiled import Reading, Tiled

__all__ = ["TILES_FILE", "Keep", "full_size_batches", "kept_tiles"]

#: Hears the pictures of a portion, and (r,) scores and (r, h, w) maps of what was read for them.
Keep = Callable[[Sequence[str], NDArray[np.float32], NDArray[np.float32]], None]

# Tiles' maps that are enlarged at a time.
_BATCH = 32


@contextmanager
def kept_tiles(folder: Path, reading: Reading) -> Iterator[Keep | None]:
    """A function that writes tiles' predictions to the fold's folder as they come; `None` where there are no tiles.

    The file has the columns `tile_id`, `image_id`, `score` and `map`, a row group for each picture.
    """
    if not isinstance(reading, Tiled):
        yield None
        return
    writer: pq.ParquetWriter | None = None
    with atomic_path(folder / TILES_FILE) as temporary:

        def keep(image_ids: Sequence[str], scores: NDArray[np.float32], maps: NDArray[np.float32]) -> None:
            nonlocal writer
            start = 0
            for image_id in image_ids:
                tiles = reading.rows([image_id])
                own = slice(start, start + len(tiles))
                start = own.stop
                table = pa.table(
                    {
                        "tile_id": tiles,
                        "image_id": [image_id] * len(tiles),
                        "score": pa.array(scores[own], pa.float64()),
                        "map": pa.FixedShapeTensorArray.from_numpy_ndarray(np.ascontiguousarray(maps[own])),
                    }
                )
                writer = writer or pq.ParquetWriter(temporary, table.schema, compression="zstd")
                writer.write_table(table)

        yield keep
        if writer:
            writer.close()


def full_size_batches(
    folder: Path, manifest: Path, image_ids: Sequence[str], detector: Detector, reading: Tiled, device: torch.device
) -> Iterator[PixelBatch]:
    """Pictures one by one, with map and defect mask (H, W) at their own resolution.

    Arguments:
        folder: of the fold, with its `tiles.parquet`.
        manifest: the run's `pictures.parquet`; names the masks.
        image_ids: which pictures.
        detector: brings a tile's map to the size of the prepared tile; from there it is read linearly.
        reading: of the fold.
        device: where maps are enlarged.

    Raises:
        UserError: a mask cannot be read any more.
    """
    columns = ["image_id", "mask_path", "foreground_path", "rotation"]
    rows = {row["image_id"]: row for row in read_parquet(manifest, columns=columns).to_pylist()}
    wanted = set(image_ids)
    with pq.ParquetFile(folder / TILES_FILE) as file:
        for group in range(file.num_row_groups):
            table = file.read_row_group(group)
            image_id = table["image_id"][0].as_py()
            if image_id not in wanted:
                continue
            # Arrow's memory is read-only, which torch warns of.
            maps = torch.from_numpy(table["map"].combine_chunks().to_numpy_ndarray().copy()).to(device)
            with torch.inference_mode():
                large = [detector.upsample(some, reading.preparation.size).float().cpu() for some in maps.split(_BATCH)]
            [whole] = reading.full_maps([image_id], torch.cat(large).numpy())
            defect = _defect(rows[image_id], whole.shape, reading.preparation)
            yield PixelBatch((image_id,), whole[None], defect[None])


def _defect(row: Mapping[str, Any], shape: tuple[int, ...], preparation: Preparation) -> NDArray[np.bool_]:
    """The defect mask of a picture, arranged as the picture was; nothing is marked where there is none."""
    if row["mask_path"] is None:
        return np.zeros(shape, bool)
    mask, foreground = read_mask(row["mask_path"]), None
    if preparation.needs_foreground:
        foreground = read_mask(row["foreground_path"])
    blank = np.zeros((*mask.shape, 3), np.uint8)
    return arrange(blank, preparation, foreground=foreground, defect=mask, angle=row["rotation"])[2]
