"""How much memory a process holds that trains a fold; an estimate from sizes, before anything is read."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from raylab2f.detectors.registry import config_from_dict, detector_class
from raylab2f.features import FeatureStore
from raylab2f.files.mirror import local
from raylab2f.files.parquet import read_parquet
from raylab2f.preparation import PictureShards
from raylab2f.runs.fold import PREDICT_CHUNK, FoldTask
from raylab2f.runs.tiled import reading_of

__all__ = ["PROCESS_BYTES", "feature_bytes", "fold_memory", "held_bytes"]

#: What Python, torch and Ray take before a picture is read; measured.
PROCESS_BYTES = 400 << 20
# RGB, and whether a pixel is on the object.
_BYTES_PER_PIXEL = 4


def fold_memory(task: FoldTask) -> int:
    """Bytes of the process that trains this fold on a CPU, beside the model; its stores must be in the mirror."""
    config = config_from_dict(task.detector, task.config)
    stores = [FeatureStore.open(local(store)) for store in task.stores]
    each = sum(feature_bytes(list(store.shapes.values()), store.dtype) for store in stores)
    reading = reading_of(PictureShards.open(local(task.pictures)))
    split = read_parquet(local(task.folder) / "split.parquet").select(["image_id", "partition"]).to_pylist()
    train, scored = (
        len(reading.rows([row["image_id"] for row in split if (row["partition"] == "train") == trains]))
        for trains in (True, False)
    )
    return PROCESS_BYTES + held_bytes(task.detector, config, train, scored, each)


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
