import numpy as np
import pytest

from raylab2f.errors import UserError
from raylab2f.preparation import (
    SHARD_ROWS,
    PictureShards,
    drop_damaged_shards,
    finish_shards,
    shard_address,
    write_shard,
)
from raylab2f.preparation.shards import shard_path


@pytest.fixture
def pictures():
    return np.random.default_rng(0).integers(0, 256, (SHARD_ROWS + 9, 6, 8, 3), np.uint8)


def write(folder, pictures):
    ids = [f"p{number:04d}" for number in range(len(pictures))]
    for shard, start in enumerate(range(0, len(ids), SHARD_ROWS)):
        part = pictures[start : start + SHARD_ROWS]
        bright = part[..., 0] > 128
        write_shard(shard_path(folder, shard), ids[start : start + SHARD_ROWS], part, bright, ~bright)
    return ids


def test_pictures_and_masks_come_back_in_the_order_asked_for(tmp_path, pictures):
    ids = write(tmp_path, pictures)
    finish_shards(tmp_path, ids, True, {})
    order = [70, 0, 64, 63, 5]
    read = PictureShards.open(tmp_path).read([ids[i] for i in order])
    np.testing.assert_array_equal(read["picture"], pictures[order])
    np.testing.assert_array_equal(read["foreground"], pictures[order][..., 0] > 128)
    np.testing.assert_array_equal(read["defect"], pictures[order][..., 0] <= 128)


def test_an_unfinished_folder_is_not_taken_for_a_whole_one(tmp_path, pictures):
    write(tmp_path, pictures)
    with pytest.raises(UserError, match="no finished image shards"):
        PictureShards.open(tmp_path)


def test_a_damaged_shard_is_dropped_alone_and_the_folder_unfinished(tmp_path, pictures):
    ids = write(tmp_path, pictures)
    finish_shards(tmp_path, ids, True, {})
    assert drop_damaged_shards(tmp_path) == []
    content = bytearray(shard_path(tmp_path, 1).read_bytes())
    content[len(content) // 2] ^= 4
    shard_path(tmp_path, 1).write_bytes(content)
    assert drop_damaged_shards(tmp_path) == [shard_path(tmp_path, 1).name]
    assert shard_path(tmp_path, 0).exists()
    assert not shard_path(tmp_path, 1).exists()
    with pytest.raises(UserError, match="no finished image shards"):
        PictureShards.open(tmp_path)


def test_the_address_depends_on_data_and_preparation():
    addresses = {
        shard_address(data, {"size": [size, 16], "fit": fit})
        for data in ("a", "b")
        for size in (16, 32)
        for fit in ("stretch", "pad")
    }
    assert len(addresses) == 8
