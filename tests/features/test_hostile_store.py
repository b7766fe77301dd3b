"""Stores and shards of a shared cache that say what none of ours says: one sentence, whatever it is."""

import json
import os

import numpy as np
import pytest
from odd_values import ODD, WHOLE_FILES, changed, places

from raylab2f.errors import UserError
from raylab2f.features import FeatureStore, drop_damaged_parts, finish_store, missing_parts, write_part
from raylab2f.preparation import PictureShards, drop_damaged_shards, finish_shards, write_shard
from raylab2f.preparation.shards import shard_path


@pytest.fixture
def store(tmp_path):
    for part in range(2):
        write_part(tmp_path, part, [f"{part}a", f"{part}b"], ["l"], [np.ones((2, 3, 4, 4), np.float32)])
    finish_store(tmp_path, {"dtype": "float16", "layers": ["l"]})
    return tmp_path


@pytest.fixture
def shards(tmp_path):
    blank = np.zeros((2, 4, 4, 3), np.uint8)
    write_shard(shard_path(tmp_path, 0), ["a", "b"], blank, blank[..., 0] > 0, blank[..., 0] > 0)
    finish_shards(tmp_path, ["a", "b"], False, {})
    return tmp_path


def unless_damaged(read):
    """What `read` returns; `None` if it refuses a folder as damaged."""
    try:
        return read()
    except UserError as error:
        if "damaged" not in str(error):
            raise
        return None


def test_any_value_of_a_store_may_be_odd(store):
    mark = store / "store.json"
    sound = mark.read_text()
    for path in places(json.loads(sound)):
        for odd in ODD:
            mark.write_text(changed(json.loads(sound), path, odd))
            found = unless_damaged(lambda: FeatureStore.open(store).read(["0a"], "l"))
            assert found is None or found.shape == (1, 3, 4, 4), (path, odd)


def test_any_value_of_shards_may_be_odd(shards):
    mark = shards / "shards.json"
    sound = mark.read_text()
    for path in places(json.loads(sound)):
        for odd in ODD:
            mark.write_text(changed(json.loads(sound), path, odd))
            found = unless_damaged(lambda: PictureShards.open(shards).image_ids)
            assert found is None or all(isinstance(one, str) for one in found), (path, odd)


@pytest.mark.parametrize("odd", WHOLE_FILES)
@pytest.mark.parametrize("kind", ["store", "shards"])
def test_a_mark_that_is_none_is_dropped_and_made_again(kind, odd, request):
    folder = request.getfixturevalue(kind)
    mark = folder / f"{kind}.json"
    mark.unlink()
    WHOLE_FILES[odd](mark)
    with pytest.raises(UserError, match=rf"{kind}\.json"):
        (FeatureStore if kind == "store" else PictureShards).open(folder)
    assert (drop_damaged_parts if kind == "store" else drop_damaged_shards)(folder) == [mark.name]
    assert not mark.exists()


@pytest.mark.parametrize("name", ["index.parquet", "part-00001.l.npy"])
def test_a_pipe_in_place_of_a_file_holds_nothing_up(store, name):
    (store / name).unlink()
    os.mkfifo(store / name)
    with pytest.raises(UserError, match="damaged"):
        FeatureStore.open(store)
    assert drop_damaged_parts(store) == [name]
    assert missing_parts(store, 2) == ((1,) if name.startswith("part") else ())


@pytest.mark.parametrize("odd", ODD)
def test_a_part_whose_record_is_odd_is_written_again(store, odd):
    (store / "store.json").unlink()
    record = store / "part-00001.json"
    sound = json.loads(record.read_text())
    for path in [("files",), ("files", "l"), ("files", "l", "bytes"), ("image_ids",), ("dtype",), ("shapes",)]:
        record.write_text(changed(sound, path, odd))
        assert missing_parts(store, 2) == (() if (path, odd) == (("image_ids",), []) else (1,))
