"""anomalib's models as detectors: trained on what they are given, on real weights, with raw scores, loaded again."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from raylab2f.detectors.base import Samples, Schedule
from raylab2f.detectors.checkpoint import load_detector, save_detector
from raylab2f.detectors.registry import config_from_dict, config_to_dict, detector_class, preset_config
from raylab2f.detectors.training import predict_batches
from raylab2f.errors import UserError
from raylab2f.features import BackboneSpec, create_backbone

pytest.importorskip("anomalib", reason="needs raylab2f[anomalib]")

SIZE = (64, 64)
MODELS = ("Dfm", "Padim", "Patchcore", "Stfpm")


@pytest.fixture(scope="module")
def pictures():
    """Ten plates of one texture, the last two with a bright spot."""
    generator = np.random.default_rng(0)
    plates = np.clip(generator.normal(120, 12, (10, *SIZE, 3)), 0, 255).astype(np.uint8)
    plates[8:, 20:36, 28:44] = (250, 30, 30)
    return torch.from_numpy(plates)


def made(model, **changes):
    name = f"anomalib:{model}"
    config = replace(preset_config(name, "fast"), size=SIZE, schedule=Schedule(1, 4), **changes)
    cls = detector_class(name)
    cls.check_config(config)
    return cls(config, [])


def judged(detector, pictures):
    scores, maps = zip(*predict_batches(detector, Samples([], pictures), 5), strict=True)
    return torch.cat(scores), torch.cat(maps)


@pytest.fixture(scope="module")
def fitted(pictures):
    """Each model, fitted once to the first six pictures."""
    known = {}

    def fit(model):
        if model not in known:
            known[model] = made(model)
            known[model].begin(Samples([], pictures[:6]), seed=3)
        return known[model]

    return fit


@pytest.mark.parametrize("model", MODELS)
def test_a_model_is_fitted_and_points_at_what_is_odd(fitted, pictures, model):
    scores, maps = judged(fitted(model), pictures)
    assert scores.shape == (10,)
    assert maps.shape == (10, *SIZE)
    # One epoch trains no student.
    if model != "Stfpm":
        assert scores[8:].min() > scores[6:8].max()
    if model in ("Padim", "Patchcore"):
        assert maps[9, 18:38, 26:46].mean() > maps[9].mean()


@pytest.mark.parametrize("model", MODELS)
def test_a_saved_model_gives_the_same_scores(fitted, pictures, model, tmp_path):
    detector = fitted(model)
    save_detector(tmp_path, detector, [])
    loaded = load_detector(tmp_path)
    assert torch.equal(judged(loaded, pictures)[0], judged(detector, pictures)[0])
    assert torch.equal(judged(loaded, pictures)[1], judged(detector, pictures)[1])


@pytest.mark.parametrize("model", ["Padim", "Patchcore", "Stfpm"])
def test_the_same_seed_gives_the_same_model(fitted, pictures, model):
    again = made(model)
    again.begin(Samples([], pictures[:6]), seed=3)
    torch.testing.assert_close(judged(again, pictures)[0], judged(fitted(model), pictures)[0], rtol=1e-4, atol=1e-5)


def test_what_a_model_draws_when_it_is_made_is_another_with_another_seed():
    drawn = {tuple(made("Padim", init_seed=seed).module.model.idx.tolist()) for seed in (0, 0, 1, 2)}
    assert len(drawn) == 3


@pytest.mark.parametrize("model", ["Dfm", "Padim", "Patchcore"])
def test_a_score_does_not_depend_on_the_batch_and_is_not_normalised(fitted, pictures, model):
    detector = fitted(model)
    scores = judged(detector, pictures)[0]
    alone = torch.cat([judged(detector, pictures[place : place + 1])[0] for place in range(10)])
    torch.testing.assert_close(alone, scores, rtol=1e-3, atol=1e-3)
    assert scores.max() > 1


def test_its_backbone_has_the_weights_and_the_scaling_of_ours(fitted, pictures):
    from raylab2f.detectors.anomalib.training import to_input

    module = fitted("Patchcore").module
    backbone = create_backbone(BackboneSpec("tf_efficientnet_lite0", "bundled", ("blocks.2", "blocks.4")))
    with torch.inference_mode():
        theirs = module.model.feature_extractor(module.pre_processor.transform(to_input(pictures)))
        ours = backbone(backbone.preprocess(pictures))
    for own, name in zip(ours, ("blocks.2", "blocks.4"), strict=True):
        torch.testing.assert_close(theirs[name], own, rtol=1e-3, atol=1e-3)


def test_epochs_are_told_as_they_pass(pictures):
    detector = made("Stfpm")
    detector.config = replace(detector.config, schedule=Schedule(3, 4))
    heard = []
    detector.heard = lambda *numbers: heard.append(numbers)
    detector.begin(Samples([], pictures[:6]), seed=0)
    assert [(epoch, of) for epoch, of, _, _ in heard] == [(1, 3), (2, 3), (3, 3)]
    assert heard[2][2] < heard[0][2]


def test_a_configuration_survives_its_file():
    config = replace(preset_config("anomalib:Patchcore", "fast"), options=("coreset_sampling_ratio=0.5",))
    assert config_from_dict("anomalib:Patchcore", config_to_dict(config)) == config


def test_options_reach_the_model(pictures):
    sizes = []
    for ratio in (0.05, 0.5):
        detector = made("Patchcore", options=(f"coreset_sampling_ratio={ratio}",))
        detector.begin(Samples([], pictures[:6]), seed=0)
        sizes.append(len(detector.module.model.memory_bank))
    assert sizes[1] > 9 * sizes[0]


@pytest.mark.parametrize(
    ("model", "changes", "said"),
    [
        ("Nothing", {}, "has no such model; choose one of AnomalyDINO"),
        ("patchcore", {}, "do you mean anomalib:Patchcore"),
        ("Patchcore", {"options": ("ratio=1",)}, "--set ratio: anomalib's Patchcore has no such argument"),
        ("Draem", {}, "give their folder, with its whole path, as --set dtd_dir=FOLDER"),
        ("Patchcore", {"build_on": "any"}, "choose chosen or default"),
        ("Dinomaly", {}, "Crop size 392 cannot be larger than image size"),
    ],
    ids=list("abcdef"),
)
def test_what_cannot_be_is_refused_in_a_sentence(model, changes, said):
    with pytest.raises(UserError, match=said):
        made(model, **changes)


def test_no_epochs_are_refused():
    cls = detector_class("anomalib:Stfpm")
    with pytest.raises(UserError, match="--epochs 0: give at least 1"):
        cls.check_config(replace(preset_config("anomalib:Stfpm", "fast"), schedule=Schedule(0, 4)))


def test_maps_of_a_model_that_looks_at_the_middle_lie_where_it_looked(pictures):
    detector = made("Patchcore")
    processor = type(detector.module).configure_pre_processor(image_size=SIZE, center_crop_size=(48, 32))
    detector.module.pre_processor = processor
    detector.begin(Samples([], pictures[:6]), seed=0)
    _, maps = judged(detector, pictures)
    assert maps.shape == (10, *SIZE)
    outside = torch.ones(SIZE, dtype=torch.bool)
    outside[8:56, 16:48] = False
    assert (maps[:, outside].amax(1) <= maps.amin((1, 2))).all()
    assert maps[9, 20:36, 28:44].mean() > maps[9, ~outside].mean()
