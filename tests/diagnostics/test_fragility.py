import numpy as np
import pytest

from raylab2f.diagnostics import diagnose_fragility
from raylab2f.diagnostics.fragility import outcome_curves


def test_well_separated_scores_leave_nothing_to_the_threshold(make_scores):
    finding = diagnose_fragility(make_scores(12.0), "youden", seed=0)
    assert finding.verdict == "pass"
    assert finding.measure("decision-flips").estimate.value < 0.1
    assert finding.measure("fold-flips").estimate.value < 0.1


def test_scores_that_know_nothing_leave_everything_to_it(make_scores):
    finding = diagnose_fragility(make_scores(0.0, objects=10), "youden", seed=0)
    assert finding.verdict == "fail"
    assert finding.measure("decision-flips").estimate.value > 0.2
    assert finding.measure("threshold-spread").estimate.value > 0.2


def test_escapes_that_cost_more_move_the_cheapest_threshold(make_scores):
    scores = make_scores(1.5)
    dear, even = (
        diagnose_fragility(scores, "youden", cost_escape=cost, seed=0).measure("youden-from-cost").estimate.value
        for cost in (50.0, 1.0)
    )
    assert dear > even


def test_a_strategy_without_threshold_is_skipped(make_scores):
    finding = diagnose_fragility(make_scores(objects=6), "guaranteed-recall:0.01,0.01", seed=0)
    assert finding.verdict == "skip"


def test_curves_fall_and_rise(make_scores):
    curves = outcome_curves(make_scores(2.0))
    assert (np.diff(curves["recall"], axis=1) <= 0).all()
    assert (np.diff(curves["specificity"], axis=1) >= 0).all()
    assert curves["recall"].shape == (4, len(curves["position"]))
    middle = np.searchsorted(curves["position"], 1.0)
    assert curves["specificity"][:, middle].mean() == pytest.approx(0.84, abs=0.06)
