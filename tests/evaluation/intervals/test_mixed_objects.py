"""What the interval of an AUROC lacks where objects hold pictures of both classes."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raylab2f.evaluation import evaluate
from raylab2f.evaluation.decisions.object_scores import parse_object_score
from raylab2f.evaluation.decisions.thresholds import parse_strategy
from raylab2f.evaluation.intervals.mixed_objects import fold_deviation, within_object_excess
from raylab2f.evaluation.outcomes.judging import build_problem
from raylab2f.evaluation.outcomes.metrics import Costs
from raylab2f.evaluation.scores import prepare_scores


def mixed_table(scores, labels, owners):
    """The same rows choose the threshold and, as other pictures, are judged."""
    names = [str(i) for i in range(len(scores))]
    rows = {"object_id": [str(o) for o in owners], "label": labels, "score": scores, "fold": [0] * len(scores)}
    return pa.concat_tables(
        pa.table({"image_id": [name + side for name in names], "partition": [side] * len(names), **rows})
        for side in ("threshold", "inference")
    )


def problem_of(table):
    return build_problem(prepare_scores(table), (parse_strategy("youden"),), parse_object_score("max"), Costs())


pictures = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 5)), min_size=1, max_size=4)


@given(objects=st.lists(pictures, min_size=2, max_size=6))
def test_pairs_of_pictures_of_one_object_are_left_out(objects):
    """Against all pairs, one by one."""
    # Every object is mixed.
    rows = [(label, score, owner) for owner, more in enumerate(objects) for label, score in [(1, 3), (0, 2), *more]]
    won = {True: [], False: []}
    for label, score, owner in rows:
        for other_label, other, of in rows:
            if label == 1 and other_label == 0:
                won[owner == of].append((score > other) + 0.5 * (score == other))
    table = mixed_table([float(s) for _, s, _ in rows], [label for label, _, _ in rows], [o for _, _, o in rows])
    expected = np.mean(won[True] + won[False]) - np.mean(won[False])
    assert within_object_excess(problem_of(table)) == pytest.approx(expected, abs=1e-12)


def test_folds_that_differ_widen_the_interval_of_the_auroc_and_of_no_rate():
    rng = np.random.default_rng(0)
    owners = np.repeat(np.arange(40), 4)
    labels = np.tile([1, 0, 0, 0], 40)
    base = 1.5 * labels + rng.standard_normal(40)[owners] + rng.standard_normal(160)

    def table(wobble):
        """Six folds; in every second one the detector is worse."""
        folds = []
        for fold in range(6):
            score = base - wobble * (fold % 2) * labels
            half = np.where(owners % 2 == fold // 2 % 2, "inference", "threshold")
            names = [f"{i}" for i in range(160)]
            columns = {"image_id": names, "object_id": owners.astype(str), "label": labels, "score": score}
            folds.append(pa.table({**columns, "partition": half, "fold": [fold] * 160}))
        return pa.concat_tables(folds)

    steady, shaky = (evaluate(table(wobble), replicates=500).find("auroc", level="image") for wobble in (0.0, 1.5))
    width = [row.interval.high - row.interval.low for row in (steady, shaky)]
    assert width[1] > 1.3 * width[0]
    assert shaky.std > 3 * steady.std
    one_fold = problem_of(mixed_table(base, labels, owners))
    assert fold_deviation(one_fold, np.array([[0.8], [np.nan]])).tolist() == [0, 0]
