"""Shorter types in a training: what they change, and what they must not."""

from dataclasses import replace

import pytest
import torch

from raylab2f.detectors.base import Samples
from raylab2f.detectors.patchcore import PatchCore, PatchCoreConfig
from raylab2f.detectors.precision import PRECISIONS, active_precision, check_precision, products_in
from raylab2f.detectors.registry import detector_class, preset_config
from raylab2f.detectors.training import predict_batches, train_epochs
from raylab2f.errors import UserError
from raylab2f.runs.nearest_neighbour import nearest_neighbour_scores


def flags():
    return torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32


@pytest.mark.parametrize(("precision", "allowed"), [("float32", False), ("tf32", True), ("bfloat16", True)])
def test_a_block_decides_for_convolutions_and_products_alike(precision, allowed):
    before = flags()
    with products_in("float32" if allowed else "tf32"), products_in(precision):
        assert flags() == (allowed, allowed)
    assert flags() == before
    with pytest.raises(ZeroDivisionError), products_in(precision):
        1 / 0  # noqa: B018
    assert flags() == before


def test_a_processor_without_tf32_computes_in_float32_and_says_so():
    cpu = torch.device("cpu")
    assert [active_precision(name, cpu) for name in PRECISIONS] == ["float32", "float32", "bfloat16"]


@pytest.mark.parametrize("detector", ["csflow", "glass"])
def test_an_unknown_precision_is_refused(detector):
    check_precision("tf32")
    with pytest.raises(UserError, match=r"--set precision=half: choose one of float32, tf32, bfloat16\."):
        replace(preset_config(detector, "fast"), precision="half")


@pytest.fixture(scope="module")
def features():
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(16, 6, side, side, generator=generator) for side in (8, 4, 2)]


def trained(features, precision, epochs=3):
    base = preset_config("csflow", "fast")
    schedule = replace(base.schedule, epochs=epochs, batch_size=8)
    config = replace(base, precision=precision, hidden_channels=16, schedule=schedule)
    detector = detector_class("csflow")(config, [x.shape[1:] for x in features])
    samples = Samples(features)
    detector.begin(samples, 0)
    losses = [epoch.loss for epoch in train_epochs(detector, samples, schedule, detector.optimizers(), seed=0)]
    scores = torch.cat([scores for scores, _ in predict_batches(detector, samples, 8)])
    return detector, losses, scores


def test_bfloat16_changes_a_training_a_little_and_no_parameters_type(features):
    _, losses, scores = trained(features, "float32")
    short, short_losses, short_scores = trained(features, "bfloat16")
    assert losses[-1] < losses[0]
    assert short_losses != losses
    assert short_losses == pytest.approx(losses, rel=0.02)
    torch.testing.assert_close(short_scores, scores, rtol=0.05, atol=0.01)
    assert {value.dtype for value in short.parameters()} == {torch.float32}
    assert trained(features, "tf32")[1] == losses
    assert not torch.is_autocast_enabled("cpu")


def test_scores_do_not_depend_on_the_precision_that_trained(features):
    exact, _, _ = trained(features, "float32")
    twin = detector_class("csflow")(replace(exact.config, precision="bfloat16"), [x.shape[1:] for x in features])
    twin.load_state_dict(exact.state_dict())
    found, expected = (
        torch.cat([scores for scores, _ in predict_batches(one, Samples(features), 8)]) for one in (twin, exact)
    )
    assert torch.equal(found, expected)


def test_scales_and_determinant_agree_in_bfloat16(features):
    """A flow whose scales were rounded apart from their sum would have a likelihood of no density."""
    detector, _, _ = trained(features, "bfloat16")
    maps = [x[:2] for x in features]
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        z, determinant = detector.latent(maps)
        back = detector.inverse(z)
    assert {x.dtype for x in (*z, determinant)} == {torch.float32}
    for one, other in zip(back, maps, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-3)


def test_the_nearest_neighbour_remembers_as_exactly_as_it_compares(monkeypatch):
    seen = []
    begin, predict = PatchCore.begin, PatchCore.predict
    monkeypatch.setattr(PatchCore, "begin", lambda *given: seen.append(flags()) or begin(*given))
    monkeypatch.setattr(PatchCore, "predict", lambda *given: seen.append(flags()) or predict(*given))
    config = PatchCoreConfig(layers=("one",), size=(8, 8))
    with products_in("tf32"):
        nearest_neighbour_scores(
            config, [(3, 4, 4)], lambda names: Samples([torch.rand(len(names), 3, 4, 4)]), ["a", "b"], ["c"], 0, 2
        )
    assert seen == [(False, False)] * 2
