import json
import math

import pyarrow as pa
import pytest

from raylab2f.diagnostics.finding import CODES, Bounds, Measure, conclude, skipped
from raylab2f.diagnostics.resampling import Estimate
from raylab2f.pitfalls import PITFALLS


@pytest.mark.parametrize(
    ("estimate", "verdict"),
    [
        (Estimate(0.5, 0.4, 0.6), "pass"),
        (Estimate(0.65, 0.6, 0.7), "pass"),  # the bound itself is no trespass
        (Estimate(0.7, 0.66, 0.74), "warn"),
        (Estimate(0.9, 0.6, 1.0), "warn"),  # beyond, but perhaps by chance
        (Estimate(0.9, 0.7, 1.0), "fail"),
        (Estimate(0.9), "warn"),  # nobody knows whether by chance
        (Estimate(math.nan), "skip"),
    ],
)
def test_a_failure_is_bad_and_not_by_chance(estimate, verdict):
    assert Bounds(0.65, 0.75).verdict(estimate) == verdict


def test_lower_may_be_worse():
    bounds = Bounds(0.5, 0.2, lower_is_worse=True)
    assert [bounds.verdict(Estimate(v, v - 0.1, v + 0.1)) for v in (0.6, 0.4, 0.1)] == ["pass", "warn", "fail"]
    assert bounds.verdict(Estimate(0.1, 0.0, 0.6)) == "warn"


def test_what_is_counted_and_not_estimated_fails_without_an_interval():
    bounds = Bounds(0.0, 0.05, exact=True)
    assert [bounds.verdict(Estimate(value)) for value in (0.0, 0.05, 0.06)] == ["pass", "warn", "fail"]
    assert "interval" not in str(bounds)


def test_a_measure_without_failure_bound_never_fails():
    assert Bounds(0.5, None).verdict(Estimate(100.0)) == "warn"


def test_the_worst_measure_decides_and_says_its_bound():
    measures = [
        Measure("fine", Estimate(0.1, 0.0, 0.2), "Fine.", Bounds(0.5, 0.6)),
        Measure("bad", Estimate(0.9, 0.8, 1.0), "Bad.", Bounds(0.5, 0.6)),
        Measure("for-information", Estimate(5.0), "Large."),
    ]
    finding = conclude("thing", measures)
    assert finding.verdict == "fail"
    assert finding.why == "Bad."
    assert finding.bound.startswith("bad ")
    assert "0.5" in finding.bound
    assert "0.6" in finding.bound


def test_findings_are_json_without_nan():
    measure = Measure("a", Estimate(0.3), "A.", Bounds(0.5, None))
    evidence = pa.table({"value": [float("nan"), 1.0]})
    values = conclude("thing", [measure, Measure("b", Estimate(math.nan), "B.")], evidence).to_dict()
    again = json.loads(json.dumps(values, allow_nan=False))
    assert again["evidence"][0]["value"] is None
    assert again["measures"][1]["value"] is None
    assert again["figure"]["interval"]["low"] is None


def test_what_cannot_be_measured_is_skipped():
    assert conclude("thing", [Measure("a", Estimate(math.nan), "A.", Bounds(0, 1))]).verdict == "skip"
    assert skipped("thing", "No masks.").to_dict()["figure"] is None


def test_every_pitfall_that_is_diagnosed_has_one_diagnosis_and_findings_carry_its_code():
    assert sorted(CODES.values()) == [code for code in PITFALLS if code.startswith("RL1")]
    assert skipped("leakage", "No folds.").to_dict()["code"] == CODES["leakage"]


def test_a_diagnosis_from_elsewhere_has_no_code():
    assert skipped("dust", "No dust.").to_dict()["code"] is None
