"""Sample sizes against brute force."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from raylab2f.errors import UserError
from raylab2f.evaluation.comparison.planning import (
    design_effect,
    estimate_clustering,
    half_width,
    objects_for_half_width,
    plan_guarantee,
)
from raylab2f.evaluation.decisions.thresholds import admissible_misses


@pytest.mark.parametrize("hits", [0, 3, 19, 20])
def test_half_widths_are_those_of_scipy(hits):
    for method, name in (("clopper-pearson", "exact"), ("wilson", "wilson")):
        ends = stats.binomtest(hits, 20).proportion_ci(0.9, method=name)
        assert half_width(hits / 20, 20, method=method, confidence=0.9) == pytest.approx((ends.high - ends.low) / 2)


@pytest.mark.parametrize("method", ["clopper-pearson", "wilson"])
@pytest.mark.parametrize("rate", [0.0, 0.05, 0.5, 0.97, 1.0])
@pytest.mark.parametrize("wanted", [0.04, 0.1, 0.3])
def test_the_number_of_objects_is_the_smallest_by_brute_force(method, rate, wanted):
    found = objects_for_half_width(rate, wanted, method=method)
    fits = [half_width(rate, n, method=method) <= wanted for n in range(1, found + 50)]
    assert fits.index(True) + 1 == found
    # The width falls with n, so that more objects always do as well.
    assert all(fits[found - 1 :])


@given(st.floats(0, 1), st.floats(0.05, 0.3), st.floats(1, 20), st.floats(0, 1))
def test_several_pictures_save_objects_as_far_as_they_differ(rate, wanted, pictures, correlation):
    objects = objects_for_half_width(rate, wanted)
    clustered = objects_for_half_width(rate, wanted, pictures=pictures, correlation=correlation)
    assert np.floor(objects / pictures) <= clustered <= objects
    assert objects_for_half_width(rate, wanted, pictures=pictures, correlation=1.0) == objects


def test_design_effect():
    assert design_effect(6, 0.5) == 3.5
    assert design_effect(1, 0.9) == 1
    for arguments in ((0.5, 0.1), (3, -0.1), (3, 1.1)):
        with pytest.raises(UserError):
            design_effect(*arguments)


@pytest.mark.parametrize(("alpha", "delta", "escape"), [(0.1, 0.05, 0.03), (0.2, 0.1, 0.1), (0.05, 0.05, 0.0)])
def test_the_guarantee_is_the_smallest_by_brute_force(alpha, delta, escape):
    plan = plan_guarantee(alpha, delta, escape, power=0.8)
    assert (1 - alpha) ** plan.fewest <= delta < (1 - alpha) ** (plan.fewest - 1)
    allowed = admissible_misses(plan.useful, alpha, delta)
    chance = [stats.binom(n, escape).cdf(allowed[n]) if allowed[n] >= 0 else 0.0 for n in range(plan.useful + 1)]
    assert chance[-1] >= 0.8
    assert max(chance[:-1]) < 0.8
    assert plan.misses == allowed[-1]
    assert plan.useful >= plan.fewest


def test_what_cannot_be_guaranteed():
    with pytest.raises(UserError, match="raise alpha"):
        plan_guarantee(0.1, 0.05, 0.1)
    with pytest.raises(UserError, match="too close"):
        plan_guarantee(0.1, 0.05, 0.0999999)
    with pytest.raises(UserError, match="power"):
        plan_guarantee(0.1, 0.05, 0.01, power=1.0)


@pytest.mark.parametrize(
    "arguments", [(-0.1, 0.1), (1.1, 0.1), (0.9, 0.0), (0.9, 0.5), (0.5, 1e-6)], ids=lambda a: f"{a[0]}-{a[1]}"
)
def test_widths_that_cannot_be(arguments):
    with pytest.raises(UserError):
        objects_for_half_width(*arguments)


def flagged(*objects):
    """One fold whose threshold is 1; the pictures of each judged defective object have these scores."""
    rows = [("threshold", f"chosen {label}", label, float(label)) for label in (0, 1)]
    rows += [("inference", "good", 0, 0.0)]
    rows += [("inference", f"bad {number}", 1, score) for number, scores in enumerate(objects) for score in scores]
    partition, owner, label, score = zip(*rows, strict=True)
    columns = {"partition": partition, "object_id": owner, "label": label, "score": score, "fold": [0] * len(rows)}
    return pa.table({"image_id": [f"{row}" for row in range(len(rows))], **columns})


@pytest.mark.parametrize(
    ("objects", "correlation"),
    [
        # Mean squares 11/24 between and 1/8 within.
        ([(1.0, 1.0), (1.0, 1.0), (0.0, 0.0), (1.0, 0.0)], 4 / 7),
        # Unequal objects: mean squares 5/12 and 1/6, their size in the mean (6 - 14/6) / 2.
        ([(1.0,), (1.0, 0.0), (0.0, 0.0, 0.0)], 0.45),
        ([(1.0, 1.0), (0.0, 0.0)], 1),
        ([(1.0, 0.0), (1.0, 0.0)], 0),
        ([(1.0, 1.0), (1.0, 1.0)], None),
        ([(1.0,), (0.0,)], None),
    ],
)
def test_the_correlation_within_objects_is_that_of_the_analysis_of_variance(objects, correlation):
    found = estimate_clustering(flagged(*objects))[True]
    assert found.correlation == (correlation if correlation is None else pytest.approx(correlation))


def scores_of(agreeing: bool) -> pa.Table:
    """40 + 40 objects with 4 pictures: all of an object's pictures agree, or have nothing in common."""
    rng = np.random.default_rng(0)
    owner = np.repeat(np.arange(80), 4)
    label = owner < 40
    draws = rng.standard_normal(80)[owner] if agreeing else rng.standard_normal(320)
    return pa.table(
        {
            "fold": np.zeros(320, int),
            "partition": np.where(owner % 2, "threshold", "inference"),
            "image_id": np.arange(320).astype(str),
            "object_id": owner.astype(str),
            "label": label.astype(int),
            "score": label + draws + 1e-6 * rng.standard_normal(320),
        }
    )


def test_clustering_of_a_run():
    agreeing, independent = (estimate_clustering(scores_of(kind)) for kind in (True, False))
    for anomalous in (True, False):
        assert agreeing[anomalous].pictures == independent[anomalous].pictures == 4
        assert agreeing[anomalous].objects == 20
        assert agreeing[anomalous].correlation > 0.9
        assert independent[anomalous].correlation < 0.25


def test_clustering_says_nothing_when_all_are_judged_alike():
    table = scores_of(True)
    label = table["label"].to_numpy()
    perfect = table.set_column(table.column_names.index("score"), "score", pa.array(label * 1.0))
    assert estimate_clustering(perfect)[True].correlation is None
