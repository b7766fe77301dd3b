"""What folds say of how thresholds vary."""

import numpy as np
import pyarrow as pa
import pytest

from raylab2f.evaluation import evaluate
from raylab2f.evaluation.decisions.object_scores import parse_object_score
from raylab2f.evaluation.decisions.thresholds import parse_strategy
from raylab2f.evaluation.intervals.half_samples import threshold_deviation
from raylab2f.evaluation.outcomes.judging import build_problem
from raylab2f.evaluation.outcomes.metrics import REVIEWED_SHARES, Costs
from raylab2f.evaluation.scores import prepare_scores


def table(folds, objects=40, seed=0):
    """Scores of objects of either class with one picture each; folds are random halves."""
    rng = np.random.default_rng(seed)
    label = np.arange(2 * objects) < objects
    score = rng.standard_normal(2 * objects) + 2 * label
    judged = [np.concatenate([rng.permutation(objects) < objects // 2 for _ in range(2)]) for _ in range(folds)]
    return pa.table(
        {
            "fold": np.repeat(np.arange(folds), 2 * objects),
            "partition": np.where(np.concatenate(judged), "inference", "threshold"),
            "image_id": np.tile(np.arange(2 * objects).astype(str), folds),
            "label": np.tile(label.astype(int), folds),
            "score": np.tile(score, folds),
        }
    )


def problem_of(scores):
    return build_problem(prepare_scores(scores), (parse_strategy("two-sided"),), parse_object_score("max"), Costs())


def test_of_a_mean_it_is_the_usual_standard_error():
    # Means and medians of the halves; the first has a formula.
    scores = table(400).to_pandas()
    chosen = scores[(scores["partition"] == "threshold") & (scores["label"] == 1)].groupby("fold")["score"]
    (found,) = threshold_deviation(problem_of(table(400)), chosen.mean().to_numpy()[None])
    everyone = scores[(scores["fold"] == 0) & (scores["label"] == 1)]["score"]
    assert found == pytest.approx(everyone.std(ddof=1) / len(everyone) ** 0.5, rel=0.12)


def test_it_leaves_out_what_is_missing_and_one_fold_says_nothing():
    problem = problem_of(table(4))
    values = np.array([[0.1, 0.3, np.nan, np.nan], [0.2, np.nan, np.nan, np.nan], [np.nan] * 4])
    found = threshold_deviation(problem, values)
    assert found[0] == pytest.approx(np.std([0.1, 0.3], ddof=1))
    assert found[1:].tolist() == [0, 0]


@pytest.mark.parametrize("strategy", ["review-cost:10,1,0.25,0.5", "two-sided:0.05,0.05"])
def test_intervals_of_reviewed_shares_are_not_narrower_than_the_folds_differ(strategy):
    for seed in range(5):
        summary = evaluate(table(5, seed=seed), strategies=(strategy,), replicates=200, methods=(), prevalence=0.1)
        rows = [row for row in summary.estimates if row.metric in REVIEWED_SHARES]
        assert {row.metric for row in rows} == set(REVIEWED_SHARES)
        for row in rows:
            assert row.interval.low <= row.mean - row.std / 2
            assert row.interval.high >= row.mean + row.std / 2
