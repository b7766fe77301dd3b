import numpy as np
import pytest

from raylab2f.diagnostics import diagnose_variance
from raylab2f.diagnostics.variance import activations, join_activations, object_variance


def features(spread, count=60, seed=0):
    """(n, 6, 9, 9) maps with one peak a channel, at the channel's own place plus up to `spread` cells."""
    rng = np.random.default_rng(seed)
    maps = rng.random((count, 6, 9, 9)).astype(np.float32)
    for channel in range(6):
        for picture in range(count):
            row, column = 4 + rng.integers(-spread, spread + 1, 2) if spread else (channel, 4)
            maps[picture, channel, row, column] += 10
    return maps


def test_peaks_are_where_they_were_put():
    found = activations(features(0))
    np.testing.assert_allclose(found.row, np.tile(np.arange(6) / 8, (60, 1)))
    np.testing.assert_allclose(found.column, 0.5)
    assert found.peaks.sum() == pytest.approx(1)
    assert found.strongest_mean[2, 4] > 10 > found.strongest_mean[0, 0]


def test_aligned_peaks_do_not_vary_and_scattered_ones_do():
    values = {spread: object_variance(activations(features(spread)))[:, 0].mean() for spread in (0, 1, 4)}
    assert values[0] == pytest.approx(0, abs=1e-9)
    assert values[0] < values[1] < values[4]
    assert values[4] == pytest.approx(1, rel=0.1)


@pytest.mark.parametrize("grid", [(2, 2), (5, 5), (8, 8), (10, 10), (24, 24), (3, 12), (1, 9)])
def test_random_places_give_1_on_every_grid(grid):
    maps = np.random.default_rng(0).random((400, 12, *grid), np.float32)
    assert object_variance(activations(maps))[:, 0].mean() == pytest.approx(1, abs=0.05)


def test_a_map_of_one_cell_has_no_places():
    maps = np.random.default_rng(0).random((40, 12, 1, 1), np.float32)
    assert object_variance(activations(maps))[:, 0].mean() == 0


def test_portions_are_as_good_as_the_whole():
    maps = features(3)
    whole, parts = activations(maps), join_activations([activations(maps[:17]), activations(maps[17:])])
    for name in ("row", "column", "intensity", "peaks", "strongest_mean", "strongest_std"):
        np.testing.assert_allclose(getattr(parts, name), getattr(whole, name), rtol=1e-5, atol=1e-6)


def test_preparations_are_ranked():
    found = {"as it is": activations(features(4)), "centred": activations(features(1))}
    objects = {name: [str(i // 2) for i in range(60)] for name in found}
    finding = diagnose_variance(found, objects, seed=0)
    assert finding.verdict == "warn"
    assert finding.evidence["preparation"].to_pylist() == ["centred", "as it is"]
    assert diagnose_variance({"as it is": found["centred"]}, objects, seed=0).verdict == "pass"


def test_channels_that_never_fire_say_nothing():
    maps = features(2)
    silent = np.concatenate([maps, np.zeros_like(maps)], axis=1)
    np.testing.assert_allclose(object_variance(activations(silent)), object_variance(activations(maps)))
