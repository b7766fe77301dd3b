"""The vectorised bootstrap equals a plain loop that really repeats and leaves out rows."""

import numpy as np
import pytest
from sklearn import metrics as sk

from raylab2f.evaluation.decisions.object_scores import parse_object_score
from raylab2f.evaluation.decisions.thresholds import STRATEGIES, choose_threshold, parse_strategy
from raylab2f.evaluation.intervals import bootstrap
from raylab2f.evaluation.intervals.bootstrap import (
    bootstrap_chunks,
    jackknife_means,
    object_weights,
    weight_blocks,
    weighted_means,
)
from raylab2f.evaluation.intervals.methods import bca_interval
from raylab2f.evaluation.outcomes.judging import Estimate, build_problem, judge
from raylab2f.evaluation.outcomes.means import fold_mean, mean_outcomes
from raylab2f.evaluation.outcomes.metrics import Costs
from raylab2f.evaluation.scores import prepare_scores

COSTS = Costs(prevalence=0.03)


def make_problem(table, strategies=("youden",), rule="max", **options):
    scores = prepare_scores(table)
    parsed = [parse_strategy(text) for text in strategies]
    return scores, build_problem(scores, parsed, parse_object_score(rule), COSTS, **options)


def repeated_rows(scores, fold, judged, weight, level):
    """Scores and labels of a partition with every object's rows repeated by its weight."""
    rows = np.flatnonzero((scores.fold == fold) & (scores.judged == judged))
    if level == "image":
        times = weight[scores.object[rows]]
        return scores.score[rows].repeat(times), scores.label[rows].repeat(times)
    owners = np.unique(scores.object[rows])
    best = np.array([max(scores.score[row] for row in rows if scores.object[row] == owner) for owner in owners])
    return best.repeat(weight[owners]), scores.object_anomalous[owners].repeat(weight[owners])


def slow_conformal(scores, alpha, fold, weight):
    """Each object's nominal pictures count as one object together."""
    rows = np.flatnonzero((scores.fold == fold) & ~scores.judged & ~scores.label)
    owner = scores.object[rows]
    share = np.array([weight[o] / (owner == o).sum() for o in owner])
    for candidate in np.unique(scores.score[rows]):
        flagged = share[scores.score[rows] > candidate].sum()
        if share.sum() and flagged + 1 <= alpha * (share.sum() + 1) + 1e-9:
            return np.nextafter(candidate, np.inf)
    return None


def slow_values(scores, strategy, level, fold, weight):
    """A few metrics of one replicate in one fold; None where a class is missing or there is no threshold."""
    source = "object" if strategy.name == "guaranteed-recall" else level
    if strategy.name == "conformal" and level == "image":
        chosen = slow_conformal(scores, strategy["alpha"], fold, weight)
    else:
        chosen = choose_threshold(strategy, *repeated_rows(scores, fold, False, weight, source)).threshold
    score, label = repeated_rows(scores, fold, True, weight, level)
    if chosen is None or label.all() or not label.any():
        return None
    flagged = score >= chosen
    recall, specificity = flagged[label].mean(), 1 - flagged[~label].mean()
    return {
        "tp": (flagged & label).sum(),
        "fp": (flagged & ~label).sum(),
        "recall": recall,
        "specificity": specificity,
        "balanced_accuracy": (recall + specificity) / 2,
        "f1": sk.f1_score(label, flagged, zero_division=0),
        "mcc": sk.matthews_corrcoef(label, flagged),
        "precision_at_prevalence": 0.03 * recall / max(0.03 * recall + 0.97 * (1 - specificity), 1e-300),
    }


