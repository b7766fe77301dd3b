"""Thresholds that are carried from folds to a model trained on all good parts."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raylab2f.errors import UserError
from raylab2f.evaluation.decisions.carried import WAYS, FoldScores, carry_threshold


def fold(scores, labels, threshold, names=None):
    names = names or [f"part {number}" for number in range(len(scores))]
    return FoldScores(np.array(names), np.array(labels), np.array(scores, float), threshold)


def world(seed, folds=3, good=30, bad=8, scale=1.0, shift=0.0):
    generator = np.random.default_rng(seed)
    base = np.concatenate([generator.normal(0, 1, good), generator.normal(3, 1, bad)])
    labels = np.repeat([0, 1], [good, bad])
    made = {}
    for number in range(folds):
        scores = scale * (base + generator.normal(0, 0.2, good + bad)) + shift
        made[number] = fold(scores, labels, 1.5 * scale + shift)
    anchors = {f"part {number}": scale * base[number] + shift for number in range(good, good + bad)}
    return made, anchors


@pytest.mark.parametrize("way", WAYS)
@given(scale=st.floats(0.1, 100), shift=st.floats(-100, 100))
def test_scores_on_another_scale_carry_the_threshold_with_them(way, scale, shift):
    plain, moved = (carry_threshold(way, *world(0, **change)) for change in ({}, {"scale": scale, "shift": shift}))
    assert moved == pytest.approx(plain * scale + shift, rel=1e-6, abs=1e-6 * max(abs(shift), scale, 1))


@pytest.mark.parametrize("way", WAYS)
def test_folds_that_agree_keep_their_threshold(way):
    folds, anchors = world(1, folds=5, good=200)
    assert carry_threshold(way, folds, anchors) == pytest.approx(1.5, abs=0.35)


@pytest.mark.parametrize("way", ["nominal-rank", "cross-conformal", "mean", "anchored"])
def test_the_order_of_folds_and_parts_does_not_matter(way):
    folds, anchors = world(2)
    order = np.random.default_rng(0).permutation(38)
    shuffled = {
        number: FoldScores(own.units[order], own.labels[order], own.scores[order], own.threshold)
        for number, own in reversed(folds.items())
    }
    assert carry_threshold(way, shuffled, anchors) == pytest.approx(carry_threshold(way, folds, anchors))


@given(st.lists(st.integers(0, 20), min_size=1, max_size=30), st.integers(0, 20))
def test_of_one_fold_the_rank_is_the_threshold_itself_as_far_as_good_parts_tell(scores, threshold):
    own = {0: fold(scores, [0] * len(scores), threshold)}
    carried = carry_threshold("nominal-rank", own)
    assert [score >= carried for score in scores] == [score >= threshold for score in scores]
    assert sum(s >= carry_threshold("cross-conformal", own) for s in scores) <= sum(s >= carried for s in scores)


def test_a_part_that_many_folds_judged_counts_once():
    often = {k: fold([0.0, 1.0], [0, 0], 0.5, ["a", "b"]) for k in range(9)}
    once = {**often, 9: fold([0.0, 1.0, 5.0, 6.0], [0, 0, 0, 0], 0.5, ["a", "b", "c", "d"])}
    # Half or a little less of four parts may lie above; without weights c and d would be 2 of 22.
    assert carry_threshold("nominal-rank", once) == 5.0


def test_anchors_carry_an_affine_change_exactly():
    scores = [0.0, 1.0, 4.0, 5.0, 6.0, 9.0]
    own = fold(scores, [0, 0, 1, 1, 1, 1], 2.0)
    anchors = {f"part {number}": 10 * scores[number] - 3 for number in range(2, 6)}
    assert carry_threshold("anchored", {0: own}, anchors) == pytest.approx(17.0)


def test_too_few_defective_parts_and_unknown_ways_are_told():
    own = {0: fold([0.0, 1.0, 4.0], [0, 0, 1], 2.0)}
    with pytest.raises(UserError, match="needs 4 or more defective"):
        carry_threshold("anchored", own, {"part 2": 1.0})
    with pytest.raises(UserError, match="--carry guess"):
        carry_threshold("guess", own)
