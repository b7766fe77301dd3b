"""Threshold strategies: optimal by brute force over all thresholds, with ties, at the documented place."""

import math
from fractions import Fraction

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom
from sklearn.metrics import roc_curve

from raylab2f.errors import UserError
from raylab2f.evaluation.decisions.curves import rank_scores, sweep
from raylab2f.evaluation.decisions.object_scores import parse_object_score
from raylab2f.evaluation.decisions.thresholds import (
    STRATEGIES,
    admissible_misses,
    choose_threshold,
    cuts,
    objects_for_guarantee,
    parse_strategy,
    threshold_values,
)
from raylab2f.evaluation.outcomes.judging import build_problem, judge
from raylab2f.evaluation.outcomes.metrics import Costs
from raylab2f.evaluation.scores import prepare_scores

# Small integers as scores: many ties, and every comparison is exact.
rows = st.lists(st.tuples(st.integers(0, 12), st.booleans()), min_size=2, max_size=25).filter(
    lambda rows: 0 < sum(label for _, label in rows) < len(rows)
)


def confusion(rows, threshold):
    tp = sum(label and score >= threshold for score, label in rows)
    fp = sum((not label) and score >= threshold for score, label in rows)
    p = sum(label for _, label in rows)
    return tp, fp, p, len(rows) - p


def candidates(rows):
    """All thresholds that differ in what they flag, highest first."""
    scores = sorted({float(score) for score, _ in rows}, reverse=True)
    return [math.nextafter(scores[0], math.inf), *scores]


def mcc_squared(tp, fp, p, n):
    product = (tp + fp) * p * n * (p + n - tp - fp)
    value = Fraction(tp * (n - fp) - fp * (p - tp))
    return value * abs(value) / product if product else Fraction(0)


CRITERIA = {
    "youden": lambda tp, fp, p, n: Fraction(tp, p) - Fraction(fp, n),
    "gmean": lambda tp, fp, p, n: Fraction(tp, p) * (1 - Fraction(fp, n)),
    "closest-topleft": lambda tp, fp, p, n: -((1 - Fraction(tp, p)) ** 2 + Fraction(fp, n) ** 2),
    "cost": lambda tp, fp, p, n: -(10 * (p - tp) + fp),
    "cost:8,1,0.25": lambda tp, fp, p, n: (
        -(8 * Fraction(1, 4) * (1 - Fraction(tp, p)) + Fraction(3, 4) * Fraction(fp, n))
    ),
    "f1": lambda tp, fp, p, n: Fraction(2 * tp, tp + fp + p),
    "fbeta": lambda tp, fp, p, n: Fraction(5 * tp, tp + fp + 4 * p),
    "fbeta:beta=0.5": lambda tp, fp, p, n: Fraction(5 * tp, 4 * (tp + fp) + p),
}


@pytest.mark.parametrize("text", CRITERIA)
@given(rows=rows)
def test_criterion_strategies_take_the_highest_of_the_best_thresholds(text, rows):
    scores, labels = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    best = max(candidates(rows), key=lambda threshold: CRITERIA[text](*confusion(rows, threshold)))
    assert choose_threshold(text, scores, labels).threshold == best


@given(rows=rows)
def test_mcc_is_maximal(rows):
    scores, labels = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    chosen = choose_threshold("mcc", scores, labels).threshold
    values = [mcc_squared(*confusion(rows, threshold)) for threshold in candidates(rows)]
    # Square roots are rounded, so between equally good thresholds the last digit may decide.
    assert float(mcc_squared(*confusion(rows, chosen))) == pytest.approx(float(max(values)), abs=1e-12)


@given(rows=rows, recall=st.sampled_from([0.5, 0.8, 0.9, 0.95, 1.0]))
def test_target_recall_is_the_highest_threshold_that_reaches_it(rows, recall):
    scores, labels = (np.array(column, dtype=float) for column in zip(*rows, strict=True))

    def reaches(threshold):
        tp, _, p, _ = confusion(rows, threshold)
        return Fraction(tp, p) >= Fraction(str(recall))

    wanted = next(filter(reaches, candidates(rows)))
    assert choose_threshold(f"target-recall:{recall}", scores, labels).threshold == wanted


@given(rows=rows, fpr=st.sampled_from([0.01, 0.1, 0.2, 0.5]))
def test_target_fpr_is_just_above_the_first_nominal_score_too_many(rows, fpr):
    scores, labels = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    chosen = choose_threshold(f"target-fpr:{fpr}", scores, labels).threshold
    _, fp, _, n = confusion(rows, chosen)
    assert Fraction(fp, n) <= Fraction(str(fpr))
    highest_accepted = math.nextafter(chosen, -math.inf)
    assert highest_accepted in scores[labels == 0]
    assert Fraction(confusion(rows, highest_accepted)[1], n) > Fraction(str(fpr))


