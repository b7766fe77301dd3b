"""What is measured of a fold beside its scores."""

import numpy as np
import pytest
import torch

from raylab2f.runs.measured import batch_cautions, batch_dependence, begin_memory, peak_memory


def test_scores_that_stand_by_themselves_depend_on_nothing():
    scores = np.linspace(0, 1, 9, dtype=np.float32)
    assert batch_dependence(scores, lambda place: float(scores[place])) == 0.0


def test_the_largest_difference_counts_as_a_share_of_the_range():
    scores = np.array([1.0, 2.0, 3.0], np.float32)
    assert batch_dependence(scores, lambda place: float(scores[place]) + (0.5 if place == 2 else 0.1)) == pytest.approx(
        0.25
    )


def test_a_single_picture_and_scores_all_alike():
    assert batch_dependence(np.ones(1, np.float32), lambda place: 7.0) == 0.0
    assert batch_dependence(np.ones(3, np.float32), lambda place: 1.0) == 0.0
    assert batch_dependence(np.ones(3, np.float32), lambda place: 2.0) > 1e6


@pytest.mark.parametrize(
    ("apart", "said"),
    [(0.512, "by up to 51.2% of the scores' range"), (43.12, "by up to 43.1 times the scores' range")],
)
def test_dependent_folds_are_named(apart, said):
    records = [{"fold": 0, "batch_dependence": apart}, {"fold": 1, "batch_dependence": 1e-6}, {"fold": 2}]
    [caution] = batch_cautions(records)
    assert caution.code == "RL316"
    assert "In fold 0 a picture's score" in caution
    assert said in caution
    assert batch_cautions(records[1:]) == []


def test_the_peak_of_memory_counts_from_where_it_begins():
    device = torch.device("cpu")
    held = np.ones(200 << 20, np.uint8)
    begin_memory(device)
    before = peak_memory(device).get("process")
    if before is None:
        pytest.skip("this system tells no peak")
    del held
    more = np.ones(300 << 20, np.uint8)
    after = peak_memory(device)["process"]
    assert after >= before
    assert after - before < len(more)
