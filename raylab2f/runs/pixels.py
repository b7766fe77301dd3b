"""Pixel curves of a fold: its maps, brought to picture resolution, held against the defect masks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow.parquet as pq
import torch

from raylab2f.detectors.base import Detector
from raylab2f.evaluation.pixels.pixel_curves import PixelBatch, judge_pixels
from raylab2f.files.atomic import write_parquet
from raylab2f.files.parquet import read_parquet
from raylab2f.preparation import PictureShards
from raylab2f.runs.tile_predictions import full_size_batches
from raylab2f.runs.tiled import Reading, Tiled

__all__ = ["write_pixels"]

_BATCH = 32


def write_pixels(
    folder: Path,
    manifest: Path,
    image_ids: Sequence[str],
    detector: Detector,
    shards: PictureShards,
    device: torch.device,
    reading: Reading | None = None,
) -> bool:
    """Write `pixels.parquet` in the schema of `judge_pixels` from the fold's `maps.parquet`.

    Arguments:
        folder: of the fold.
        manifest: the dataset's `manifest.parquet`.
        image_ids: the fold's inference pictures.
        detector: brings maps to picture resolution.
        shards: hold the masks.
        device: where maps are enlarged.
        reading: how the shards are read; tiles are judged at the resolution of their pictures. `None`: as pictures.

    Returns:
        Whether there was anything to write: without a mask there is not.
    """
    target = folder / "pixels.parquet"
    target.unlink(missing_ok=True)
    columns = ["image_id", "object_id", "label", "mask_path"]
    wanted = set(image_ids)
    pictures = {row["image_id"]: row for row in read_parquet(manifest, columns=columns).to_pylist()}
    pictures = {image_id: row for image_id, row in pictures.items() if image_id in wanted}
    if not any(row["label"] and row["mask_path"] is not None for row in pictures.values()):
        return False

    def batches() -> Iterator[PixelBatch]:
        if isinstance(reading, Tiled):
            return full_size_batches(folder, manifest, sorted(wanted), detector, reading, device)
        return _batches(folder / "maps.parquet", wanted, detector, shards, device)

    table = judge_pixels(batches, pictures)
    if table is None:
        return False
    write_parquet(target, table)
    return True


def _batches(
    maps: Path, wanted: set[str], detector: Detector, shards: PictureShards, device: torch.device
) -> Iterator[PixelBatch]:
    with pq.ParquetFile(maps) as file:
        for record in file.iter_batches(batch_size=_BATCH):
            names = record.column("image_id").to_pylist()
            rows = [row for row, name in enumerate(names) if name in wanted]
            if not rows:
                continue
            chosen = [names[row] for row in rows]
            defects = shards.read(chosen, ["defect"])["defect"].astype(bool)
            # Arrow's memory is read-only, which torch warns of.
            small = torch.from_numpy(record.column("map").to_numpy_ndarray()[rows].copy()).to(device)
            with torch.inference_mode():
                enlarged = detector.upsample(small, (defects.shape[1], defects.shape[2]))
            yield PixelBatch(tuple(chosen), enlarged.float().cpu().numpy(), defects)