@given(rows=rows, q=st.sampled_from([0.5, 0.9, 0.95]))
def test_nominal_quantile_is_the_inverse_of_the_distribution_function(rows, q):
    scores, labels = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    wanted = np.quantile(scores[labels == 0], q, method="inverted_cdf")
    assert choose_threshold(f"nominal-quantile:{q}", scores, labels).threshold == wanted
    assert choose_threshold(f"nominal-quantile:{q}", scores[labels == 0], labels[labels == 0]).threshold == wanted


@given(rows=rows, alpha=st.sampled_from([0.1, 0.25, 0.5]))
def test_conformal_is_just_above_the_conformal_quantile(rows, alpha):
    scores, labels = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    nominal = np.sort(scores[labels == 0])
    rank = math.ceil((len(nominal) + 1) * (1 - Fraction(str(alpha))))
    choice = choose_threshold(f"conformal:{alpha}", scores, labels)
    if rank > len(nominal):
        needed = math.ceil(1 / Fraction(str(alpha)) - 1) - len(nominal)
        assert choice.threshold is None
        assert choice.reason == f"Not enough nominal objects, {needed} more needed."
    else:
        assert choice.threshold == math.nextafter(nominal[rank - 1], math.inf)


def test_conformal_flags_new_nominal_scores_as_rarely_as_promised():
    rng = np.random.default_rng(0)
    flagged = []
    for _ in range(4000):
        scores = rng.standard_normal(40)
        chosen = choose_threshold("conformal:0.1", scores[:-1], np.zeros(39)).threshold
        flagged.append(scores[-1] >= chosen)
    assert np.mean(flagged) == pytest.approx(0.1, abs=0.015)


def test_conformal_keeps_its_promise_for_pictures_that_are_alike():
    # Ten pictures of each object with the correlation 0.9; ten good objects choose the threshold, fifty are judged.
    owner = np.repeat(np.arange(64), 10)
    label = owner >= 60
    columns = {
        "image_id": np.arange(len(owner)).astype(str),
        "object_id": owner.astype(str),
        "label": label.astype(int),
        "partition": np.where((owner < 10) | (owner >= 62), "threshold", "inference"),
        "fold": np.zeros(len(owner), int),
    }
    rates = []
    for seed in range(120):
        rng = np.random.default_rng(seed)
        score = rng.standard_normal(64)[owner] + rng.standard_normal(len(owner)) / 3 + 2 * label
        scores = prepare_scores(pa.table({**columns, "score": score}))
        problem = build_problem(scores, [parse_strategy("conformal:0.1")], parse_object_score("max"), Costs())
        values = judge(problem, np.ones((64, 1))).values[:, 0, 0]
        place = [(estimate.level, estimate.metric) for estimate in problem.estimates]
        rates.append([values[place.index((level, "overkill_rate"))] for level in ("image", "object")])
    # As pictures that are independent they were flagged in 0.12 of cases.
    assert (np.mean(rates, axis=0) < 0.1).all()
    assert (np.mean(rates, axis=0) > 0.04).all()


def test_conformal_pictures_share_the_weight_of_their_object():
    # Nine objects of one picture and one of ten: under alpha = 0.3, 0.3 * 11 - 1 = 2.3 objects may be flagged.
    scores, shares = np.arange(19.0), np.concatenate((np.ones(9), np.full(10, 0.1)))
    assert choose_threshold("conformal:0.3", scores, np.zeros(19), shares).threshold == math.nextafter(7, 20)
    assert choose_threshold("conformal:0.05", scores, np.zeros(19), shares).threshold is None
    # As pictures they would be enough, and 5 of them flagged.
    assert choose_threshold("conformal:0.3", scores, np.zeros(19)).threshold == math.nextafter(13, 20)


def test_guaranteed_recall_is_the_exact_binomial_bound():
    for alpha, delta in ((0.1, 0.05), (0.05, 0.1), (0.3, 0.2)):
        allowed = admissible_misses(120, alpha, delta)
        for m in range(1, 121):
            below = [k for k in range(m) if binom.cdf(k, m, alpha) <= delta]
            assert allowed[m] == (max(below) if below else -1)
        enough = objects_for_guarantee(alpha, delta)
        assert allowed[enough] == 0
        assert allowed[enough - 1] == -1


