import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raylab2f.preparation.resize import FITS, resize_mask, resize_picture

sides = st.integers(1, 80)


@given(height=sides, width=sides, fit=st.sampled_from(FITS), target=st.tuples(st.integers(16, 60), st.integers(16, 60)))
def test_any_picture_gets_the_size_and_a_constant_one_keeps_its_colour(height, width, fit, target):
    picture = np.full((height, width, 3), (10, 200, 30), np.uint8)
    resized = resize_picture(picture, target, fit)
    assert resized.shape == (*target, 3)
    assert resized.dtype == np.uint8
    colours = {tuple(colour) for colour in resized.reshape(-1, 3).tolist()}
    assert (10, 200, 30) in colours
    assert colours <= {(10, 200, 30), (0, 0, 0)}
    if fit == "stretch":
        assert colours == {(10, 200, 30)}


def test_pad_keeps_the_aspect_and_centres():
    resized = resize_picture(np.full((50, 100, 3), 255, np.uint8), (64, 64), "pad")
    bright = resized[..., 0] == 255
    rows = np.flatnonzero(bright.any(axis=1))
    assert bright.any(axis=0).all()
    assert (rows[0], rows[-1]) == (16, 47)


@given(row=st.integers(0, 199), column=st.integers(0, 299), fit=st.sampled_from(FITS))
def test_a_defect_of_one_pixel_survives_shrinking(row, column, fit):
    mask = np.zeros((200, 300), bool)
    mask[row, column] = True
    resized = resize_mask(mask, (20, 20), fit)
    assert resized.dtype == bool
    assert 1 <= resized.sum() <= 4


@pytest.mark.parametrize(("height", "width"), [(1000, 100), (2000, 20), (403, 115), (100, 1000), (20, 2000)])
@pytest.mark.parametrize("fit", FITS)
def test_no_part_of_a_defect_is_skipped_where_one_side_shrinks_and_the_other_grows(height, width, fit):
    for axis, length in enumerate((height, width)):
        for place in range(0, length, 7):
            mask = np.zeros((height, width), bool)
            mask[(slice(None),) * axis + (place,)] = True
            assert resize_mask(mask, (256, 256), fit).any(), (axis, place)


def test_a_picture_is_averaged_along_the_side_that_shrinks_though_the_other_grows():
    stripes = np.zeros((1000, 100, 3), np.uint8)
    stripes[::2] = 200
    for picture, size in ((stripes, (250, 300)), (stripes.transpose(1, 0, 2), (300, 250))):
        assert (resize_picture(picture, size, "stretch") == 100).all()
