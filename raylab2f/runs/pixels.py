"""Pixel curves of a fold: its maps, brought to picture resolution, held against the defect masks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pyarrow.parquet as pq
import torch

from raylab2f.detectors.base import Detector
from raylab2f.evaluation.pixels.pixel_curves import PixelBatch, judge_pixels
from raylab2f.evaluation.pixels.segmentation import judge_segmentation
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
    partitions: Mapping[str, str],
    detector: Detector,
    shards: PictureShards,
    device: torch.device,
    reading: Reading | None = None,
) -> list[str]:
    """Write `pixels.parquet` in the schema of `judge_pixels`, of the inference pictures, and `segmentation.parquet` in
    that of `judge_segmentation`, from the fold's `maps.parquet`.

    Arguments:
        folder: of the fold.
        manifest: the dataset's `manifest.parquet`.
        partitions: of the fold's pictures, by image_id.
        detector: brings maps to picture resolution.
        shards: hold the masks.
        device: where maps are enlarged.
        reading: how the shards are read; tiles are judged at the resolution of their pictures. `None`: as pictures.

    Returns:
        Names of the files: none where there is no mask.
    """
    for name in ("pixels.parquet", "segmentation.parquet"):
        (folder / name).unlink(missing_ok=True)
    columns = ["image_id", "object_id", "label", "mask_path"]
    pictures = {
        row["image_id"]: {**row, "partition": partitions[row["image_id"]]}
        for row in read_parquet(manifest, columns=columns).to_pylist()
        if partitions.get(row["image_id"]) in ("threshold", "inference")
    }
    judged = {image_id: row for image_id, row in pictures.items() if row["partition"] == "inference"}
    if not any(row["label"] and row["mask_path"] is not None for row in judged.values()):
        return []

    def batches(partition: str | None) -> Iterator[PixelBatch]:
        wanted = {image_id for image_id, row in pictures.items() if partition in (None, row["partition"])}
        if isinstance(reading, Tiled):
            return full_size_batches(folder, manifest, sorted(wanted), detector, reading, device)
        return _batches(folder / "maps.parquet", wanted, detector, shards, device)

    tables = {
        "pixels.parquet": judge_pixels(lambda: batches("inference"), judged),
        "segmentation.parquet": judge_segmentation(batches, pictures),
    }
    written = {name: table for name, table in tables.items() if table is not None}
    for name, table in written.items():
        write_parquet(folder / name, table)
    return list(written)


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
