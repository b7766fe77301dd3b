"""Which tiles a data set has, and what of a preparation goes together with tiles."""

import numpy as np
import pyarrow as pa
import pytest

from raylab2f.errors import UserError
from raylab2f.preparation import Preparation, PreparationSettings, prepare, prepare_tiles
from raylab2f.preparation.embedding import Box
from raylab2f.preparation.tile_table import TileTable, frame_of, in_view, tiles_of


def pictures(*rows):
    names = ["image_id", "height", "width", "rotation"]
    return pa.Table.from_pylist([dict(zip(names, row, strict=True)) for row in rows])


def cut(tiles="32x32+8", size=(32, 32), **changes):
    return Preparation(size, tiles=tiles, **changes)


def test_pictures_of_any_size_have_full_tiles_and_a_turned_copy_has_those_of_its_own_frame():
    table = tiles_of(pictures(("b", 40, 60, 90.0), ("a", 32, 32, 0.0), ("c", 40, 60, 0.0)), cut())
    found = TileTable.of(table, cut())
    assert list(found.tiles) == ["a", "b", "c"]
    assert found.tiles["a"] == ("a@tile00000-00000",)
    assert found.frames["b"] == (60, 40)
    assert [(box.top, box.left) for box in found.boxes["b"]] == [(0, 0), (0, 8), (24, 0), (24, 8), (28, 0), (28, 8)]
    assert found.expand(["c", "a"]) == [*found.tiles["c"], *found.tiles["a"]]
    assert found.counts(["a", "b", "c"]) == [1, 6, 6]


def test_portions_never_divide_a_picture():
    found = TileTable.of(tiles_of(pictures(*((str(n), 32, 32 + 24 * n, 0.0) for n in range(4))), cut()), cut())
    assert found.counts("0123") == [1, 2, 3, 4]
    assert list(found.portions("0123", 3)) == [["0", "1"], ["2"], ["3"]]
    assert list(found.portions("0123", 100)) == [["0", "1", "2", "3"]]
    assert list(found.portions("", 3)) == []


def test_a_picture_smaller_than_a_tile_is_named():
    with pytest.raises(
        UserError, match=r"^--tiles 32x32\+8: small.png has 31x90 pixels, less than a tile; give smaller"
    ):
        tiles_of(pictures(("large.png", 99, 99, 0.0), ("small.png", 31, 90, 0.0)), cut())


def test_more_tiles_than_anybody_wants_are_a_mistake():
    with pytest.raises(UserError, match=r"^--tiles 32x32\+31: a would be cut into 35,\d+ tiles; give larger tiles"):
        tiles_of(pictures(("a", 220, 220, 0.0)), cut("32x32+31"))


def test_a_preparation_without_tiles_is_described_as_before_and_one_with_them_otherwise():
    values = {"version": 3, "size": [32, 32], "fit": "stretch", "mask_background": False, "canvas": None, "angles": []}
    assert Preparation((32, 32)).to_dict() == values
    assert cut().to_dict() == {**Preparation((32, 32)).to_dict(), "tiles": "32x32+8"}
    assert Preparation.from_dict(cut().to_dict()) == cut()
    assert cut().whole == Preparation((32, 32))


def test_black_bars_within_tiles_and_a_canvas_without_room_for_one_are_refused():
    with pytest.raises(UserError, match=r"black bars \(--fit pad, --size 32x32\); give tiles of the same aspect"):
        cut("64x48", fit="pad")
    with pytest.raises(UserError, match=r"the canvas of 40x90 pixels \(--centre-embed\) is smaller than a tile"):
        cut("48x48", fit="pad", canvas=(40, 90))
    assert frame_of(10, 20, 90.0, cut(fit="pad", canvas=(40, 90))) == (40, 90)


def test_settings_say_tiles_in_one_way_and_a_score_of_tiles_needs_some():
    assert PreparationSettings(tiles="64").tiles == "64x64"
    settings = PreparationSettings(tiles="64", tile_score="top3")
    assert PreparationSettings.from_dict(settings.to_dict()) == settings
    assert settings.whole == PreparationSettings()
    with pytest.raises(UserError, match="--tile-score top3: there are no tiles; give --tiles"):
        PreparationSettings(tile_score="top3")


def test_a_tile_is_prepared_as_if_it_were_a_picture_of_its_own():
    random = np.random.default_rng(0)
    picture, defect = random.integers(0, 256, (90, 70, 3), np.uint8), random.random((90, 70)) > 0.99
    boxes = [Box(0, 0, 40, 40), Box(50, 30, 40, 40)]
    [_, last] = prepare_tiles(picture, cut("40", (24, 24)), boxes, defect=defect)
    own = prepare(picture[50:, 30:], Preparation((24, 24)), defect=defect[50:, 30:])
    np.testing.assert_array_equal(last.picture, own.picture)
    np.testing.assert_array_equal(last.defect, own.defect)
    turned = np.rot90(picture)
    [quarter] = prepare_tiles(picture, cut("40", (24, 24)), [Box(30, 50, 40, 40)], angle=90.0)
    np.testing.assert_array_equal(quarter.picture, prepare(turned[30:, 50:], Preparation((24, 24))).picture)


def test_tiles_are_viewed_within_the_bars_of_a_padded_picture():
    assert in_view([Box(0, 8, 32, 32)], (32, 64), cut()) == ((Box(0, 8, 32, 32),), (32, 64))
    assert in_view([Box(0, 8, 32, 32)], (32, 64), cut(fit="pad")) == ((Box(16, 8, 32, 32),), (64, 64))
