"""The ascent on hidden units against the same ascent by automatic differentiation, and what truncation promises."""

import copy
import threading

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from raylab2f.detectors.glass import climb
from raylab2f.detectors.glass.climb import Ascent
from raylab2f.detectors.glass.discriminator import Discriminator
from raylab2f.detectors.glass.global_anomalies import nominal_radius, push_uphill, truncate

ROWS = 30


def network(length, hidden):
    discriminator = Discriminator(length, hidden, torch.Generator().manual_seed(2)).double()
    generator = torch.Generator().manual_seed(4)
    with torch.no_grad():
        # A gain of zero and one below are what training may arrive at.
        discriminator.norm.weight.normal_(1, 0.5, generator=generator)
        discriminator.norm.weight[:2] = torch.tensor([0.0, -0.7])
        discriminator.norm.bias.normal_(0, 0.5, generator=generator)
    return discriminator.train()


def by_autograd(discriminator, true, offset, origin, bounds, ascent):
    """The published order of operations; features in place of offsets."""
    features = (origin + offset).detach().requires_grad_()
    for step in range(ascent.steps):
        scores = discriminator(torch.cat([true, features]))[len(true) :]
        loss = nn.functional.binary_cross_entropy(scores, torch.ones_like(scores))
        (gradient,) = torch.autograd.grad(loss, features)
        features = features.detach() + ascent.rate * gradient / (gradient.norm(dim=1, keepdim=True) + 1e-10)
        if (step + 1) % ascent.project_every == 0:
            away = features - origin
            length = away.norm(dim=1, keepdim=True)
            features = origin + length.clamp(*bounds) / (length + 1e-10) * away
        features.requires_grad_()
    return (features - origin).detach()


def features(length, seed=0):
    generator = torch.Generator().manual_seed(seed)
    draw = [torch.randn(ROWS, length, generator=generator, dtype=torch.float64) for _ in range(3)]
    return draw[0], draw[0] + 0.3 * draw[1], 0.2 * draw[2]


@pytest.mark.parametrize(("length", "hidden"), [(12, 8), (6, 20)])
@pytest.mark.parametrize("ascent", [Ascent(20, 0.001, 5), Ascent(7, 0.05, 3), Ascent(2, 0.1, 5)])
def test_it_equals_automatic_differentiation(length, hidden, ascent):
    discriminator = network(length, hidden)
    other = copy.deepcopy(discriminator)
    true, origin, offset = features(length)
    bounds = (0.5, 0.8)
    with torch.no_grad():
        found = push_uphill(
            discriminator, discriminator.hidden(true), discriminator.hidden(origin), offset, bounds, ascent
        )
    torch.testing.assert_close(found, by_autograd(other, true, offset, origin, bounds, ascent), rtol=1e-9, atol=1e-12)
    for name in ("running_mean", "running_var", "num_batches_tracked"):
        torch.testing.assert_close(getattr(discriminator.norm, name), getattr(other.norm, name), rtol=1e-10, atol=0)


def test_the_anomalies_become_harder_to_tell():
    discriminator = network(12, 8)
    true, origin, offset = features(12)
    with torch.no_grad():
        hidden = [discriminator.hidden(x) for x in (true, origin)]
        moved = push_uphill(discriminator, *hidden, offset, (0.0, 100.0), Ascent(10, 0.05, 5))
        before, after = (discriminator(torch.cat([true, origin + away]))[ROWS:] for away in (offset, moved))
    assert after.log().mean() < before.log().mean()


def test_the_parameters_get_no_gradient_and_the_start_does():
    discriminator = network(12, 8)
    true, origin, offset = features(12)
    offset.requires_grad_()
    hidden = [discriminator.hidden(x).detach() for x in (true, origin)]
    push_uphill(discriminator, *hidden, offset, (0.5, 0.8), Ascent()).sum().backward()
    assert offset.grad is not None
    assert all(parameter.grad is None for parameter in discriminator.parameters())


@given(
    low=st.floats(1e-3, 10),
    ratio=st.floats(1, 10),
    scale=st.floats(1e-3, 1e3),
    seed=st.integers(0, 1000),
)
def test_truncation_keeps_directions_and_brings_lengths_into_bounds(low, ratio, scale, seed):
    offsets = scale * torch.randn(6, 5, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    moved = truncate(offsets, low, low * ratio) * offsets
    lengths = moved.norm(dim=1)
    assert (lengths >= low * (1 - 1e-6)).all()
    assert (lengths <= low * ratio * (1 + 1e-6)).all()
    torch.testing.assert_close(nn.functional.cosine_similarity(moved, offsets), torch.ones(6, dtype=torch.float64))


def test_the_radius_is_a_quantile_over_all_nominal_patches():
    true, local, center = (x.float() for x in features(4, seed=5))
    is_local = torch.arange(ROWS) % 3 == 0
    nominal = torch.cat([(local - center)[~is_local], true - center]).norm(dim=1)
    expected = torch.quantile(nominal, 0.75)
    torch.testing.assert_close(nominal_radius(true, local, is_local, center, 0.75), expected)


def test_with_a_synchronised_norm_workers_take_the_steps_of_one(monkeypatch):
    """Two threads stand for two workers: a sum over both in place of the collective operation."""
    discriminator = network(12, 8)
    true, origin, offset = features(12)
    hidden = [discriminator.hidden(x).detach() for x in (true, origin)]
    whole = push_uphill(copy.deepcopy(discriminator), *hidden, offset, (0.5, 0.8), Ascent())

    barrier, shared = threading.Barrier(2), []

    def all_reduce(tensor, group):
        shared.append(tensor)
        barrier.wait()
        total = shared[0] + shared[1]
        barrier.wait()
        tensor.copy_(total)
        if barrier.wait() == 0:
            shared.clear()
        barrier.wait()

    monkeypatch.setattr(climb.dist, "is_initialized", lambda: True)
    monkeypatch.setattr(climb.dist, "all_reduce", all_reduce)
    halves = {}

    def work(rank):
        own = nn.SyncBatchNorm.convert_sync_batchnorm(copy.deepcopy(discriminator))
        rows = slice(rank * 10, 10 + rank * 20)
        with torch.no_grad():
            halves[rank] = push_uphill(own, hidden[0][rows], hidden[1][rows], offset[rows], (0.5, 0.8), Ascent())

    workers = [threading.Thread(target=work, args=(rank,)) for rank in (0, 1)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(timeout=60)
    torch.testing.assert_close(torch.cat([halves[0], halves[1]]), whole, rtol=1e-9, atol=1e-12)