@pytest.mark.parametrize("decimals", [0, 1, 9])
def test_every_replicate_equals_the_plain_loop(simulate, decimals):
    texts = [*STRATEGIES, "guaranteed-recall:0.4,0.4"]
    scores, problem = make_problem(simulate(decimals=decimals, seed=decimals), texts)
    weights = object_weights(problem.strata, 6, np.random.default_rng(0))
    values = judge(problem, weights).values
    compared = 0
    for estimate in problem.estimates:
        if estimate.metric != "tp":
            continue
        for fold in range(3):
            for replicate in range(6):
                weight = weights[:, replicate].astype(int)
                slow = slow_values(scores, parse_strategy(estimate.strategy), estimate.level, fold, weight)
                for other, one in enumerate(problem.estimates):
                    if (one.strategy, one.level) != (estimate.strategy, estimate.level):
                        continue
                    if slow is None and not one.metric.startswith("recall["):
                        assert np.isnan(values[other, fold, replicate])
                    elif slow is not None and one.metric in slow:
                        assert values[other, fold, replicate] == pytest.approx(slow[one.metric], abs=1e-12)
                        compared += 1
    assert compared > 1500


def test_ranking_metrics_of_every_replicate(simulate):
    scores, problem = make_problem(simulate(decimals=1))
    weights = object_weights(problem.strata, 10, np.random.default_rng(1))
    values = judge(problem, weights).values
    for index, estimate in enumerate(problem.estimates):
        function = {"auroc": sk.roc_auc_score, "average_precision": sk.average_precision_score}.get(estimate.metric)
        if function is None:
            continue
        for fold in range(3):
            for replicate in range(10):
                weight = weights[:, replicate].astype(int)
                score, label = repeated_rows(scores, fold, True, weight, estimate.level)
                assert values[index, fold, replicate] == pytest.approx(function(label, score), abs=1e-12)


def test_recall_of_a_defect_type_counts_its_objects_only(simulate):
    table = simulate(seed=3)
    scores, problem = make_problem(table)
    outcomes = judge(problem, np.ones((len(problem.strata), 1)))
    name = table["defect_type"].to_numpy(zero_copy_only=False)
    for level in ("image", "object"):
        for kind in ("dent", "scratch"):
            place = [(e.level, e.metric) for e in problem.estimates].index((level, f"recall[{kind}]"))
            for fold in range(3):
                chosen = outcomes.thresholds[problem.levels.index(level), 0, fold, 0]
                rows = (scores.fold == fold) & scores.judged & (name == kind)
                if level == "image":
                    expected = (scores.score[rows] >= chosen).mean()
                else:
                    owners = np.unique(scores.object[rows])
                    expected = np.mean([scores.score[rows & (scores.object == o)].max() >= chosen for o in owners])
                assert outcomes.values[place, fold, 0] == pytest.approx(expected, abs=1e-12)


def test_weights_are_drawn_within_each_class():
    strata = np.array([True] * 7 + [False] * 12)
    weights = object_weights(strata, 3000, np.random.default_rng(0))
    assert (weights[strata].sum(axis=0) == 7).all()
    assert (weights[~strata].sum(axis=0) == 12).all()
    assert weights.mean(axis=1) == pytest.approx(np.ones(19), abs=0.08)
    # Multinomial: variance 1 - 1/n.
    assert weights[strata].var() == pytest.approx(1 - 1 / 7, abs=0.03)


def test_chunks_can_be_computed_anywhere_in_any_number(simulate, monkeypatch):
    monkeypatch.setattr(bootstrap, "CHUNK", 40)
    _, problem = make_problem(simulate())
    whole = bootstrap_chunks(problem, 130, seed=5)
    parts = [bootstrap_chunks(problem, 130, seed=5, chunks=part) for part in ([0], [1, 2], [3])]
    assert whole.shape[1] == 130
    np.testing.assert_array_equal(whole, np.concatenate(parts, axis=1))
    assert not np.array_equal(whole, bootstrap_chunks(problem, 130, seed=6))


def test_jackknife_leaves_one_object_out(simulate):
    table = simulate(seed=2)
    scores, problem = make_problem(table)
    left_out, strata = jackknife_means(problem, seed=0)
    # Strata one after the other, the nominal one first.
    order = np.argsort(problem.strata, kind="stable")
    np.testing.assert_array_equal(strata, problem.strata[order])
    for gone in (0, 5, 20):
        weight = np.ones(len(problem.strata), dtype=int)
        weight[order[gone]] = 0
        expected = np.mean(
            [slow_values(scores, problem.strategies[0], "image", fold, weight)["recall"] for fold in range(3)]
        )
        place = [(e.level, e.metric) for e in problem.estimates].index(("image", "recall"))
        assert left_out[place, gone] == pytest.approx(expected, abs=1e-12)


