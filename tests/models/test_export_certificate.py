"""What a certificate counts is what is there to be counted."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from raylab2f.evaluation.decisions.object_scores import aggregate_scores, parse_object_score
from raylab2f.models import Decision
from raylab2f.models.export.certificate import Comparison, Example, compare, findings


def judge_of(decision):
    rule = parse_object_score(decision.object_score)

    def joint(scores):
        return float(aggregate_scores(scores, np.zeros(len(scores), np.int64), rule)[1][0])

    return SimpleNamespace(record=SimpleNamespace(decision=decision), joint_score=joint)


score = st.sampled_from([-2.0, 0.5, 0.9999, 0.99999, 1.0, 1.00001, 1.0001, 1.5, 3.0, 40.0, 40.001, 39.999])
row = st.tuples(st.sampled_from("abcd"), st.integers(0, 1), score, score | st.sampled_from([np.nan, np.inf]))


@settings(max_examples=200, deadline=None)
@given(
    rows=st.lists(row, min_size=1, max_size=12),
    level=st.sampled_from(["image", "object"]),
    thresholds=st.sampled_from([(1.0, None), (40.0, None), (40.0, 1.0), (1.0, 1.0)]),
    margin=st.sampled_from([0.0, 1e-4, 1e-2]),
)
def test_verdicts_that_change_are_counted_one_by_one(rows, level, thresholds, margin):
    high, low = thresholds
    objects, labels, before, after = zip(*rows, strict=True)
    comparison = Comparison(objects, np.array(labels), np.array(before), np.array(after), np.zeros(len(rows)))
    found = findings(judge_of(Decision(level, "max", "youden", high, low)), comparison, margin)

    parts = {}
    for number, (name, *values) in enumerate(rows):
        parts.setdefault(name if level == "object" else number, []).append(values)
    flips = outside = 0
    outcomes = {when: {"escapes": 0, "overkill": 0, "review": 0} for when in ("before", "after")}
    for own in parts.values():
        label = max(values[0] for values in own)
        old = max(values[1] for values in own)
        new = max(values[2] for values in own) if all(np.isfinite(values[2]) for values in own) else None

        def said(value):
            if value is None:
                return "unusable"
            if value >= high:
                return "reject"
            return "review" if low is not None and value >= low else "accept"

        for when, value in (("before", old), ("after", new)):
            outcomes[when]["escapes"] += label == 1 and said(value) == "accept"
            outcomes[when]["overkill"] += label == 0 and said(value) == "reject"
            outcomes[when]["review"] += said(value) == "review"
        if said(old) != said(new):
            flips += 1
            crossed = [t for t in (high, low) if t is not None and (new is None or (old >= t) != (new >= t))]
            outside += new is None or any(abs(old - t) > margin * max(1, abs(t)) for t in crossed)
    interval = binomtest(flips, len(parts)).proportion_ci(0.95, method="exact")
    assert found["decided"] == len(parts)
    assert (found["flips"]["count"], found["flips"]["outside_margin"]) == (flips, outside)
    assert (found["flips"]["low"], found["flips"]["high"]) == pytest.approx((interval.low, interval.high))
    for when, counts in outcomes.items():
        assert {name: found["outcomes"][when][name] for name in counts} == counts
    usable = np.isfinite(comparison.after)
    assert found["unusable_scores"] == (~usable).sum()
    differences = np.abs(comparison.after - comparison.before)[usable]
    assert found["score_difference"]["largest"] == (differences.max() if usable.any() else None)


def test_pictures_of_different_sizes_are_told_apart_and_compared_in_their_order():
    def look(pictures):
        return [SimpleNamespace(scores=np.array([one.sum()]), map=np.full((4, 4), one[0, 0, 0])) for one in pictures]

    batches = []

    def runner(pictures):
        batches.append(len(pictures))
        totals = pictures.astype(np.int64).sum(axis=(1, 2, 3))
        return totals + 1.0, pictures[:, :1, :1, 0] + np.zeros((len(pictures), 4, 4)) + 2

    sizes = [(2, 3)] * 11 + [(3, 2)] * 2 + [(2, 3)]
    examples = [Example(f"{n}", f"{n}", 0, np.full((*size, 3), n, np.uint8)) for n, size in enumerate(sizes)]
    found = compare(SimpleNamespace(look=look), runner, iter(examples))
    assert batches == [8, 3, 2, 1]
    assert found.objects == tuple(map(str, range(14)))
    np.testing.assert_array_equal(found.before, 18.0 * np.arange(14))
    np.testing.assert_array_equal(found.after - found.before, 1.0)
    np.testing.assert_array_equal(found.maps, 2.0)
