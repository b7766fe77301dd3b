"""A saved model's description is from anybody."""

import json

import pytest
import torch

from raylab2f.detectors.base import Samples
from raylab2f.detectors.checkpoint import load_detector, save_detector
from raylab2f.detectors.patchcore import PatchCore, PatchCoreConfig
from raylab2f.errors import UserError

SHAPES = [(3, 4, 4)]


@pytest.mark.parametrize(
    ("setting", "value", "words"),
    [
        ("embedding", 1 << 30, "the setting embedding is 1073741824; give at most 1048576"),
        ("embedding", 1 << 15, "at most 16384"),
        ("distance", "l1", "choose euclidean or cosine"),
        ("colour", "red", "no setting called colour"),
    ],
)
def test_a_description_with_a_setting_that_cannot_be_is_named(tmp_path, setting, value, words):
    detector = PatchCore(PatchCoreConfig(layers=("one",), embedding=2, size=(8, 8)), SHAPES)
    detector.begin(Samples([torch.rand(2, *SHAPES[0])]), seed=0)
    save_detector(tmp_path, detector, SHAPES)
    assert isinstance(load_detector(tmp_path), PatchCore)
    path = tmp_path / "model.json"
    description = json.loads(path.read_text(encoding="utf-8"))
    description["config"][setting] = value
    path.write_text(json.dumps(description), encoding="utf-8")
    with pytest.raises(UserError, match=words) as raised:
        load_detector(tmp_path)
    assert str(path) in str(raised.value)
