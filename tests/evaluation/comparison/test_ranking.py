"""Ranks: one more than the number of runs shown to be better."""

import numpy as np
import pyarrow as pa
import pytest

from raylab2f.errors import UserError
from raylab2f.evaluation.comparison.ranking import rank
from raylab2f.evaluation.comparison.runs import compare_scores


def table(separation, seed, parts=600):
    numbers = np.arange(parts)
    noise = np.random.default_rng(seed).normal(size=parts)
    return pa.table(
        {
            "image_id": numbers.astype(str),
            "label": (numbers % 2).astype(int),
            "score": numbers % 2 * separation + noise,
            "partition": np.where(numbers % 4 < 2, "threshold", "inference"),
            "fold": 0 * numbers,
        }
    )


@pytest.fixture(scope="module")
def comparison():
    separations = {"poor": 0.3, "good": 4.0, "as good": 4.1, "middling": 1.5}
    tables = {name: table(separation, seed) for seed, (name, separation) in enumerate(separations.items())}
    return compare_scores(tables, metrics=("auroc", "escape_rate"), replicates=400)


def test_equals_share_a_rank_and_the_others_come_behind_all_that_are_shown_to_be_better(comparison):
    ranked = rank(comparison, "auroc")
    assert {one.run for one in ranked[:2]} == {"good", "as good"}
    assert [one.rank for one in ranked] == [1, 1, 3, 4]
    assert ranked[0].tied_with == (ranked[1].run,)
    assert set(ranked[3].worse_than) == {"good", "as good", "middling"}
    assert ranked[3].tied_with == ()


def test_of_error_rates_the_lowest_comes_first(comparison):
    ranked = rank(comparison, "escape_rate")
    assert [one.mean for one in ranked] == sorted(one.mean for one in ranked)
    assert ranked[-1].run == "poor"


def test_ranks_and_ties_agree(comparison):
    for metric in ("auroc", "escape_rate"):
        ranked = {one.run: one for one in rank(comparison, metric)}
        for one in ranked.values():
            assert one.rank == 1 + len(one.worse_than)
            for other in one.tied_with:
                assert one.run in ranked[other].tied_with
            below = [name for name, other in ranked.items() if one.run in other.worse_than]
            assert sorted([one.run, *one.worse_than, *one.tied_with, *below]) == sorted(ranked)


def test_a_copy_of_a_run_is_tied_with_it():
    ranked = rank(compare_scores({name: table(1.0, 0) for name in "ab"}, metrics=("auroc",), replicates=50), "auroc")
    assert [one.rank for one in ranked] == [1, 1]


def test_a_metric_that_was_not_compared_is_refused(comparison):
    with pytest.raises(UserError, match="has no recall at object level"):
        rank(comparison, "recall")
