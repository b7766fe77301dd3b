"""Sizes of the defects that a run's pictures show: from its manifest, or from the defect masks that it names."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa

from raylab2f.datasets.defect_sizes import PixelSize, defect_size
from raylab2f.datasets.pictures import read_mask
from raylab2f.errors import UserError
from raylab2f.files.parquet import read_parquet
from raylab2f.runs.folder import RunFolder

__all__ = ["COLUMN", "run_sizes", "with_sizes"]

#: Sizes are those of the manifest's column `size`.
COLUMN = "column"


def run_sizes(place: str, measure: str | None, pixel: PixelSize) -> tuple[dict[str, float], str]:
    """The size of every defective picture's defect, by `image_id`, turned copies included; and what sizes are.

    Arguments:
        place: the run's folder, whose files are here.
        measure: `area`, `extent`, `column`, or `None`: the column where there is one, else the area.
        pixel: what a pixel shows.

    Raises:
        UserError: there is no manifest, no column, no mask, or none that marks anything; a mask cannot be read.
    """
    folder = RunFolder(place)
    path = folder.pictures if folder.pictures.exists() else folder.manifest
    if not path.exists():
        raise UserError(f"{folder.place}: there is no {folder.manifest.name}, so no size is known; give a whole run.")
    pictures = read_parquet(path)
    names = pictures.column_names
    rows = [row for row in pictures.to_pylist() if row.get("label") == 1]
    given = {row["image_id"]: float(row["size"]) for row in rows if row.get("size") is not None}
    if measure is None:
        measure = COLUMN if given else "area"
    if measure == COLUMN:
        if not given:
            raise UserError(
                f"--size column: the manifest of {folder.place} has no sizes; give area or extent, or a data set with "
                "a column size."
            )
        return given, measure
    masked = [row for row in rows if row.get("mask_path") is not None]
    if not masked:
        raise UserError(
            f"{folder.place}: its {len(rows)} defective pictures have no defect masks, so their sizes are not known; "
            "give a data set with masks or with a column size."
        )
    by_source: dict[str, float | None] = {}
    for row in masked:
        source = row["source_id"] if "source_id" in names else row["image_id"]
        if source not in by_source:
            by_source[source] = _size(row["mask_path"], folder.manifest, measure)
        row["source_id"] = source
    found = {row["image_id"]: size for row in masked if (size := by_source[row["source_id"]]) is not None}
    if not found:
        raise UserError(
            f"{folder.place}: none of the {len(by_source)} masks of its defective pictures marks anything; check them "
            "with raylab2f datasets manifest."
        )
    return {image_id: pixel.apply(size, measure) for image_id, size in found.items()}, measure


def with_sizes(scores: pa.Table, sizes: Mapping[str, float]) -> pa.Table:
    """A run's scores with a column `size`, empty where none is known."""
    column = pa.array([sizes.get(str(image_id)) for image_id in scores["image_id"].to_pylist()], pa.float64())
    return scores.append_column("size", column)


def _size(place: str, manifest: Path, measure: str) -> float | None:
    path = place if "://" in place or Path(place).is_absolute() else str(manifest.parent / place)
    try:
        return defect_size(read_mask(path), measure)
    except FileNotFoundError as error:
        raise UserError(f"{path}: this mask is not there any more; put it back, or give --size column.") from error
