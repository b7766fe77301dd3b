"""How much memory a process holds that trains a fold, and what of it has to be read as it is needed to stay within a
budget; estimates from sizes, before anything is read.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from raylab2f.detectors.registry import config_from_dict, detector_class
from raylab2f.detectors.streamed import SHUFFLED_SHARDS
from raylab2f.errors import UserError
from raylab2f.features import FeatureStore
from raylab2f.files.mirror import local
from raylab2f.files.parquet import read_parquet
from raylab2f.preparation import SHARD_ROWS, PictureShards
from raylab2f.runs.memory_budget import PROCESS_BYTES, RESIDENT_BYTES, size_text
from raylab2f.runs.nearest_neighbour import EMBEDDING
from raylab2f.runs.tiled import Reading, reading_of

if TYPE_CHECKING:
    from raylab2f.runs.fold import FoldTask

__all__ = [
    "PREDICT_CHUNK",
    "PROCESS_BYTES",
    "FoldSize",
    "Streaming",
    "feature_bytes",
    "fold_memory",
    "fold_size",
    "held_bytes",
    "plan_streaming",
]

#: So many pictures' features are in memory at a time when they are scored.
PREDICT_CHUNK = 256
# RGB, and whether a pixel is on the object.
_BYTES_PER_PIXEL = 4
# A portion's features on their way: read, in float32, on one grid, chosen of them, and in float64 around an origin.
_COPIES = 8
# Of what a budget leaves, a portion's.
_PORTION_SHARE = 4
_MIB = 1 << 20


@dataclass(frozen=True)
class FoldSize:
    """What is known of a fold before anything is read.

    Arguments:
        detector: name in the registry.
        config: its configuration.
        shapes: (C, H, W) of all maps that it reads.
        dtype: in which they are stored.
        train, scored: pictures, or tiles of them.
    """

    detector: str
    config: Any
    shapes: Sequence[tuple[int, int, int]]
    dtype: str
    train: int
    scored: int

    @property
    def bytes_per_picture(self) -> int:
        return feature_bytes(self.shapes, self.dtype)

    @property
    def held(self) -> int:
        """Bytes of the process where all features are held, beside the model."""
        return PROCESS_BYTES + held_bytes(self.detector, self.config, self.train, self.scored, self.bytes_per_picture)


@dataclass(frozen=True)
class Streaming:
    """How a process stays within its budget that reads features as it needs them.

    Arguments:
        most_rows: pictures that are looked at together where it is left to choice.
        room: bytes for what the detector computes of all pictures.
    """

    most_rows: int
    room: int


def plan_streaming(size: FoldSize, budget: int | None) -> Streaming | None:
    """How features are read within a budget in bytes; `None` where all of them may be held, or without a budget.

    The budget is of resident memory, pages of libraries included. What a training step takes is not known here and not
    counted, as elsewhere.

    Raises:
        UserError: no process of such a fold gets by with so little.
    """
    if budget is None or size.held - PROCESS_BYTES + RESIDENT_BYTES <= budget:
        return None
    cls = detector_class(size.detector)
    least = cls.least_room(size.config, size.shapes, size.train)
    beside = _batches_bytes(size)
    if cls.reads_pictures and (held := size.train * math.prod(size.config.size) * _BYTES_PER_PIXEL) > budget:
        raise UserError(
            f"--memory-budget {size_text(budget)}: {size.detector} holds all its training pictures, "
            f"{size_text(held)}; give at least {size_text(RESIDENT_BYTES + held)}, or a smaller --size."
        )
    if cls.trains_on_pictures:
        pixels = math.prod(size.config.size)
        # Shards that are mixed with one another lie decoded, and one more while it is read; masks are packed.
        beside += (SHUFFLED_SHARDS + 1) * SHARD_ROWS * pixels * 3 + size.train * -(-pixels // 8)
    row = _row_bytes(size)
    free = budget - RESIDENT_BYTES
    needed = max(row + beside + least, _PORTION_SHARE * (beside + least) // (_PORTION_SHARE - 1))
    if free < needed:
        enough = -(-(RESIDENT_BYTES + needed + _MIB) // _MIB) * _MIB
        raise UserError(
            f"--memory-budget {size_text(budget)}: a fold of {size.detector} takes {size_text(enough)} where its "
            "features are read as they are needed; give at least that, or a smaller --size."
        )
    most_rows = max(1, min(PREDICT_CHUNK, free // _PORTION_SHARE // row))
    return Streaming(most_rows, free - most_rows * row - beside)


def fold_memory(task: FoldTask) -> int:
    """Bytes of the process that trains this fold on a CPU, beside the model; its stores must be in the mirror.

    Raises:
        UserError: it cannot get by with the task's budget.
    """
    stores = [FeatureStore.open(local(store)) for store in task.stores]
    split = read_parquet(local(task.folder) / "split.parquet")
    reading = reading_of(PictureShards.open(local(task.pictures)))
    size = fold_size(task.detector, task.config, stores, split, reading)
    return size.held if plan_streaming(size, task.memory_budget) is None else task.memory_budget or size.held


def fold_size(
    detector: str, config: dict[str, Any], stores: Sequence[FeatureStore], split: pa.Table, reading: Reading
) -> FoldSize:
    """Of a fold that reads these stores, whose pictures are divided so and are read so."""
    rows = split.select(["image_id", "partition"]).to_pylist()
    train, scored = (
        len(reading.rows([row["image_id"] for row in rows if (row["partition"] == "train") == trains]))
        for trains in (True, False)
    )
    return FoldSize(
        detector,
        config_from_dict(detector, config),
        [store.shapes[layer] for store in stores for layer in store.layers],
        stores[0].dtype if stores else "float16",
        train,
        scored,
    )


def held_bytes(detector: str, config: Any, train: int, scored: int, bytes_per_picture: int) -> int:
    """Bytes of the features and pictures that a fold holds at a time: of all that train, then of portions it scores.

    Arguments:
        train, scored: pictures.
        bytes_per_picture: see `feature_bytes`.
    """
    training, cls = train * bytes_per_picture, detector_class(detector)
    if cls.trains_on_pictures:
        training += train * math.prod(config.size) * _BYTES_PER_PIXEL
    if cls.reads_pictures:
        # Features are held when the nearest neighbour is asked, after the training.
        training = max(training, train * math.prod(config.size) * _BYTES_PER_PIXEL)
    return max(training, min(scored, PREDICT_CHUNK) * bytes_per_picture)


def feature_bytes(shapes: Sequence[tuple[int, int, int]], dtype: str) -> int:
    """Bytes of one picture's maps (C, H, W) in this type."""
    return sum(math.prod(shape) for shape in shapes) * np.dtype(dtype).itemsize


def _row_bytes(size: FoldSize) -> int:
    """Of a picture in a portion: on the finest grid all channels, or patch features, of the line beside it too."""
    channels = max(sum(shape[0] for shape in size.shapes), getattr(size.config, "embedding", 0), EMBEDDING)
    finest = max((shape[1] * shape[2] for shape in size.shapes), default=1)
    return _COPIES * channels * finest * 4 + size.bytes_per_picture


def _batches_bytes(size: FoldSize) -> int:
    """Of the batch that trains and the one read ahead, for detectors that train in steps."""
    schedule = size.config.schedule
    return (
        schedule.batch_size
        * (feature_bytes(size.shapes, "float32") + 2 * size.bytes_per_picture)
        * bool(schedule.epochs)
    )
