"""Scaled features have the nominal mean at 0 and the length asked for."""

import pytest
import torch

from raylab2f.detectors.feature_scaling import FeatureScaling
from raylab2f.errors import UserError


@pytest.fixture
def features():
    generator = torch.Generator().manual_seed(0)
    mixed = torch.randn(6, 6, generator=generator)
    return torch.randn(4000, 6, generator=generator) @ mixed * 20 + 300


@pytest.mark.parametrize("kind", ["uniform", "whitened"])
def test_the_nominal_norm_is_as_asked(features, kind):
    scaling = FeatureScaling(kind, 6, norm=5.0)
    scaling.fit(features.split(700))
    scaled = scaling(features)
    assert scaled.mean(dim=0).abs().max() < 1e-3
    assert scaled.square().sum(dim=1).mean().sqrt() == pytest.approx(5.0, rel=1e-3)
    variances = torch.linalg.eigvalsh(scaled.T.cov())
    assert (variances[0] / variances[-1] > 0.5) == (kind == "whitened")


def test_uniform_keeps_proportions(features):
    scaling = FeatureScaling("uniform", 6, norm=5.0)
    scaling.fit([features])
    ratio = torch.pdist(scaling(features[:50])) / torch.pdist(features[:50])
    assert ratio.max() / ratio.min() < 1.001


def test_whitened_distances_do_not_depend_on_the_features_units(features):
    distances = []
    for units in (torch.ones(6), torch.tensor([1.0, 3.0, 0.5, 2.0, 1.0, 4.0])):
        scaling = FeatureScaling("whitened", 6, norm=5.0)
        scaling.fit([features * units])
        distances.append(torch.pdist(scaling(features[:50] * units)))
    assert torch.corrcoef(torch.stack(distances))[0, 1] > 0.95


def test_features_without_variance_and_none_are_left_as_they_are(features):
    still = FeatureScaling("whitened", 6, norm=5.0)
    still.fit([torch.ones(10, 6)])
    torch.testing.assert_close(still(torch.full((2, 6), 3.0)), torch.full((2, 6), 2.0))
    none = FeatureScaling("none", 6, norm=5.0)
    none.fit([features])
    assert none(features) is features
    assert not none.state_dict()
    with pytest.raises(UserError, match="uniform"):
        FeatureScaling("other", 6, norm=5.0)
