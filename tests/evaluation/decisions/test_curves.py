"""Counts over thresholds: equal sums whichever way they are computed."""

import numpy as np
import pytest

from raylab2f.evaluation.decisions import curves
from raylab2f.evaluation.decisions.curves import Ranking, arrange_weights, rank_scores, sweep


@pytest.mark.parametrize("rows", [0, 1, 7, 60])
@pytest.mark.parametrize("fractions", [False, True])
def test_many_and_few_weightings_are_summed_alike(rows, fractions, monkeypatch):
    rng = np.random.default_rng(rows)
    if rows:
        ranking = rank_scores(rng.integers(9, size=rows) / 4, rng.integers(5, size=rows), rng.random(rows) < 0.4)
    else:
        none = np.empty(0, dtype=np.int64)
        ranking = Ranking(np.empty(0), none, none, none.astype(bool), none)
    weights = rng.random((5, 6)) if fractions else rng.integers(4, size=(5, 6)).astype(np.float64)
    found = {}
    for wide in (1, 100):
        monkeypatch.setattr(curves, "_WIDE", wide)
        found[wide] = sweep(ranking, arrange_weights(weights))
    for name in ("tp", "fp"):
        assert getattr(found[1], name).shape == (len(ranking.score) + 1, 6)
        np.testing.assert_array_equal(getattr(found[1], name), getattr(found[100], name))


def test_counts_are_those_of_flagged_rows():
    score, owner = np.array([0.5, 0.9, 0.5, 0.1]), np.array([0, 1, 1, 2])
    curve = sweep(rank_scores(score, owner, np.array([1, 0, 0, 1])), np.array([[2.0], [3.0], [5.0]]))
    assert curve.tp[:, 0].tolist() == [0, 0, 2, 7]
    assert curve.fp[:, 0].tolist() == [0, 3, 6, 6]
