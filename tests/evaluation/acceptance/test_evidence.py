"""Both kinds of evidence, on tables of scores."""

import numpy as np
import pyarrow as pa
import pytest
from scipy.stats import binomtest

from raylab2f.errors import UserError
from raylab2f.evaluation import evaluate
from raylab2f.evaluation.acceptance.finished import judge_finished
from raylab2f.evaluation.acceptance.limits import Limit
from raylab2f.evaluation.acceptance.procedure import judge_procedure


def table(defective=60, good=120, views=2, seed=0, **columns):
    """Parts whose views score alike."""
    rng = np.random.default_rng(seed)
    label = np.repeat(np.arange(defective + good) < defective, views)
    part = np.repeat(rng.normal(0, 0.15, defective + good), views)
    score = np.where(label, 0.8, 0.2) + part + rng.normal(0, 0.02, len(label))
    owner = np.repeat(np.arange(defective + good), views)
    content = {
        "image_id": [f"{o}_{n}" for n, o in enumerate(owner)],
        "object_id": [str(o) for o in owner],
        "label": label.astype(int),
        "score": score,
    }
    return pa.table(content | columns)


def wrong_parts(scores, threshold, anomalous):
    frame = scores.to_pandas().groupby("object_id").agg({"label": "max", "score": "max"})
    rows = frame[frame["label"] == int(anomalous)]
    return int(((rows["score"] >= threshold) != anomalous).sum()), len(rows)


@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_a_finished_model_has_scipys_exact_bounds(confidence):
    scores = table()
    limits = [
        Limit("escape_rate", 0.1, confidence=confidence),
        Limit("specificity", 0.9, confidence=confidence),
    ]
    found = judge_finished(scores, 0.55, limits)
    assert found.evidence == "finished model"
    for row, anomalous in zip(found.limits, (True, False), strict=True):
        errors, parts = wrong_parts(scores, 0.55, anomalous)
        high = binomtest(errors, parts, alternative="less").proportion_ci(confidence).high
        low = binomtest(errors, parts, alternative="greater").proportion_ci(confidence).low
        if not row.limit.at_most:
            low, high = 1 - high, 1 - low
        assert (row.low, row.high) == pytest.approx((low, high), abs=1e-9)
    two_sided = {row.metric: row for row in found.agreement}["escape_rate"]
    errors, parts = wrong_parts(scores, 0.55, True)
    expected = binomtest(errors, parts).proportion_ci(0.95)
    assert (two_sided.low, two_sided.high) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_the_cost_of_a_finished_model_is_bounded_by_both_rates():
    rules = {"prevalence": 0.02, "cost_escape": 50.0, "cost_overkill": 2.0}
    (cost,) = judge_finished(table(), 0.55, [Limit("cost_at_prevalence", 1e6)], **rules).limits
    rates = judge_finished(
        table(), 0.55, [Limit("escape_rate", 0.5, confidence=0.975), Limit("overkill_rate", 0.5, confidence=0.975)]
    ).limits
    for end in ("estimate", "low", "high"):
        escape, overkill = (getattr(rate, end) for rate in rates)
        assert getattr(cost, end) == pytest.approx(1000 * (50 * 0.02 * escape + 2 * 0.98 * overkill))
    assert cost.verdict == "shown"


def test_a_defect_type_and_a_condition_can_be_limited():
    scores = table(60, 120, 2)
    kinds = np.where(np.arange(360) < 60, "dent", "scratch")
    kinds[120:] = ""
    light = np.where(np.arange(360) % 4 < 2, "bright", "dark")
    scores = scores.append_column("defect_type", pa.array(kinds)).append_column("condition", pa.array(light))
    limits = [Limit("recall[dent]", 0.5), Limit("overkill_rate[condition=dark]", 0.5)]
    assert [row.verdict for row in judge_finished(scores, 0.5, limits).limits] == ["shown", "shown"]
    found = judge_procedure(scores, limits, replicates=200)
    assert [row.verdict for row in found.limits] == ["shown", "shown"]
    for judge in (lambda limit: judge_finished(scores, 0.5, [limit]), lambda limit: judge_procedure(scores, [limit])):
        with pytest.raises(UserError, match=r"limit recall\[hole\]: these scores give no such figure.*recall\[dent\]"):
            judge(Limit("recall[hole]", 0.5))


