"""The training loop, with a small detector of its own: what holds for any detector."""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from raylab2f.detectors.base import Batch, Detector, FeatureRequest, Prediction, Samples, Schedule, Step
from raylab2f.detectors.checkpoint import load_training, save_training
from raylab2f.detectors.training import TrainingDivergedError, Worker, _share, predict_batches, train_epochs


@dataclass(frozen=True)
class Config:
    schedule: Schedule
    init_seed: int = 0


class Autoencoder(Detector):
    """Reconstruct the mean feature from a noisy one; the error is the score."""

    name = "autoencoder"
    config_class = Config
    presets: ClassVar = {}

    def __init__(self, config, feature_shapes, backbone=None):
        super().__init__(config, feature_shapes, backbone)
        channels = feature_shapes[0][0]
        generator = torch.Generator().manual_seed(config.init_seed)
        self.weight = torch.nn.Parameter(torch.randn(channels, channels, generator=generator, dtype=torch.float64) / 4)

    @classmethod
    def feature_requests(cls, config):
        return (FeatureRequest("none", "none", ("x",), (8, 8)),)

    def begin(self, samples, seed):
        return {}

    def optimizers(self):
        return [torch.optim.Adam([self.weight], lr=1e-2)]

    def forward(self, batch: Batch, step: Step):
        generator = torch.Generator().manual_seed(step.seed + 1000 * step.epoch + step.index)
        x = batch.features[0].mean(dim=(2, 3))
        noise = torch.randn(step.global_size, x.shape[1], generator=generator, dtype=x.dtype)
        noisy = x + 0.1 * noise[step.offset : step.offset + len(batch)]
        return ((noisy @ self.weight - x) ** 2).mean()

    @torch.no_grad()
    def predict(self, batch):
        x = batch.features[0]
        error = (torch.einsum("bchw,cd->bdhw", x, self.weight) - x).pow(2).mean(dim=1)
        return Prediction(error.amax(dim=(1, 2)), error)

    def upsample(self, maps, size):
        return torch.nn.functional.interpolate(maps[:, None], size=size)[:, 0]


SHAPES = [(6, 4, 4)]


@pytest.fixture
def samples():
    generator = torch.Generator().manual_seed(1)
    return Samples([torch.randn(21, *SHAPES[0], generator=generator, dtype=torch.float64)], dtype=torch.float64)


def make(epochs=4, **schedule):
    return Autoencoder(Config(Schedule(epochs=epochs, batch_size=4, **schedule)), SHAPES)


def train(detector, samples, *, optimizers=None, **options):
    optimizers = optimizers or detector.optimizers()
    return list(train_epochs(detector, samples, detector.config.schedule, optimizers, seed=5, **options))


def test_training_lowers_the_loss_and_reports_every_epoch(samples):
    detector = make(epochs=30)
    reports = train(detector, samples)
    assert [report.epoch for report in reports] == list(range(1, 31))
    assert reports[-1].loss < 0.5 * reports[0].loss


def test_learning_rates_fall_along_half_a_cosine(samples):
    rates = []

    class Spy(Autoencoder):
        def forward(self, batch, step):
            rates.append(optimizer.param_groups[0]["lr"])
            return super().forward(batch, step)

    spy = Spy(Config(Schedule(epochs=4, batch_size=7, final_rate=0.1)), SHAPES)
    (optimizer,) = spy.optimizers()
    train(spy, samples, optimizers=[optimizer])
    assert len(rates) == 4 * 3
    assert rates == sorted(rates, reverse=True)
    assert rates[0] == pytest.approx(1e-2)
    assert rates[6] == pytest.approx(1e-2 * (1 + 0.1) / 2)
    assert 1e-3 < rates[-1] < 1.5e-3


@pytest.mark.parametrize("final_rate", [1.0, 0.1])
def test_training_resumed_from_a_checkpoint_equals_one_that_never_stopped(samples, tmp_path, final_rate):
    whole = make(epochs=4, final_rate=final_rate)
    losses = [report.loss for report in train(whole, samples)]

    first = make(epochs=4, final_rate=final_rate)
    optimizers = first.optimizers()
    epochs = train_epochs(first, samples, first.config.schedule, optimizers, seed=5)
    history = [{"loss": next(epochs).loss} for _ in range(2)]
    save_training(tmp_path / "c.safetensors", first, optimizers, history)

    second = Autoencoder(replace(first.config, init_seed=99), SHAPES)
    optimizers = second.optimizers()
    restored = load_training(tmp_path / "c.safetensors", second, optimizers)
    assert restored == history
    rest = train(second, samples, optimizers=optimizers, first_epoch=len(restored))

    assert [entry["loss"] for entry in restored] + [report.loss for report in rest] == losses
    assert torch.equal(second.weight, whole.weight)


@pytest.mark.parametrize("damage", [b"", b"not a checkpoint", None])
def test_a_damaged_checkpoint_is_recognised(samples, tmp_path, damage):
    path = tmp_path / "c.safetensors"
    detector = make()
    save_training(path, detector, detector.optimizers(), [{"loss": 1.0}])
    path.write_bytes(path.read_bytes()[:-9] if damage is None else damage)
    with pytest.raises(ValueError, match="usable checkpoint"):
        load_training(path, detector, detector.optimizers())


def test_a_flipped_bit_in_a_checkpoint_is_recognised(samples, tmp_path):
    path = tmp_path / "c.safetensors"
    detector = make()
    save_training(path, detector, detector.optimizers(), [{"loss": 1.0}])
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match="checksum"):
        load_training(path, detector, detector.optimizers())


