"""The collapsed patch embedding against the publication's steps taken one by one."""

import pytest
import torch
from torch.nn import functional

from raylab2f.detectors.patch_embedding import PatchEmbedding


def step_by_step(levels, length, side=3):
    """Unfold, resize every entry of the neighbourhoods, pool within the levels, pool over the levels."""
    size = levels[0].shape[-2:]
    pooled = []
    for features in levels:
        patches = functional.unfold(features, side, padding=side // 2).unflatten(2, features.shape[-2:])
        if features.shape[-2:] != size:
            patches = functional.interpolate(patches, size=size, mode="bilinear", align_corners=False)
        rows = patches.permute(0, 2, 3, 1).flatten(0, 2)[:, None]
        pooled.append(functional.adaptive_avg_pool1d(rows, length)[:, 0])
    joined = torch.stack(pooled, dim=1).flatten(1)[:, None]
    return functional.adaptive_avg_pool1d(joined, length)[:, 0].unflatten(0, (len(levels[0]), -1))


def random_levels(channels, sizes, dtype=torch.float64):
    generator = torch.Generator().manual_seed(len(channels))
    return [torch.randn(2, c, *size, generator=generator, dtype=dtype) for c, size in zip(channels, sizes, strict=True)]


@pytest.mark.parametrize(
    ("channels", "sizes", "length"),
    [
        ((4, 8), ((6, 8), (3, 4)), 12),
        ((40, 112), ((6, 5), (3, 3)), 384),
        ((32, 64), ((7, 7), (4, 4)), 96),
        ((3, 5, 7), ((8, 4), (4, 2), (2, 1)), 10),
        ((6,), ((5, 5),), 7),
        ((2, 2), ((5, 5), (5, 5)), 64),
    ],
)
def test_it_equals_the_steps_taken_one_by_one(channels, sizes, length):
    levels = random_levels(channels, sizes)
    expected = step_by_step(levels, length)
    torch.testing.assert_close(PatchEmbedding(channels, length)(levels), expected, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("side", [1, 5])
def test_other_neighbourhoods(side):
    levels = random_levels((4, 8), ((6, 8), (3, 4)))
    found = PatchEmbedding((4, 8), 12, side)(levels)
    torch.testing.assert_close(found, step_by_step(levels, 12, side), rtol=1e-12, atol=1e-13)


def test_tokens_of_the_wanted_length_stay_as_they_are():
    (tokens,) = random_levels((6,), ((5, 4),))
    assert torch.equal(PatchEmbedding((6,), 6, 1)([tokens]), tokens.flatten(2).transpose(1, 2))


def test_short_floats_keep_their_type():
    levels = random_levels((4, 8), ((6, 8), (3, 4)), torch.float32)
    embedded = PatchEmbedding((4, 8), 12)(levels)
    assert embedded.dtype == torch.float32
    torch.testing.assert_close(embedded, step_by_step(levels, 12), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("channels", "length", "groups"), [((40, 112), 384, [8, 16]), ((512, 1024), 1536, [256, 256])])
def test_the_convolutions_of_the_presets_split_into_groups(channels, length, groups):
    assert PatchEmbedding(channels, length).groups == groups


def test_it_has_neither_parameters_nor_state():
    embedding = PatchEmbedding((4, 8), 12)
    assert not list(embedding.parameters())
    assert not embedding.state_dict()
