"""Metrics agree with scikit-learn to 1e-12, ties and all."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sk

from raylab2f.evaluation.decisions.curves import rank_scores, sweep
from raylab2f.evaluation.outcomes.metrics import Costs, Counts, count_metrics, ranking_metrics

TOLERANCE = 1e-12


def draw(seed, decimals, size=70):
    rng = np.random.default_rng(seed)
    labels = rng.permutation(size) < rng.integers(1, size)
    return (rng.standard_normal(size) + labels).round(decimals), labels


@pytest.mark.parametrize("decimals", [0, 1, 9])
@pytest.mark.parametrize("max_fpr", [0.05, 0.1, 0.37, 1.0])
def test_ranking_metrics_agree_with_scikit_learn(decimals, max_fpr):
    for seed in range(25):
        scores, labels = draw(seed, decimals)
        curve = sweep(rank_scores(scores, np.zeros(len(scores), int), labels), np.ones((1, 1)))
        ours = ranking_metrics(curve, Costs(max_fpr=max_fpr))
        assert ours["auroc"][0] == pytest.approx(sk.roc_auc_score(labels, scores), abs=TOLERANCE)
        expected = sk.average_precision_score(labels, scores)
        assert ours["average_precision"][0] == pytest.approx(expected, abs=TOLERANCE)
        if max_fpr < 1:
            expected = sk.roc_auc_score(labels, scores, max_fpr=max_fpr)
            assert ours["partial_auroc"][0] == pytest.approx(expected, abs=TOLERANCE)
        else:
            assert ours["partial_auroc"][0] == pytest.approx(ours["auroc"][0], abs=TOLERANCE)


@given(
    rows=st.lists(st.tuples(st.floats(-1e6, 1e6), st.booleans()), min_size=2, max_size=60).filter(
        lambda rows: len({label for _, label in rows}) == 2
    )
)
def test_auroc_agrees_with_scikit_learn_on_anything(rows):
    scores, labels = (np.array(column) for column in zip(*rows, strict=True))
    curve = sweep(rank_scores(scores, np.zeros(len(scores), int), labels), np.ones((1, 1)))
    expected = sk.roc_auc_score(labels, scores)
    assert ranking_metrics(curve, Costs())["auroc"][0] == pytest.approx(expected, abs=1e-12)


def test_weighted_ranking_metrics_agree_with_scikit_learn():
    rng = np.random.default_rng(0)
    scores, labels = draw(3, 1)
    owner = rng.integers(0, 20, len(scores))
    weights = rng.poisson(1.0, (20, 30)).astype(float)
    ours = ranking_metrics(sweep(rank_scores(scores, owner, labels), weights), Costs())
    for replicate in range(30):
        weight = weights[owner, replicate]
        for name, function, options in (
            ("auroc", sk.roc_auc_score, {}),
            ("average_precision", sk.average_precision_score, {}),
            ("partial_auroc", sk.roc_auc_score, {"max_fpr": 0.1}),
        ):
            expected = function(labels, scores, sample_weight=weight, **options)
            assert ours[name][replicate] == pytest.approx(expected, abs=TOLERANCE)


@given(
    confusion=st.tuples(*(st.integers(0, 30) for _ in range(4))).filter(lambda c: c[0] + c[3] > 0 and c[1] + c[2] > 0)
)
def test_count_metrics_agree_with_scikit_learn(confusion):
    tp, fp, tn, fn = confusion
    labels = np.repeat([1, 0, 0, 1], confusion)
    flagged = np.repeat([1, 1, 0, 0], confusion)
    counts = Counts(*(np.array([float(x)]) for x in (tp, fp, tp + fn, tn + fp)))
    ours = {name: value[0] for name, value in count_metrics(counts, Costs(beta=1.5)).items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = {
            "tp": tp,
            "fp": fp,
            "tn": tn,
            "fn": fn,
            "accuracy": sk.accuracy_score(labels, flagged),
            "balanced_accuracy": sk.balanced_accuracy_score(labels, flagged),
            "precision": sk.precision_score(labels, flagged, zero_division=0),
            "recall": sk.recall_score(labels, flagged),
            "specificity": sk.recall_score(labels, flagged, pos_label=0),
            "f1": sk.f1_score(labels, flagged, zero_division=0),
            "fbeta": sk.fbeta_score(labels, flagged, beta=1.5, zero_division=0),
            "mcc": sk.matthews_corrcoef(labels, flagged),
            "kappa": sk.cohen_kappa_score(labels, flagged),
            "youden_j": sk.balanced_accuracy_score(labels, flagged, adjusted=True),
            "npv": sk.precision_score(labels, flagged, pos_label=0, zero_division=0),
            "escape_rate": 1 - sk.recall_score(labels, flagged),
            "overkill_rate": 1 - sk.recall_score(labels, flagged, pos_label=0),
            "expected_cost": 1000 * (10 * fn + fp) / (tp + fp + tn + fn),
        }
    assert ours == pytest.approx(expected, abs=TOLERANCE)


def test_at_the_prevalence_of_the_partition_nothing_changes():
    counts = Counts(*(np.array([x]) for x in (8.0, 5.0, 10.0, 40.0)))
    ours = count_metrics(counts, Costs(prevalence=0.2))
    assert ours["precision_at_prevalence"] == pytest.approx(ours["precision"], abs=TOLERANCE)
    assert ours["npv_at_prevalence"] == pytest.approx(ours["npv"], abs=TOLERANCE)
    assert ours["cost_at_prevalence"] == pytest.approx(ours["expected_cost"], abs=1e-9)


def test_rare_defects_lower_the_precision():
    counts = Counts(*(np.array([x]) for x in (90.0, 10.0, 100.0, 100.0)))
    ours = count_metrics(counts, Costs(escape=100, overkill=2, prevalence=0.01))
    assert ours["precision_at_prevalence"][0] == pytest.approx(0.009 / (0.009 + 0.099))
    assert ours["cost_at_prevalence"][0] == pytest.approx(1000 * (100 * 0.01 * 0.1 + 2 * 0.99 * 0.1))


def test_rates_of_nothing_are_nan():
    ours = count_metrics(Counts(*(np.array([x]) for x in (0.0, 1.0, 0.0, 4.0))), Costs())
    assert np.isnan(ours["recall"][0])
    assert np.isnan(ours["balanced_accuracy"][0])
    assert ours["specificity"][0] == 0.75
