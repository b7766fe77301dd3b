"""The resizing of exported graphs is that of the preparation, to the last grey value."""

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from raylab2f.errors import UserError
from raylab2f.models.export.resizing import GraphResizing
from raylab2f.preparation.resize import resize_picture

length = st.integers(1, 400)
side = st.integers(16, 150)


@settings(max_examples=150, deadline=None)
@given(
    size=st.tuples(side, side), shape=st.tuples(length, length), fit=st.sampled_from(["stretch", "pad"]), seed=length
)
# Both sides by whole numbers, by two, one of them by none; a quarter and less; larger; one side each way; as it is.
@example(size=(40, 60), shape=(120, 180), fit="stretch", seed=1)
@example(size=(40, 60), shape=(80, 120), fit="stretch", seed=1)
@example(size=(40, 60), shape=(40, 180), fit="stretch", seed=1)
@example(size=(64, 64), shape=(400, 170), fit="pad", seed=1)
@example(size=(150, 150), shape=(37, 75), fit="stretch", seed=1)
@example(size=(64, 64), shape=(30, 300), fit="stretch", seed=1)
@example(size=(64, 48), shape=(64, 48), fit="pad", seed=1)
# As many whole pixels as OpenCV does not take for so many.
@example(size=(16, 16), shape=(784, 784), fit="stretch", seed=1)
# Half a pixel of the inner size.
@example(size=(80, 80), shape=(320, 162), fit="pad", seed=1)
def test_pictures_of_any_size_come_out_as_prepared(size, shape, fit, seed):
    pictures = np.random.default_rng(seed).integers(0, 256, (2, *shape, 3)).astype(np.uint8)
    resized, enough = GraphResizing(size, fit, shape)(torch.from_numpy(pictures))
    assert float(enough) == 1
    np.testing.assert_array_equal(resized.numpy(), np.stack([resize_picture(one, size, fit) for one in pictures]))


def test_a_picture_beyond_the_largest_is_known_as_such():
    resizing = GraphResizing((32, 32), "stretch", (64, 96))
    sizes = {(64, 96): 1, (20, 96): 1, (65, 96): 0, (64, 97): 0, (640, 960): 0}
    found = {shape: float(resizing(torch.zeros(1, *shape, 3, dtype=torch.uint8))[1]) for shape in sizes}
    assert found == sizes


def test_a_largest_picture_beyond_all_measure_is_refused():
    with pytest.raises(UserError, match=r"--largest-picture 100000x100: .* give a smaller one\."):
        GraphResizing((32, 32), "stretch", (100_000, 100))
