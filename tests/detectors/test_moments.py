import numpy as np
import pytest
import torch

from raylab2f.detectors.moments import moments


@pytest.mark.parametrize("cuts", [(50,), (1, 49), (7, 20, 23)])
@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_mean_and_scatter_are_those_of_numpy_however_features_are_cut(cuts, offset):
    features = torch.randn(3, 50, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64) + offset
    mean, scatter, count = moments(features.split(cuts, dim=1))
    assert count == 50
    for group in range(3):
        own = features[group].numpy()
        np.testing.assert_allclose(mean[group], own.mean(axis=0), rtol=1e-12)
        np.testing.assert_allclose(scatter[group] / 49, np.cov(own.T), rtol=1e-7, atol=1e-9)


def test_short_types_are_summed_in_float64():
    features = torch.full((1, 4000, 1), 0.1, dtype=torch.float16)
    mean, scatter, _ = moments([features])
    assert mean.item() == pytest.approx(float(np.float16(0.1)), abs=1e-12)
    assert scatter.item() == pytest.approx(0.0, abs=1e-12)


def test_no_features_are_a_mistake():
    with pytest.raises(ValueError, match="no features"):
        moments([])
