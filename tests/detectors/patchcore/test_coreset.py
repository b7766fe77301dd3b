"""The greedy coreset is that of one point at a time, and covers what it stands for."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from raylab2f.detectors.patchcore.coreset import greedy_coreset, random_projection


def one_at_a_time(points, count, first):
    chosen = [first]
    nearest = (points - points[first]).square().sum(dim=1)
    nearest[first] = -1
    while len(chosen) < count:
        farthest = int(nearest.argmax())
        chosen.append(farthest)
        nearest = torch.minimum(nearest, (points - points[farthest]).square().sum(dim=1))
        nearest[farthest] = -1
    return chosen


@given(
    seed=st.integers(0, 1000),
    size=st.integers(2, 900),
    dimensions=st.integers(1, 20),
    share=st.floats(0.01, 0.99),
    clusters=st.integers(1, 5),
)
def test_the_order_is_that_of_one_point_at_a_time(seed, size, dimensions, share, clusters):
    generator = torch.Generator().manual_seed(seed)
    points = torch.randn(size, dimensions, generator=generator, dtype=torch.float64)
    points += 30 * torch.randint(clusters, (size, 1), generator=generator)
    count, first = max(1, min(round(share * size), size - 1)), seed % size
    assert greedy_coreset(points, count, first).tolist() == one_at_a_time(points, count, first)


def test_equal_points_are_chosen_once_each():
    points = torch.tensor([[0.0], [0.0], [1.0], [1.0], [5.0]])
    assert greedy_coreset(points, 5).tolist() == list(range(5))
    chosen = greedy_coreset(points, 4).tolist()
    assert len(set(chosen)) == 4
    assert chosen[:3] in ([0, 4, 2], [0, 4, 3])


def test_every_point_lies_near_the_coreset():
    points = torch.rand(2000, 2, generator=torch.Generator().manual_seed(0))
    chosen = points[greedy_coreset(points, 200)]
    random = points[torch.randperm(2000, generator=torch.Generator().manual_seed(1))[:200]]
    worst = [torch.cdist(points, some).amin(dim=1).max() for some in (chosen, random)]
    assert worst[0] < 0.6 * worst[1]


def test_a_projection_keeps_distances():
    generator = torch.Generator().manual_seed(0)
    points = torch.randn(50, 1000, generator=generator)
    projected = points @ random_projection(1000, 128, generator)
    ratio = torch.pdist(projected) / torch.pdist(points)
    assert ratio.mean() == pytest.approx(1, abs=0.02)
    assert 0.6 < ratio.min() < ratio.max() < 1.4
