"""A model's folder gives the model back, and nothing else."""

import json
import shutil
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_models import plate, small_judge, write_small_model

import raylab2f
from raylab2f.detectors.backbone_features import backbone_spec
from raylab2f.detectors.base import Samples
from raylab2f.detectors.training import predict_batches
from raylab2f.errors import UserError
from raylab2f.features import backbone_weights
from raylab2f.models import ModelRecord, load_model, write_model
from raylab2f.models.folder import read_evaluation, read_reference

PICTURES = [plate(3), plate(300, spot=True, size=(120, 80))]


def scores(judge):
    return np.concatenate([opinion.scores for opinion in judge.look(PICTURES)])


@pytest.mark.parametrize("detector", ["dfm", "mahalanobis", "padim", "patchcore", "glass", "csflow"])
def test_what_is_written_judges_as_what_was_there(tmp_path, detector):
    judge = small_judge(detector)
    write_small_model(tmp_path / "model", judge)
    np.testing.assert_array_equal(scores(load_model(tmp_path / "model")), scores(judge))


def test_an_ensembles_score_is_the_mean_of_its_calibrated_members(tmp_path):
    judge = small_judge("padim", members=3, dimensions=20)
    again = raylab2f.load_model(write_small_model(tmp_path / "model", judge))
    features = again.features(np.stack([ready.turns[0] for ready in map(again.ready, PICTURES)]))
    expected = [
        (next(iter(predict_batches(detector, Samples(features), 8)))[0].double().numpy() - centre) / scale
        for detector, (_, centre, scale) in zip(again.detectors, again.record.members, strict=True)
    ]
    np.testing.assert_allclose(scores(again), np.mean(expected, axis=0), rtol=1e-6)
    assert len({round(float(one[0]), 6) for one in expected}) == 3


def test_weights_inside_the_folder_stand_for_those_of_the_machine(tmp_path, judge):
    record = judge.record
    weights = [backbone_weights(backbone_spec(request)) for request in judge.requests]
    normalisations = tuple((tuple(w.normalisation.mean), tuple(w.normalisation.std)) for w in weights)
    values = {**record.to_dict(), "normalisations": normalisations, "files": {}}
    values["config"] = {**values["config"], "weights": "/nowhere/weights.safetensors"}
    folder = write_small_model(tmp_path / "plain", judge)
    table, _ = read_reference(folder)
    states = [detector.state_dict() for detector in judge.detectors]
    evaluation = read_evaluation(folder)
    record = ModelRecord.from_dict(values)
    write_model(tmp_path / "whole", record, states, judge.components, table, evaluation, "", weights)
    np.testing.assert_array_equal(scores(load_model(tmp_path / "whole")), scores(judge))


def test_stored_pictures_get_their_scores_again(model):
    table, pictures = read_reference(model)
    np.testing.assert_array_equal(load_model(model).score(pictures).scores, table["score"].to_numpy())


@pytest.mark.parametrize("name", ["model.safetensors", "reference.parquet", "evaluation.parquet"])
def test_a_file_that_is_not_as_written_is_refused(tmp_path, model, name):
    folder = shutil.copytree(model, tmp_path / "model")
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(UserError, match=rf"{name} is absent or not as it was written"):
        load_model(folder)
    (folder / name).unlink()
    with pytest.raises(UserError, match=rf"{name} is absent"):
        load_model(folder)


def test_where_there_is_no_model_it_says_so(tmp_path):
    with pytest.raises(UserError, match="raylab2f finalise"):
        load_model(tmp_path)
    with pytest.raises(UserError, match="raylab2f finalise"):
        load_model(tmp_path / "nowhere")


def test_other_weights_than_those_of_the_evaluation_are_refused(tmp_path, judge):
    other = ModelRecord.from_dict({**judge.record.to_dict(), "backbone_digests": ["0" * 64]})
    folder = tmp_path / "model"
    write_small_model(folder, judge)
    record = json.loads((folder / "model.json").read_text())
    (folder / "model.json").write_text(json.dumps({**record, "backbone_digests": list(other.backbone_digests)}))
    with pytest.raises(UserError, match="others than those that the model was evaluated with"):
        load_model(folder)


def paths(value, lead=()):
    yield lead
    for key, part in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from paths(part, (*lead, key))


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_record_with_any_value_changed_is_read_or_refused_in_one_sentence(tmp_path_factory, model, data):
    record = json.loads((model / "model.json").read_text())
    *lead, last = data.draw(st.sampled_from([path for path in paths(record) if path]))
    place = record
    for key in lead:
        place = place[key]
    place[last] = data.draw(st.sampled_from([None, "", "../x", -1, 0, 10**12, 1e300, [], {}, [[1]], True]))
    folder = tmp_path_factory.mktemp("changed")
    shutil.copytree(model, folder, dirs_exist_ok=True)
    (folder / "model.json").write_text(json.dumps(record))
    # Whatever else is raised fails the test.
    with suppress(UserError):
        load_model(folder)


def test_a_record_survives_its_file(judge):
    assert ModelRecord.from_dict(judge.record.to_dict()) == judge.record
