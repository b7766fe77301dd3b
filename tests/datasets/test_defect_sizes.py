"""How large a defect is, by its mask."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import label

from raylab2f.datasets.defect_sizes import PixelSize, defect_size
from raylab2f.errors import UserError


@given(st.integers(0, 10_000), st.floats(0.02, 0.6))
def test_the_largest_region_counts(seed, share):
    mask = np.random.default_rng(seed).random((14, 17)) < share
    regions, count = label(mask, np.ones((3, 3)))
    if not count:
        assert defect_size(mask, "area") is None
        return
    areas = np.bincount(regions.ravel())[1:]
    assert defect_size(mask, "area") == areas.max()
    extents = []
    for number in np.flatnonzero(areas == areas.max()) + 1:
        places = np.argwhere(regions == number)
        extents.append(np.sqrt(((places[:, None] - places[None]) ** 2).sum(axis=2)).max() + 1)
    assert any(defect_size(mask, "extent") == pytest.approx(extent) for extent in extents)


@given(st.integers(0, 1000), st.integers(0, 3))
def test_turning_changes_nothing(seed, turns):
    mask = np.random.default_rng(seed).random((9, 12)) < 0.3
    turned = np.rot90(mask, turns)
    assert defect_size(turned, "area") == defect_size(mask, "area")


@pytest.mark.parametrize(("text", "side"), [("0.05mm", 0.05), (" 50 um ", 0.05), ("0.005cm", 0.05), ("1e-3 m", 1.0)])
def test_a_pixels_side(text, side):
    pixel = PixelSize.parse(text)
    assert (pixel.side, pixel.unit) == (pytest.approx(side), "mm")
    assert pixel.apply(100, "area") == pytest.approx(100 * side**2)
    assert (pixel.unit_of("area"), pixel.unit_of("extent")) == ("mm²", "mm")


@pytest.mark.parametrize("text", ["", "0.05", "mm", "-1mm", "0mm", "5 parsec", "1e99mm", "nanmm"])
def test_what_is_no_length_is_refused(text):
    with pytest.raises(UserError, match="give the length of a pixel's side"):
        PixelSize.parse(text)
