"""From pictures as they were taken to pictures as detectors see them."""

import raylab2f.blas  # noqa: F401  # before anything computes
from raylab2f.preparation.pipeline import Preparation, Prepared, arrange, prepare, prepare_tiles
from raylab2f.preparation.selection import select_pictures, with_copies
from raylab2f.preparation.settings import PreparationSettings
from raylab2f.preparation.shards import (
    SHARD_ROWS,
    PictureShards,
    drop_damaged_shards,
    finish_shards,
    shard_address,
    write_shard,
)

__all__ = [
    "SHARD_ROWS",
    "PictureShards",
    "Preparation",
    "PreparationSettings",
    "Prepared",
    "arrange",
    "drop_damaged_shards",
    "finish_shards",
    "prepare",
    "prepare_tiles",
    "select_pictures",
    "shard_address",
    "with_copies",
    "write_shard",
]