def test_a_checkpoint_of_another_shape_is_refused(tmp_path):
    path = tmp_path / "c.safetensors"
    other = Autoencoder(Config(Schedule(1, 1)), [(3, 4, 4)])
    save_training(path, other, other.optimizers(), [])
    with pytest.raises(ValueError, match="usable checkpoint"):
        load_training(path, make(), make().optimizers())


def test_a_diverging_training_stops(samples):
    detector = make()
    samples.features[0][3] = float("nan")
    with pytest.raises(TrainingDivergedError, match="epoch 1"):
        train(detector, samples)


def test_epochs_are_capped_and_drawn_anew(samples):
    seen = []

    class Spy(Autoencoder):
        def forward(self, batch, step):
            seen.append((step.epoch, batch.rows.tolist()))
            return super().forward(batch, step)

    train(Spy(Config(Schedule(epochs=2, batch_size=4, samples_per_epoch=10)), SHAPES), samples)
    epochs = [[row for epoch, rows in seen if epoch == e for row in rows] for e in (0, 1)]
    assert [len(rows) for rows in epochs] == [10, 10]
    assert all(len(set(rows)) == 10 for rows in epochs)
    assert epochs[0] != epochs[1]


@given(count=st.integers(1, 40), workers=st.integers(1, 9))
def test_the_workers_share_every_batch_without_gap_or_overlap(count, workers):
    rows = torch.arange(100, 100 + count)
    shares = [_share(rows, Worker(rank, workers)) for rank in range(workers)]
    counted = torch.cat([share.rows[: share.counting] for share in shares])
    assert torch.equal(counted, rows)
    for share in shares:
        assert len(share.rows) >= 1
        assert share.of == count
        assert torch.equal(share.rows, rows[share.offset : share.offset + len(share.rows)])


@given(workers=st.integers(1, 6), count=st.integers(1, 13))
def test_the_weighted_gradients_of_the_workers_average_to_the_global_one(workers, count):
    detector = make()
    generator = torch.Generator().manual_seed(count)
    data = Samples([torch.randn(count, *SHAPES[0], generator=generator, dtype=torch.float64)], dtype=torch.float64)
    rows = torch.arange(count)

    def gradient(own, weight, offset):
        detector.zero_grad()
        loss = detector(data.batch(own), Step(seed=1, epoch=0, index=0, offset=offset, global_size=count))
        (loss * weight).backward()
        return detector.weight.grad.clone()

    parts = [
        gradient(share.rows, share.counting * workers / count, share.offset)
        for share in (_share(rows, Worker(rank, workers)) for rank in range(workers))
    ]
    torch.testing.assert_close(sum(parts) / workers, gradient(rows, 1.0, 0), rtol=1e-12, atol=1e-14)


def test_predictions_come_in_order_and_do_not_depend_on_the_batch_size(samples):
    detector = make()
    small, large = (list(predict_batches(detector, samples, size)) for size in (4, 100))
    np.testing.assert_allclose(torch.cat([s for s, _ in small]), large[0][0], rtol=1e-6)
    np.testing.assert_allclose(torch.cat([m for _, m in small]), large[0][1], rtol=1e-6)


class Preparing(Autoencoder):
    """Notes what was prepared when, and what each step was given."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.asked, self.ahead, self.fails_at = [], [], None

    def prepare(self, rows, step):
        if (step.epoch, step.index) == self.fails_at:
            raise RuntimeError("no anomaly can be drawn")
        self.asked.append((step.epoch, step.index))
        return rows.clone(), step

    def forward(self, batch, step):
        rows, prepared_for = batch.prepared
        assert torch.equal(rows, batch.rows)
        assert prepared_for == step
        self.ahead.append(len([asked for asked in self.asked if asked > (step.epoch, step.index)]))
        return super().forward(batch, step)


def preparing():
    return Preparing(Config(Schedule(epochs=3, batch_size=4)), SHAPES)


@pytest.mark.parametrize("threads", [1, 3])
def test_every_step_gets_what_was_prepared_for_it(samples, threads):
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(threads)
        detector = preparing()
        losses = [report.loss for report in train(detector, samples)]
    finally:
        torch.set_num_threads(before)
    assert sorted(detector.asked) == [(epoch, index) for epoch in range(3) for index in range(6)]
    assert max(detector.ahead) <= threads
    assert losses == pytest.approx([report.loss for report in train(make(epochs=3), samples)], rel=1e-12)


def test_what_cannot_be_prepared_ends_the_training(samples):
    detector = preparing()
    detector.fails_at = (1, 2)
    with pytest.raises(RuntimeError, match="no anomaly can be drawn"):
        train(detector, samples)
    assert (2, 0) not in detector.asked


def test_a_resumed_optimiser_has_its_moments_laid_out_as_the_parameters_are(tmp_path):
    def convolution():
        return torch.nn.Conv2d(3, 5, 3).to(memory_format=torch.channels_last)

    def optimiser(module):
        return torch.optim.Adam(module.parameters(), fused=True)

    first = convolution()
    optimizers = [optimiser(first)]
    first(torch.ones(1, 3, 4, 4)).sum().backward()
    optimizers[0].step()
    save_training(tmp_path / "c.safetensors", first, optimizers, [])

    second = convolution()
    restored = [optimiser(second)]
    load_training(tmp_path / "c.safetensors", second, restored)
    for parameter, other in zip(second.parameters(), first.parameters(), strict=True):
        for name in ("exp_avg", "exp_avg_sq"):
            found, expected = restored[0].state[parameter][name], optimizers[0].state[other][name]
            assert found.stride() == parameter.stride()
            assert torch.equal(found, expected)
