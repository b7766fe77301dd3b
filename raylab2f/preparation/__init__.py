"""From pictures as they were taken to pictures as detectors see them."""

from raylab2f.preparation.resize import FITS, Preparation, prepare_mask, prepare_picture
from raylab2f.preparation.shards import SHARD_ROWS, PictureShards, finish_shards, shard_address, write_shard

__all__ = [
    "FITS",
    "SHARD_ROWS",
    "PictureShards",
    "Preparation",
    "finish_shards",
    "prepare_mask",
    "prepare_picture",
    "shard_address",
    "write_shard",
]
