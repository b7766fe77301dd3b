"""Geometry of tiles: they cover a picture, and what is said of them becomes what is said of it."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raylab2f.errors import UserError
from raylab2f.preparation.embedding import Box
from raylab2f.preparation.tiling import Tiling, join_maps, join_scores, kept_tiles, parse_tile_score, shrink_map


@st.composite
def cut_pictures(draw):
    """A tiling, and height and width of a picture that has room for a tile."""
    height, width = draw(st.integers(16, 60)), draw(st.integers(16, 60))
    overlap = draw(st.integers(0, min(height, width) // 2))
    frame = draw(st.integers(height, 200)), draw(st.integers(width, 200))
    return Tiling(height, width, overlap), frame


def window(box):
    return slice(box.top, box.top + box.height), slice(box.left, box.left + box.width)


@given(cut_pictures())
def test_tiles_cover_every_pixel_have_full_size_and_overlap_as_asked(cut):
    tiling, frame = cut
    boxes = tiling.boxes(frame)
    seen = np.zeros(frame, int)
    for box in boxes:
        assert (box.height, box.width) == (tiling.height, tiling.width)
        assert box.top >= 0
        assert box.left >= 0
        seen[window(box)] += 1
    assert seen.min() == 1 or tiling.overlap
    assert seen.min() >= 1
    assert len(set(boxes)) == len(boxes) == tiling.count(frame)
    assert boxes == sorted(boxes, key=lambda box: (box.top, box.left)) == Tiling.parse(str(tiling)).boxes(frame)
    tops = sorted({box.top for box in boxes})
    assert all(before + tiling.height - after >= tiling.overlap for before, after in pairwise(tops))


@given(cut_pictures(), st.floats(-1e3, 1e3, width=32), st.integers(1, 9), st.integers(1, 300), st.integers(1, 300))
def test_constant_maps_join_to_a_constant(cut, value, cells, rows, columns):
    tiling, frame = cut
    boxes = tiling.boxes(frame)
    maps = np.full((len(boxes), cells, cells + 1), value, np.float32)
    joined = join_maps(maps, boxes, frame, (rows, columns), tiling.overlap)
    assert joined.shape == (rows, columns)
    np.testing.assert_allclose(joined, value, rtol=1e-5, atol=1e-6)


@given(cut_pictures(), st.integers(0, 2**32 - 1))
@settings(max_examples=50)
def test_a_map_that_was_cut_is_whole_again(cut, seed):
    tiling, frame = cut
    whole = np.random.default_rng(seed).normal(size=frame).astype(np.float32)
    boxes = tiling.boxes(frame)
    maps = np.stack([whole[window(box)] for box in boxes])
    np.testing.assert_allclose(join_maps(maps, boxes, frame, frame, tiling.overlap), whole, atol=1e-5)


def test_a_slope_stays_a_slope_on_a_coarse_grid():
    # A linear map is read exactly between cells, except within half a cell of a tile's edge.
    tiling, frame = Tiling(32, 32, 8), (80, 80)
    boxes = tiling.boxes(frame)
    across = np.broadcast_to((np.arange(80) + 0.5).astype(np.float32), frame)
    maps = np.stack([across[window(box)].reshape(8, 4, 8, 4).mean(axis=(1, 3)) for box in boxes])
    joined = join_maps(maps, boxes, frame, (20, 20), 8)
    assert np.abs(joined - across[::4, 2::4] + 0.5)[:, 1:-1].max() < 1


def test_overlaps_are_blended_linearly():
    boxes = [Box(0, 0, 16, 16), Box(0, 8, 16, 16)]
    maps = np.stack([np.zeros((16, 16), np.float32), np.ones((16, 16), np.float32)])
    joined = join_maps(maps, boxes, (16, 24), (16, 24), 8)
    np.testing.assert_allclose(joined[3], [0] * 8 + [(n + 0.5) / 8 for n in range(8)] + [1] * 8, atol=1e-6)


def test_where_no_tile_was_kept_a_map_is_lowest():
    joined = join_maps(np.array([[[3.0, 5.0]]], np.float32), [Box(0, 0, 16, 16)], (16, 40), (16, 40), 0)
    assert (joined[:, 16:] == 3).all()
    assert joined.max() == 5


@given(st.lists(st.lists(st.floats(-100, 100), min_size=1, max_size=6), min_size=1, max_size=5), st.integers(1, 8))
def test_a_pictures_score_is_the_mean_of_its_highest_tiles(tiles, highest):
    joined = join_scores(np.concatenate(tiles), list(map(len, tiles)), highest)
    wanted = [np.mean(sorted(own)[-highest:]) for own in tiles]
    np.testing.assert_allclose(joined, wanted, rtol=1e-12, atol=1e-12)
    if highest == 1:
        assert joined.tolist() == [max(own) for own in tiles]


def test_tiles_without_foreground_are_left_out_unless_there_is_none():
    boxes = Tiling(16, 16).boxes((16, 48))
    mask = np.zeros((16, 48), bool)
    assert kept_tiles(boxes, mask) == [True] * 3
    assert kept_tiles(boxes, None) == [True] * 3
    mask[15, 31] = True
    assert kept_tiles(boxes, mask) == [False, True, False]


def test_shrinking_keeps_what_is_highest():
    values = np.zeros((1, 100, 30), np.float32)
    values[0, 57, 29] = 7
    small = shrink_map(values, (10, 40))
    assert small.shape == (1, 10, 30)
    assert small.max() == 7
    assert small[0, 5, 29] == 7


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "give HEIGHTxWIDTH"),
        ("512x", "give HEIGHTxWIDTH"),
        ("x512", "give HEIGHTxWIDTH"),
        ("512x512+", "give HEIGHTxWIDTH"),
        ("512x512-64", "give HEIGHTxWIDTH"),
        ("-512x512", "give HEIGHTxWIDTH"),
        ("512x512+6.5", "give HEIGHTxWIDTH"),
        ("99999999x2", "give HEIGHTxWIDTH"),
        ("0x512", "at least 16x16"),
        ("8", "at least 16x16"),
        ("512x64+64", "give less than 64"),
        ("64x512+600", "give less than 64"),
    ],
)
def test_what_is_no_tiling_is_refused_in_a_sentence(text, reason):
    with pytest.raises(UserError, match=r"^--tiles .*;|give HEIGHTxWIDTH") as refused:
        Tiling.parse(text)
    assert reason in str(refused.value)


@pytest.mark.parametrize("text", ["512x512+64", "48x64", "32x32+31"])
def test_text_says_a_tiling_once_and_for_all(text):
    assert str(Tiling.parse(text)) == text
    assert Tiling.parse("512+64") == Tiling.parse("512X512+64 ")


@pytest.mark.parametrize("text", ["top", "top0", "top-1", "mean", "max3", "TOP3", "top1e3"])
def test_tile_scores_are_max_or_some_of_the_highest(text):
    assert (parse_tile_score("max"), parse_tile_score("top3")) == (1, 3)
    with pytest.raises(UserError, match=r"^--tile-score .* such as top3"):
        parse_tile_score(text)
