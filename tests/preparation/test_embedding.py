import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raylab2f.errors import UserError
from raylab2f.preparation.embedding import (
    FOREGROUND_SCHEMA,
    Box,
    bounding_box,
    check_foregrounds,
    embed,
    smallest_canvas,
)


def foregrounds(*sizes, share=0.5):
    rows = [{"image_id": f"p{i}", "height": h, "width": w, "share": share} for i, (h, w) in enumerate(sizes)]
    return pa.Table.from_pylist(rows, schema=FOREGROUND_SCHEMA)


@given(
    top=st.integers(0, 20),
    left=st.integers(0, 20),
    height=st.integers(1, 10),
    width=st.integers(1, 10),
    more=st.tuples(st.integers(0, 9), st.integers(0, 9)),
)
def test_what_is_in_the_box_is_in_the_middle_of_the_canvas(top, left, height, width, more):
    array = np.zeros((40, 40), np.uint8)
    array[top : top + height, left : left + width] = 7
    box = bounding_box(array > 0)
    assert box == Box(top, left, height, width)
    canvas = height + more[0], width + more[1]
    embedded = embed(array, box, canvas)
    assert embedded.shape == canvas
    assert (embedded == 7).sum() == height * width
    inside = bounding_box(embedded > 0)
    for before, size, whole in ((inside.top, height, canvas[0]), (inside.left, width, canvas[1])):
        assert abs(before - (whole - size - before)) <= 1


def test_an_empty_mask_has_no_box():
    assert bounding_box(np.zeros((5, 5), bool)) is None


def test_the_smallest_canvas_holds_the_tallest_and_the_widest():
    assert smallest_canvas(foregrounds((10, 50), (40, 20))) == (40, 50)


def test_too_small_a_canvas_lists_the_offenders_and_what_would_do():
    with pytest.raises(UserError, match=r"30x50: .* 2 objects: p1 \(40x20\), p2 \(31x51\); give at least 40x51"):
        check_foregrounds(foregrounds((10, 50), (40, 20), (31, 51)), (30, 50))


def test_empty_masks_are_listed():
    with pytest.raises(UserError, match=r"1 foreground masks are empty.*p1"):
        check_foregrounds(foregrounds((10, 50), (0, 0)), None)


def test_masks_that_cover_everything_are_told():
    assert (
        "2 foreground masks cover the whole picture" in check_foregrounds(foregrounds((9, 9), (9, 9), share=1), None)[0]
    )
    assert check_foregrounds(foregrounds((9, 9)), (9, 9)) == []