def test_guaranteed_recall_refuses_without_enough_defective_parts():
    scores, labels = np.arange(40.0), np.arange(40) % 2
    choice = choose_threshold("guaranteed-recall", scores, labels)
    assert choice.threshold is None
    assert choice.reason == "Not enough defective parts, 9 more needed."
    assert choose_threshold("guaranteed-recall:alpha=0.25", scores, labels).threshold == 3.0


def test_guaranteed_recall_keeps_its_promise():
    # 45 defective objects: the true miss rate of the threshold exceeds 0.1 in at most 5 % of samples.
    rng = np.random.default_rng(1)
    exceeded = []
    for _ in range(4000):
        scores = rng.uniform(size=46)
        labels = np.append(np.ones(45), 0)
        exceeded.append(choose_threshold("guaranteed-recall:0.1,0.05", scores, labels).threshold > 0.1)
    assert np.mean(exceeded) <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 4000)


def test_youden_is_the_idiom_with_scikit_learns_roc_curve():
    rng = np.random.default_rng(0)
    for _ in range(20):
        labels = np.arange(60) % 3 == 0
        scores = (rng.standard_normal(60) + labels).round(1)
        fpr, tpr, thresholds = roc_curve(labels, scores, drop_intermediate=False)
        best = np.argmax((tpr - fpr).round(12))
        if best:
            assert choose_threshold("youden", scores, labels).threshold == thresholds[best]


@pytest.mark.parametrize("text", STRATEGIES)
def test_weights_count_like_repeated_rows_for_all_replicates_at_once(text):
    rng = np.random.default_rng(4)
    labels = np.arange(60) < 35
    for decimals in (1, 8):
        scores = (rng.standard_normal(60) + labels).round(decimals)
        owner = rng.integers(0, 25, 60)
        weights = rng.poisson(1.0, (25, 40)).astype(float)
        weights[:, 0] = 1
        strategy = parse_strategy(text)
        ranking = rank_scores(scores, owner, labels)
        chosen = cuts(strategy, sweep(ranking, weights))
        for replicate in range(40):
            repeats = weights[owner, replicate].astype(int)
            expected = choose_threshold(strategy, scores.repeat(repeats), labels.repeat(repeats)).threshold
            cut = chosen[replicate]
            assert (None if cut < 0 else threshold_values(ranking)[cut]) == expected
            one = choose_threshold(strategy, scores, labels, weights[owner, replicate]).threshold
            assert one == expected


@pytest.mark.parametrize("text", STRATEGIES)
def test_thresholds_are_finite_and_monotone_transforms_change_no_decision(text):
    rng = np.random.default_rng(5)
    labels = np.arange(80) < 40
    for shift in (-3.0, 0.0, 2.0, 9.0):
        scores = rng.standard_normal(80) + shift * labels
        chosen = choose_threshold(text, scores, labels).threshold
        stretched = choose_threshold(text, np.exp(scores), labels).threshold
        assert math.isfinite(chosen)
        assert ((scores >= chosen) == (np.exp(scores) >= stretched)).all()


def test_one_class_only_gives_a_reason():
    assert choose_threshold("youden", np.arange(5.0), np.zeros(5)).reason == (
        "The threshold partition has no anomalous scores."
    )
    assert choose_threshold("target-fpr", np.arange(5.0), np.ones(5)).reason == (
        "The threshold partition has no nominal scores."
    )


def test_strategies_are_parsed_with_defaults():
    assert parse_strategy("target-recall").parameters == {"recall": 0.95}
    assert parse_strategy(" cost:escape=3,prevalence=0.1 ").parameters == {
        "escape": 3,
        "overkill": 1,
        "prevalence": 0.1,
    }
    assert parse_strategy("cost:7", {"escape": 3, "overkill": 2}).parameters == {
        "escape": 7,
        "overkill": 2,
        "prevalence": None,
    }
    assert parse_strategy("guaranteed-recall:0.05").parameters == {"alpha": 0.05, "delta": 0.05}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("yuden", "Unknown threshold strategy 'yuden'"),
        ("youden:3", "parameters of youden are: none"),
        ("fbeta:gamma=2", "parameters of fbeta are: beta"),
        ("fbeta:0", "beta is a number above 0"),
        ("fbeta:two", "'two' is not a number"),
        ("target-recall:1.5", "recall is above 0"),
        ("target-fpr:0", "fpr is a number between 0 and 1"),
        ("guaranteed-recall:0.9", "at most 0.5"),
        ("cost:1,2,nan", "prevalence is a number between 0 and 1"),
    ],
)
def test_bad_strategies_are_refused(text, message):
    with pytest.raises(UserError, match=message):
        parse_strategy(text)