def test_large_strata_lose_groups_and_the_acceleration_stays(simulate):
    _, problem = make_problem(simulate(seed=4, anomalous=200, nominal=900, pictures=1), ("youden",))
    means = mean_outcomes(problem, judge(problem, np.ones((len(problem.strata), 1))).values)[:, 0]
    drawn = bootstrap_chunks(problem, 400, seed=0)
    in_groups, strata = jackknife_means(problem, seed=1)
    assert len(strata) == in_groups.shape[1] == 200 + 200
    one_by_one = np.concatenate(
        [
            weighted_means(problem, 1.0 - np.eye(len(problem.strata))[:, start : start + 100])
            for start in range(0, len(problem.strata), 100)
        ],
        axis=1,
    )
    place = [(e.level, e.metric) for e in problem.estimates].index(("object", "auroc"))
    some = slice(place, place + 1)
    ours = bca_interval(means[some], drawn[some], in_groups[some], strata, 0.95)
    exact = bca_interval(means[some], drawn[some], one_by_one[some], problem.strata, 0.95)
    spread = drawn[place].std()
    assert abs(ours[0][0] - exact[0][0]) < 0.1 * spread
    assert abs(ours[1][0] - exact[1][0]) < 0.1 * spread


def test_replicates_do_not_depend_on_how_their_weights_are_held(simulate, monkeypatch):
    _, problem = make_problem(simulate())
    whole = bootstrap_chunks(problem, 60, seed=3)
    monkeypatch.setattr(bootstrap, "_CACHED", 30)
    np.testing.assert_array_equal(bootstrap_chunks(problem, 60, seed=3), whole)
    monkeypatch.setattr(bootstrap, "_MOST_WEIGHTS", 7 * len(problem.strata))
    blocks = list(weight_blocks(problem.strata, 20, np.random.default_rng(0)))
    assert [block.shape[1] for block in blocks] == [7, 7, 6]
    for block in blocks:
        assert (block[problem.strata].sum(axis=0) == problem.strata.sum()).all()


def test_pictures_as_units_equal_objects_of_one_picture(simulate):
    table = simulate(pictures=1)
    _, by_object = make_problem(table)
    _, by_picture = make_problem(table, unit="image")
    ours, naive = bootstrap_chunks(by_object, 50, seed=0), bootstrap_chunks(by_picture, 50, seed=0)
    place = [by_object.estimates.index(estimate) for estimate in by_picture.estimates]
    np.testing.assert_array_equal(ours[place], naive)


def test_ratios_at_a_prevalence_come_from_the_mean_rates_in_every_replicate(simulate):
    _, problem = make_problem(simulate(separation=3.0, folds=5), ("youden", "conformal:0.4"))
    for drawn in (bootstrap_chunks(problem, 50, seed=0), jackknife_means(problem, seed=0)[0]):
        for strategy in ("youden", "conformal:0.4"):
            for level in ("image", "object"):
                recall, overkill_rate, precision, npv = (
                    drawn[problem.estimates.index(Estimate(strategy, level, metric))]
                    for metric in ("recall", "overkill_rate", "precision_at_prevalence", "npv_at_prevalence")
                )
                rejected, alarms = 0.03 * recall, 0.97 * overkill_rate
                np.testing.assert_allclose(precision, rejected / (rejected + alarms), rtol=1e-12)
                np.testing.assert_allclose(npv, (0.97 - alarms) / (1 - rejected - alarms), rtol=1e-12)


def test_the_mean_over_folds_leaves_out_missing_ones():
    values = np.array([[[1.0, np.nan], [3.0, np.nan], [np.nan, np.nan]]])
    np.testing.assert_array_equal(fold_mean(values), [[2.0, np.nan]])
