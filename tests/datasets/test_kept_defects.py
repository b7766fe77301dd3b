"""How many pixels defects keep at a size, against masks that were really brought to it."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raylab2f.datasets.defect_sizes import defect_size, largest_region
from raylab2f.datasets.kept_defects import Defect, kept_at, measure_defects, needed_scales


def square(side, picture=(100, 200), at=(30, 30)):
    mask = np.zeros(picture, bool)
    mask[at[0] : at[0] + side, at[1] : at[1] + side] = True
    return mask


def defect(mask, kind="dent"):
    return Defect(kind, mask.shape, largest_region(mask))


@given(height=st.integers(8, 60), width=st.integers(8, 60), factor=st.sampled_from([2, 3, 4]), pad=st.booleans())
def test_areas_and_extents_are_those_of_an_enlarged_mask(height, width, factor, pad):
    mask = square(5, (height, width), (1, 2))
    enlarged = np.kron(mask, np.ones((factor, factor), bool))
    kept = kept_at([defect(mask)], enlarged.shape, (8.0, 8.0), fit="pad" if pad else "stretch")
    assert kept.areas[0] == pytest.approx(defect_size(enlarged, "area"))
    # Centres of corner pixels lie a little farther out in the enlarged mask.
    assert kept.extents[0] == pytest.approx(defect_size(enlarged, "extent"), abs=factor)


def test_both_extent_and_area_must_reach_a_patch():
    line = np.zeros((100, 100), bool)
    line[50, 10:90] = True
    kept = kept_at([defect(line), defect(square(8)), defect(square(7))], None, (8.0, 8.0))
    assert kept.long.tolist() == [True, True, True]
    assert kept.large.tolist() == [True, True, False]
    assert kept.whole.tolist() == [True, True, False]
    thin = kept_at([defect(line)], (50, 50), (8.0, 8.0))
    assert (thin.long[0], thin.large[0]) == (True, False)


def test_padding_keeps_the_aspect_and_a_canvas_is_brought_to_the_size():
    one = [defect(square(20))]
    assert kept_at(one, (50, 50), (8.0, 8.0)).areas[0] == pytest.approx(400 * 0.5 * 0.25)
    assert kept_at(one, (50, 50), (8.0, 8.0), fit="pad").areas[0] == pytest.approx(400 * 0.25**2)
    assert kept_at(one, (50, 50), (8.0, 8.0), fit="pad", canvas=(25, 25)).areas[0] == pytest.approx(1600)


@given(st.integers(0, 1000), st.sampled_from([4.0, 8.0, 16.0]))
def test_the_needed_scale_is_the_smallest_that_keeps(seed, patch):
    generator = np.random.default_rng(seed)
    noise = cv2.GaussianBlur(generator.random((40, 40)), (0, 0), 2)
    one = defect(noise > np.quantile(noise, 0.9))
    scale = needed_scales([one], (patch, patch))[0]
    for change, wanted in ((1.001, True), (0.999, False)):
        size = tuple(side * scale * change for side in one.size)
        assert kept_at([one], size, (patch, patch)).whole[0] == wanted


def test_masks_are_read_once_and_those_without_marks_are_none(tmp_path):
    rows = []
    for number, mask in enumerate([square(9), square(4), square(0)]):
        path = str(tmp_path / f"{number}.png")
        cv2.imwrite(path, mask.astype(np.uint8) * 255)
        rows.append({"mask_path": path, "defect_type": "dent", "height": 100, "width": 200})
    rows.append({"mask_path": None, "defect_type": "dent", "height": 100, "width": 200})
    told = []
    found = measure_defects(rows, progress=lambda done, of: told.append((done, of)))
    assert [one.region.area for one in found] == [81, 16]
    assert told == [(1, 3), (2, 3), (3, 3)]
