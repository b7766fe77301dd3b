import json
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raylab2f.errors import UserError
from raylab2f.features import (
    FeatureStore,
    address,
    drop_damaged_parts,
    feature_ingredients,
    finish_store,
    missing_parts,
    write_part,
)

LAYERS = ("blocks.2", "blocks.4")
SHAPES = {"blocks.2": (3, 4, 5), "blocks.4": (2, 2, 3)}
INGREDIENTS = {
    "dataset": "0123456789abcdef",
    "preparation": {"size": [160, 160], "fit": "stretch"},
    "backbone": "tf_efficientnet_lite0",
    "weights_digest": "f" * 64,
    "layers": LAYERS,
    "size": (160, 160),
    "dtype": "float16",
}


def ingredients(**changes):
    return feature_ingredients(**{**INGREDIENTS, **changes})


def part_of(part, rows):
    """Image ids, and maps whose values tell part, row and place."""
    ids = [f"part {part}/bild-{row}é.png" for row in range(rows)]
    maps = [
        (100 * part + 10 * np.arange(rows).reshape(-1, 1, 1, 1) + np.random.default_rng(part).random(SHAPES[layer]))
        for layer in LAYERS
    ]
    return ids, [m.astype(np.float32) for m in maps]


def fill(folder, rows, dtype="float16"):
    for part, count in enumerate(rows):
        ids, maps = part_of(part, count)
        write_part(folder, part, ids, LAYERS, maps, dtype)
    finish_store(folder, ingredients(dtype=dtype))


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("store")
    fill(folder, (4, 5, 1))
    return FeatureStore.open(folder)


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_what_was_written_is_read(tmp_path, dtype):
    fill(tmp_path, (3, 2), dtype)
    store = FeatureStore.open(tmp_path)
    assert store.layers == LAYERS
    assert store.shapes == SHAPES
    assert store.dtype == dtype
    assert store.image_ids == (*part_of(0, 3)[0], *part_of(1, 2)[0])
    store.verify()
    for number, layer in enumerate(LAYERS):
        expected = np.concatenate([part_of(part, rows)[1][number] for part, rows in enumerate((3, 2))])
        read = store.read(store.image_ids, layer)
        assert read.dtype == dtype
        np.testing.assert_array_equal(read, expected.astype(dtype))


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_pictures_in_any_order(store, data):
    picked = data.draw(st.lists(st.sampled_from(range(10)), max_size=25))
    whole = store.read(store.image_ids, "blocks.2")
    read = store.read([store.image_ids[number] for number in picked], "blocks.2")
    np.testing.assert_array_equal(read, whole[picked])


def test_reading_takes_no_more_memory_than_the_answer(tmp_path):
    maps = np.ones((64, 16, 64, 64), np.float32)
    write_part(tmp_path, 0, [str(row) for row in range(64)], ["a"], [maps])
    finish_store(tmp_path, ingredients(layers=["a"]))
    store = FeatureStore.open(tmp_path)
    tracemalloc.start()
    read = store.read(["5", "63", "6"], "a")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2 * read.nbytes
    assert not isinstance(read, np.memmap)


def test_interrupted_extraction_goes_on_where_it_was(tmp_path):
    assert missing_parts(tmp_path, 3) == (0, 1, 2)
    ids, maps = part_of(1, 2)
    write_part(tmp_path, 1, ids, LAYERS, maps)
    assert missing_parts(tmp_path, 3) == (0, 2)
    with pytest.raises(UserError, match="no finished feature store"):
        FeatureStore.open(tmp_path)
    # Killed between the arrays and the record, or while the disk lost something.
    (tmp_path / "part-00002.blocks.2.npy").write_bytes(b"half")
    (tmp_path / "part-00001.blocks.4.npy").write_bytes(b"half")
    assert missing_parts(tmp_path, 3) == (0, 1, 2)
    fill(tmp_path, (3, 2, 1))
    assert missing_parts(tmp_path, 3) == ()
    FeatureStore.open(tmp_path).verify()


def test_store_with_a_gap_is_not_finished(tmp_path):
    for part in (0, 2):
        ids, maps = part_of(part, 2)
        write_part(tmp_path, part, ids, LAYERS, maps)
    with pytest.raises(ValueError, match="missing"):
        finish_store(tmp_path, ingredients())
    assert not (tmp_path / "store.json").exists()


def test_parts_must_fit_together(tmp_path):
    ids, maps = part_of(0, 2)
    write_part(tmp_path, 0, ids, LAYERS, maps)
    with pytest.raises(ValueError, match="differ"):
        finish_store(tmp_path, ingredients(dtype="float32"))
    write_part(tmp_path, 1, ids, LAYERS, maps)
    with pytest.raises(ValueError, match="several places"):
        finish_store(tmp_path, ingredients())
    write_part(tmp_path, 1, ["a", "b"], LAYERS, [m[:, :, :1] for m in maps])
    with pytest.raises(ValueError, match="differ"):
        finish_store(tmp_path, ingredients())


