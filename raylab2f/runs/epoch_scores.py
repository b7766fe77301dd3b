"""Scores after some of the epochs, to show what choosing the best epoch by the judged pictures would claim.

For contrast only: nothing is selected by them, the last epoch is the model.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from raylab2f.files.atomic import write_parquet
from raylab2f.files.parquet import read_parquet

__all__ = ["EPOCH_SCORES_SCHEMA", "EpochScores"]

EPOCH_SCORES_SCHEMA = pa.schema(
    [("fold", pa.int32()), ("epoch", pa.int32()), ("image_id", pa.string()), ("score", pa.float64())]
)


class EpochScores:
    """`epoch_scores.parquet` of one fold, written anew after every epoch that counts, so a restart goes on with it.

    Arguments:
        path: the file.
        fold: its number.
        every: epochs from one to the next; the last epoch always counts.
        done: epochs behind us; what the file holds of later ones is dropped.
    """

    def __init__(self, path: Path, fold: int, every: int, done: int) -> None:
        self.path = path
        self.fold = fold
        self.every = every
        self._table = read_parquet(path) if done and path.exists() else EPOCH_SCORES_SCHEMA.empty_table()
        self._table = self._table.filter(pc.less_equal(self._table["epoch"], done))

    def wants(self, epoch: int, epochs: int) -> bool:
        """Whether epoch number `epoch` of `epochs`, from 1, counts."""
        return epoch % self.every == 0 or epoch == epochs

    def add(self, epoch: int, image_ids: Sequence[str], scores: np.ndarray) -> None:
        """Keep the scores of the threshold and inference pictures after an epoch."""
        count = len(image_ids)
        columns = [[self.fold] * count, [epoch] * count, list(image_ids), scores.astype(np.float64)]
        arrays = [pa.array(column, field.type) for column, field in zip(columns, EPOCH_SCORES_SCHEMA, strict=True)]
        self._table = pa.concat_tables([self._table, pa.table(arrays, schema=EPOCH_SCORES_SCHEMA)])
        write_parquet(self.path, self._table)
