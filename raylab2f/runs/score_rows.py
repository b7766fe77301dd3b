"""`scores.parquet` of a fold: one row for each picture of its threshold and inference partitions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from raylab2f.files.atomic import write_parquet
from raylab2f.files.parquet import read_parquet

__all__ = ["SCORES_SCHEMA", "write_score_rows"]

SCORES_SCHEMA = pa.schema(
    [
        ("fold", pa.int32()),
        ("partition", pa.string()),
        ("image_id", pa.string()),
        ("object_id", pa.string()),
        ("label", pa.int8()),
        ("defect_type", pa.string()),
        ("view", pa.string()),
        ("condition", pa.string()),
        ("score", pa.float64()),
    ]
)


def write_score_rows(
    folder: Path, fold: int, manifest: Path, split: pa.Table, image_ids: Sequence[str], scores: NDArray[np.floating]
) -> None:
    """Write the file.

    Arguments:
        folder: of the fold with this number.
        manifest: the run's `pictures.parquet`.
        split: the fold's.
        image_ids: of the n pictures; `scores` (n,) are theirs.
    """
    columns = ["image_id", "object_id", "label", "defect_type", "view", "condition"]
    pictures = read_parquet(manifest)
    pictures = pictures.select([name for name in columns if name in pictures.column_names])
    known = {row["image_id"]: row for row in pictures.to_pylist()}
    partition = dict(zip(split["image_id"].to_pylist(), split["partition"].to_pylist(), strict=True))
    rows = [
        {"fold": fold, "partition": partition[image_id], "score": float(score), **known[image_id]}
        for image_id, score in zip(image_ids, scores, strict=True)
    ]
    write_parquet(folder / "scores.parquet", pa.Table.from_pylist(rows, schema=SCORES_SCHEMA))