def test_finished_store_is_left_as_it_is(tmp_path):
    fill(tmp_path, (2,))
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    ids, maps = part_of(0, 2)
    write_part(tmp_path, 0, ids, LAYERS, [m + 1 for m in maps])
    finish_store(tmp_path, ingredients())
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("shapes", [(1, 3, 3, 3), (2, 3, 3)])
def test_arrays_must_be_maps_of_the_named_pictures(tmp_path, shapes):
    with pytest.raises(ValueError, match="n = 2"):
        write_part(tmp_path, 0, ["a", "b"], ["l"], [np.zeros(shapes)])


def test_values_beyond_float16_are_refused(tmp_path):
    maps = np.zeros((3, 1, 2, 2), np.float32)
    maps[1, 0, 1, 0] = -70000
    with pytest.raises(UserError, match="picture b; choose --feature-dtype float32"):
        write_part(tmp_path, 0, ["a", "b", "c"], ["l"], [maps])
    assert missing_parts(tmp_path, 1) == (0,)
    write_part(tmp_path, 0, ["a", "b", "c"], ["l"], [maps], "float32")
    assert missing_parts(tmp_path, 1) == ()


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_features_that_are_not_finite_are_refused(tmp_path, value, dtype):
    maps = np.zeros((2, 1, 2, 2), np.float32)
    maps[0, 0, 0, 0] = value
    with pytest.raises(UserError, match="not finite in picture a"):
        write_part(tmp_path, 0, ["a", "b"], ["l"], [maps], dtype)


def test_picture_that_is_not_there(store):
    with pytest.raises(UserError, match=r"lacks picture nobody\.png"):
        store.read(["nobody.png"], "blocks.2")


def _shorten(path):
    path.write_bytes(path.read_bytes()[:-1])


def _overwrite(path):
    path.write_bytes(b"\0" * path.stat().st_size)


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("part-00001.blocks.4.npy", _shorten),
        ("part-00000.blocks.2.npy", lambda path: path.unlink()),
        ("store.json", lambda path: path.write_text(path.read_text()[:200])),
        ("store.json", lambda path: path.write_text("{}")),
        ("store.json", lambda path: path.write_text(json.dumps({**json.loads(path.read_text()), "format": 99}))),
        ("index.parquet", _shorten),
        ("index.parquet", _overwrite),
        ("index.parquet", lambda path: path.unlink()),
    ],
)
def test_damage_is_seen_on_opening(tmp_path, name, damage):
    fill(tmp_path, (2, 2))
    damage(tmp_path / name)
    with pytest.raises(UserError, match=r"damaged.*delete it"):
        FeatureStore.open(tmp_path)


def test_damaged_array_is_not_read(tmp_path):
    fill(tmp_path, (2,))
    _overwrite(tmp_path / "part-00000.blocks.2.npy")
    store = FeatureStore.open(tmp_path)
    with pytest.raises(UserError, match=r"damaged \(part-00000.blocks.2.npy\)"):
        store.read(store.image_ids, "blocks.2")


def test_verify_sees_a_changed_byte(tmp_path):
    fill(tmp_path, (2, 2))
    path = tmp_path / "part-00001.blocks.2.npy"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    store = FeatureStore.open(tmp_path)
    with pytest.raises(UserError, match=r"damaged \(part-00001.blocks.2.npy\)"):
        store.verify()


text = st.text(max_size=8)
other_values = {
    "dataset": text,
    "preparation": st.dictionaries(text, st.one_of(st.integers(), text, st.lists(st.integers(), max_size=2))),
    "backbone": text,
    "weights_digest": text,
    "layers": st.lists(text, max_size=3).map(tuple),
    "size": st.tuples(st.integers(1, 999), st.integers(1, 999)),
    "dtype": st.sampled_from(["float16", "float32"]),
}


@given(data=st.data(), name=st.sampled_from(sorted(INGREDIENTS)))
def test_every_ingredient_changes_the_address(data, name):
    value = data.draw(other_values[name])
    same = value == INGREDIENTS[name]
    assert (address(ingredients(**{name: value})) == address(ingredients())) == same


def test_address_is_stable_and_does_not_depend_on_order():
    shuffled = dict(reversed(ingredients(preparation={"fit": "stretch", "size": (160, 160)}).items()))
    assert address(shuffled) == address(ingredients())
    # Part of the format: changing it loses everybody's stores.
    assert address(ingredients()) == "96a66e570d396dd51cb3"


def test_a_damaged_part_is_dropped_alone_and_can_be_written_again(tmp_path):
    fill(tmp_path, (4, 5, 1))
    assert drop_damaged_parts(tmp_path) == []
    path = tmp_path / "part-00001.blocks.4.npy"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert drop_damaged_parts(tmp_path) == [path.name]
    assert missing_parts(tmp_path, 3) == (1,)
    fill(tmp_path, (4, 5, 1))
    assert drop_damaged_parts(tmp_path) == []
    FeatureStore.open(tmp_path).verify()


@pytest.mark.parametrize("name", ["store.json", "index.parquet"])
def test_a_damaged_index_is_made_again_from_the_parts(tmp_path, name):
    fill(tmp_path, (4, 5, 1))
    (tmp_path / name).write_bytes(b"{")
    assert drop_damaged_parts(tmp_path) == [name]
    assert missing_parts(tmp_path, 3) == ()
    finish_store(tmp_path, ingredients())
    FeatureStore.open(tmp_path).verify()
