"""What makes it a normalizing flow: it can be inverted, and its log-determinant is that of its Jacobian."""

import pytest
import timm
import torch
from hypothesis import given
from hypothesis import strategies as st

from raylab2f.detectors.base import Batch
from raylab2f.detectors.csflow import CSFlow, CSFlowConfig
from raylab2f.detectors.registry import preset_config
from raylab2f.errors import UserError

shapes = pytest.mark.parametrize(("channels", "size"), [(4, (8, 8)), (5, (4, 12)), (2, (16, 4))])


PUBLISHED = "tf_efficientnet_b5.aa_in1k"


@shapes
def test_the_inverse_brings_features_back(make_detector, make_features, channels, size):
    detector, features = make_detector(channels, size), make_features(3, channels, size)
    with torch.no_grad():
        z, _ = detector.latent(features)
        back = detector.inverse(z)
    for before, latent, after in zip(features, z, back, strict=True):
        assert (before - latent).abs().max() > 0.1
        torch.testing.assert_close(after, before, rtol=0, atol=1e-10)


@shapes
def test_the_graph_computes_the_formulas(plain_flow, make_detector, make_features, channels, size):
    detector, features = make_detector(channels, size), make_features(3, channels, size)
    with torch.no_grad():
        found, log_determinant = detector.latent(features)
        expected, expected_log = plain_flow(features, detector.state_dict(), (3, 3, 3, 5), detector.config.clamp)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(log_determinant, expected_log, rtol=1e-12, atol=1e-12)


def test_the_log_determinant_is_that_of_the_jacobian(make_detector, make_features):
    detector, features = make_detector(2, (4, 4)), make_features(2, 2, (4, 4))
    parts = [x[0].numel() for x in features]

    def flat_flow(flat):
        maps = [part.view(1, *x.shape[1:]) for part, x in zip(flat.split(parts), features, strict=True)]
        return torch.cat([z.flatten() for z in detector.latent(maps)[0]])

    with torch.no_grad():
        _, log_determinants = detector.latent(features)
    for sample in range(2):
        flat = torch.cat([x[sample].flatten() for x in features])
        jacobian = torch.autograd.functional.jacobian(flat_flow, flat)
        assert torch.linalg.slogdet(jacobian).logabsdet.item() == pytest.approx(
            log_determinants[sample].item(), abs=1e-9
        )


def test_a_fresh_flow_only_permutes(make_features):
    detector = CSFlow(CSFlowConfig(hidden_channels=4), [(6, 8, 8), (6, 4, 4), (6, 2, 2)]).double()
    features = make_features(2, 6)
    z, log_determinant = detector.latent(features)
    assert log_determinant.abs().max() == 0
    for before, after in zip(features, z, strict=True):
        torch.testing.assert_close(after.sort(dim=1).values, before.sort(dim=1).values)


@given(st.permutations(range(4)))
def test_pictures_are_scored_independently(order):
    features = [torch.randn(4, 2, 8 >> s, 8 >> s, generator=torch.Generator().manual_seed(s)) for s in range(3)]
    detector = CSFlow(CSFlowConfig(hidden_channels=4), [tuple(x.shape[1:]) for x in features]).eval()
    rows = torch.tensor(order)
    together = detector.predict(Batch(torch.arange(4), features))
    shuffled = detector.predict(Batch(rows, [x[rows] for x in features]))
    torch.testing.assert_close(shuffled.scores, together.scores[rows])
    torch.testing.assert_close(shuffled.maps, together.maps[rows])


def test_the_seed_decides_initial_parameters():
    first, same, other = (
        CSFlow(CSFlowConfig(hidden_channels=4, init_seed=seed), [(4, 8, 8), (4, 4, 4), (4, 2, 2)]).state_dict()
        for seed in (0, 0, 1)
    )
    assert all(torch.equal(first[name], same[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_scores_and_maps_in_numbers(make_detector, make_features):
    detector, features = make_detector(), make_features()
    prediction = detector.predict(Batch(torch.arange(3), features))
    z, _ = detector.latent(features)
    flat = torch.cat([scale.flatten(1) for scale in z], dim=1)
    torch.testing.assert_close(prediction.scores, 0.5 * flat.square().mean(dim=1))
    assert prediction.maps.shape == (3, 8, 8)
    # Bilinear doubling keeps the mean, so all three scales weigh the same.
    assert detector.upsample(prediction.maps, (32, 48)).shape == (3, 32, 48)


def test_the_published_weights_are_asked_for_whatever_timm_calls_its_default():
    assert PUBLISHED in timm.list_pretrained("tf_efficientnet_b5*")
    assert CSFlow.feature_requests(preset_config("csflow", "paper"))[0].backbone == PUBLISHED
    for preset in ("fast", "demo"):
        assert preset_config("csflow", preset).backbone == "tf_efficientnet_lite0"


def test_three_sizes_of_a_picture_are_asked_for():
    requests = CSFlow.feature_requests(preset_config("csflow", "paper"))
    assert [request.size for request in requests] == [(768, 768), (384, 384), (192, 192)]
    assert {(request.backbone, request.layers) for request in requests} == {(PUBLISHED, ("blocks.5",))}


@pytest.mark.parametrize(
    "bad", [[(4, 8, 8), (4, 4, 4)], [(4, 8, 8), (4, 4, 4), (4, 4, 4)], [(4, 6, 6), (4, 3, 3), (4, 1, 1)]]
)
def test_maps_that_are_no_halves_are_refused(bad):
    with pytest.raises(UserError, match="--size 768x768"):
        CSFlow(CSFlowConfig(), bad)


def test_one_channel_cannot_be_halved():
    with pytest.raises(UserError, match="2 channels"):
        CSFlow(CSFlowConfig(hidden_channels=2), [(1, 8, 8), (1, 4, 4), (1, 2, 2)])
