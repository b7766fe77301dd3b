"""A picture's score from its map."""

from dataclasses import replace

import pytest
import torch

from raylab2f.detectors.csflow import CSFlow, CSFlowConfig
from raylab2f.detectors.image_score import score_of_map
from raylab2f.errors import UserError

MAPS = torch.tensor([[[1.0, 5.0], [3.0, 2.0]], [[0.0, 0.0], [0.0, -8.0]]])


@pytest.mark.parametrize(
    ("how", "scores"),
    [
        ("mean", [2.75, -2.0]),
        ("max", [5.0, 0.0]),
        ("topk-mean:1", [5.0, 0.0]),
        ("topk-mean:2", [4.0, 0.0]),
        ("topk-mean:100", [2.75, -2.0]),
    ],
)
def test_scores_of_maps(how, scores):
    assert score_of_map(MAPS, how).tolist() == scores


@pytest.mark.parametrize("how", ["", "median", "topk-mean", "topk-mean:0", "topk-mean:-3", "topk-mean:1.5", "max:2"])
def test_others_are_refused(how):
    with pytest.raises(UserError, match="image_score"):
        CSFlowConfig(image_score=how)


def test_only_the_published_score_is_a_likelihood():
    config = CSFlowConfig()
    assert CSFlow.gives_likelihoods(config)
    assert not CSFlow.gives_likelihoods(replace(config, image_score="max"))
