import numpy as np
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
