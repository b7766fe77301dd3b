"""Trainings that did not learn are told from those that did."""

import pytest

from raylab2f.runs.learning import learning_cautions


def record(losses, fold=0, spread=0.3):
    history = [{"loss": loss, "pictures_per_second": 1.0} for loss in losses]
    return {"fold": fold, "history": history, "map_spread": spread}


FALLING = [2.0 * 0.8**epoch for epoch in range(12)]


@pytest.mark.parametrize(
    ("losses", "spread", "said"),
    [
        ([1.56] * 12, 0.3, "no lower than it began"),
        ([1.6, 1.58, 1.59], 0.3, "no lower than it began"),
        ([-1.0, -1.2, -0.9], 0.3, "no lower than it began"),
        ([*FALLING[:6], *(FALLING[5] + 0.2 * step for step in range(1, 7))], 0.3, "rose over the last third"),
        (FALLING, 1e-9, "the same everywhere"),
        (FALLING, 0.0, "the same everywhere"),
    ],
)
def test_signs_of_not_learning_are_said(losses, spread, said):
    records = [record(FALLING), record(losses, 3, spread), record(losses, 5, spread)]
    [caution] = learning_cautions(records)
    assert caution.code == "RL315"
    assert said in caution
    assert "folds 3, 5 " in caution


@pytest.mark.parametrize(
    "losses",
    [
        FALLING,
        [],
        [5.0],
        # Losses below 0, as likelihoods have, and a little noise at the end.
        [1.0, 0.0, -1.0, -1.5, -1.6, -1.65, -1.62, -1.66, -1.64],
        # Too few epochs to compare thirds of them.
        [1.0, 0.5, 0.7],
    ],
)
def test_trainings_that_learn_are_left_alone(losses):
    assert learning_cautions([record(losses)]) == []


def test_runs_from_before_it_was_recorded_are_left_alone():
    assert learning_cautions([{"fold": 0, "history": [{"loss": 1.0}]}]) == []