def test_the_bounds_of_folds_are_at_least_as_strict_as_the_ends_of_the_default_interval():
    scores = table()
    limits = [Limit("escape_rate", 0.1), Limit("overkill_rate", 0.1, "image", 0.9)]
    found = judge_procedure(scores, limits, replicates=300, seed=3)
    assert found.evidence == "procedure"
    for row, two_sided in zip(found.limits, (0.9, 0.8), strict=True):
        summary = evaluate(scores, confidence=two_sided, replicates=300, seed=3, methods=())
        expected = summary.find(row.limit.metric, level=row.limit.level)
        assert row.estimate == expected.mean
        assert expected.interval.high < row.high < expected.interval.high + 0.05
        # An end that reaches 0 stays there.
        assert expected.interval.low - 0.05 < row.low <= expected.interval.low
        assert row.strategy == "youden"
    # In random halves a part may happen never to be judged.
    assert 55 <= found.settings["objects"]["defective"] <= 60


def test_a_procedure_not_yet_shown_says_how_many_parts_are_wanted():
    (row,) = judge_procedure(table(20, 40), [Limit("escape_rate", 0.1)], replicates=300).limits
    assert row.verdict == "not yet shown"
    assert row.more.kind == "defective"
    assert row.more.judged == 20
    assert row.more.without_errors > 0


@pytest.mark.parametrize("column", ["fold", "partition"])
def test_scores_of_folds_are_not_those_of_a_finished_model(column):
    values = {"fold": np.arange(360) % 2, "partition": ["train"] * 360}[column]
    with pytest.raises(UserError, match=f"--at: by their {column}"):
        judge_finished(table(**{column: values}), 0.5, [Limit("escape_rate", 0.1)])


def test_what_cannot_be_judged_is_one_sentence():
    with pytest.raises(UserError, match="set limits at object level"):
        judge_finished(table(), 0.5, [Limit("escape_rate", 0.1, "image")])
    with pytest.raises(UserError, match="give --prevalence"):
        judge_procedure(table(), [Limit("cost_at_prevalence", 5.0)], replicates=50)
    with pytest.raises(UserError, match="give --prevalence"):
        judge_finished(table(), 0.5, [Limit("cost_at_prevalence", 5.0)])
    with pytest.raises(UserError, match="All pictures have one class"):
        judge_finished(table(0, 50), 0.5, [Limit("escape_rate", 0.1)])
    with pytest.raises(UserError, match="--at nan"):
        judge_finished(table(), float("nan"), [Limit("escape_rate", 0.1)])


def test_pictures_without_views_are_exact_at_picture_level():
    limits = [Limit("escape_rate", 0.1, level) for level in ("image", "object")]
    by_picture, by_part = judge_finished(table(views=1), 0.5, limits).limits
    assert by_picture.high == by_part.high


def test_the_bounds_of_a_rate_and_of_its_complement_are_one():
    limits = [Limit(rate, 0.5, level) for level in ("image", "object") for rate in ("escape_rate", "recall")]
    rows = judge_procedure(table(30, 60, 4), limits, replicates=300).limits
    for errors, right in (rows[:2], rows[2:]):
        assert (errors.low, errors.high) == pytest.approx((1 - right.high, 1 - right.low), abs=1e-12)


def test_with_one_picture_a_part_both_levels_have_the_same_bounds():
    rows = judge_procedure(
        table(40, 80, 1), [Limit("escape_rate", 0.1, level) for level in ("image", "object")], replicates=300
    ).limits
    assert (rows[0].low, rows[0].high) == (rows[1].low, rows[1].high)
