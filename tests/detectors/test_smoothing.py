"""Upsampled maps against scipy's Gaussian."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from raylab2f.detectors.smoothing import smooth_upsample


@pytest.mark.parametrize(
    ("grid", "size", "sigma"), [((5, 7), (40, 56), 4.0), ((3, 3), (9, 6), 4.0), ((4, 4), (64, 64), 1.5)]
)
def test_it_is_bilinear_and_then_scipys_gaussian(grid, size, sigma):
    maps = torch.from_numpy(np.random.default_rng(0).random((2, *grid)))
    bilinear = torch.nn.functional.interpolate(maps[:, None], size=size, mode="bilinear", align_corners=False)[:, 0]
    expected = np.stack([gaussian_filter(one, sigma) for one in bilinear.numpy()])
    np.testing.assert_allclose(smooth_upsample(maps, size, sigma).numpy(), expected, rtol=1e-12, atol=1e-13)
