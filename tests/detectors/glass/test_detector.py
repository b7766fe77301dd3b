"""The whole detector on small nominal pictures: what training and prediction promise."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from raylab2f.detectors.base import Samples, Step
from raylab2f.detectors.glass import GLASS_PRESETS, Glass, GlassConfig
from raylab2f.detectors.registry import config_from_dict, config_to_dict
from raylab2f.detectors.training import train_epochs
from raylab2f.errors import UserError

HYPOTHESES = ["manifold", "hypersphere"]


def train(detector, samples, epochs):
    schedule = replace(detector.config.schedule, epochs=epochs)
    return [report.loss for report in train_epochs(detector, samples, schedule, detector.optimizers(), seed=5)]


@pytest.mark.parametrize("hypothesis", HYPOTHESES)
def test_training_lowers_the_loss(make, samples, hypothesis):
    detector = make(hypothesis=hypothesis, adaptor_rate=1e-3, discriminator_rate=1e-2)
    losses = train(detector, samples, epochs=8)
    assert losses[-1] < 0.9 * losses[0]


def test_a_picture_with_a_defect_scores_higher_after_training(make, samples, backbone):
    detector = make(adaptor_rate=1e-3, discriminator_rate=1e-2)
    train(detector, samples, epochs=25)
    defective = samples.pictures.clone()
    defective[:, 8:20, 12:24] = 255
    found = Samples(backbone(backbone.preprocess(defective)))
    detector.eval()
    nominal, anomalous = (detector.predict(part.batch(torch.arange(20))) for part in (samples, found))
    assert anomalous.scores.min() > nominal.scores.max()
    inside = torch.zeros(detector.grid, dtype=torch.bool)
    inside[2:5, 3:6] = True
    assert anomalous.maps[:, inside].mean() > anomalous.maps[:, ~inside].mean() + 0.2


@pytest.mark.parametrize("hypothesis", HYPOTHESES)
def test_the_same_seed_gives_the_same_loss_and_another_step_another_one(make, samples, hypothesis):
    batch = samples.batch(torch.arange(8))

    def loss(**changes):
        return make(hypothesis=hypothesis)(batch, replace(Step(1, 0, 0, 0, 8), **changes)).item()

    assert loss() == loss()
    assert len({loss(), loss(seed=2), loss(epoch=1), loss(index=1)}) == 4


def test_what_is_drawn_does_not_depend_on_the_number_of_workers(make, samples):
    detector = make()
    rows = torch.tensor([3, 17, 4, 8, 11])
    whole = detector.synthesise(samples.batch(rows), Step(1, 2, 3, 0, 5))
    shares = [
        detector.synthesise(samples.batch(rows[low:high]), Step(1, 2, 3, low, 5))
        for low, high in ((0, 2), (2, 3), (3, 5))
    ]
    for name in ("true", "local", "noise"):
        joined = torch.cat([getattr(share, name) for share in shares])
        torch.testing.assert_close(joined, getattr(whole, name), rtol=1e-5, atol=1e-6)
    assert torch.equal(torch.cat([share.is_local for share in shares]), whole.is_local)


def test_patches_out_of_the_backbones_reach_of_the_marked_ones_stay_nominal(make, samples):
    detector = make()
    patches = detector.synthesise(samples.batch(torch.arange(20)), Step(1, 0, 0, 0, 20))
    change = (patches.local - patches.true).norm(dim=1)
    marked = patches.is_local.view(20, 1, *detector.grid)
    reached = nn.functional.max_pool2d(marked.float(), 13, stride=1, padding=6).flatten() > 0
    assert not reached.all()
    assert change[~reached].max() < 1e-5
    assert change[patches.is_local].median() > 1e-2


def test_anomalies_stay_on_the_foreground(make, samples, backbone):
    foregrounds = torch.zeros(samples.pictures.shape[:3], dtype=torch.bool)
    foregrounds[:, :, :16] = True
    detector = make()
    detector.begin(Samples(samples.features, samples.pictures, foregrounds), seed=1)
    for index in range(5):
        patches = detector.synthesise(samples.batch(torch.arange(20)), Step(1, 0, index, 0, 20))
        marked = patches.is_local.view(20, *detector.grid)
        assert marked.flatten(1).any(dim=1).all()
        assert not marked[:, :, 4:].any()


def test_empty_foregrounds_are_refused(make, samples):
    foregrounds = torch.ones(samples.pictures.shape[:3], dtype=torch.bool)
    foregrounds[[2, 7]] = False
    with pytest.raises(UserError, match="2 of the 20 training pictures"):
        make().begin(Samples(samples.features, samples.pictures, foregrounds), seed=1)


def test_the_centre_is_the_mean_of_the_adapted_features_of_all_pictures(make, samples):
    detector = make()
    train(detector, samples, epochs=1)
    detector.begin_epoch(samples, 1)
    expected = detector.adaptor(detector.embed(samples.features)).mean(dim=0)
    torch.testing.assert_close(detector.center, expected, rtol=1e-4, atol=1e-5)


def test_the_state_is_all_that_prediction_needs(make, samples):
    detector = make(hypothesis="hypersphere")
    train(detector, samples, epochs=2)
    config = config_from_dict("glass", config_to_dict(detector.config))
    other = Glass(replace(config, init_seed=99), [tuple(level.shape[1:]) for level in samples.features])
    other.load_state_dict(detector.state_dict())
    batch = samples.batch(torch.arange(20))
    one, two = (d.eval().predict(batch) for d in (detector, other))
    assert torch.equal(one.scores, two.scores)
    assert torch.equal(one.maps, two.maps)
    assert one.maps.shape == (20, *detector.grid)
    assert torch.equal(one.scores, one.maps.flatten(1).amax(dim=1))


def test_the_backbone_is_neither_trained_nor_saved(make, backbone):
    detector = make()
    own = {id(parameter) for parameter in detector.parameters()}
    assert not own & {id(parameter) for parameter in backbone.parameters()}
    assert {name.split(".")[0] for name in detector.state_dict()} == {"adaptor", "discriminator"}
    optimised = [p for o in detector.optimizers() for group in o.param_groups for p in group["params"]]
    assert {id(parameter) for parameter in optimised} == own
    assert len(optimised) == len(own)


def test_the_norm_can_be_synchronised_over_workers(make):
    assert isinstance(nn.SyncBatchNorm.convert_sync_batchnorm(make()).discriminator.norm, nn.SyncBatchNorm)


def test_auto_decides_by_the_mean_picture_and_says_so(make, samples):
    assert make(hypothesis="spectrogram").begin(samples, seed=1) == {"hypothesis": "manifold"}
    pictures = torch.full_like(samples.pictures, 10)
    y, x = torch.meshgrid(
        torch.linspace(-1, 1, pictures.shape[1]), torch.linspace(-1, 1, pictures.shape[2]), indexing="ij"
    )
    pictures[:, x**2 + y**2 < 0.2] = 250
    aligned = Samples(samples.features, pictures)
    assert make(hypothesis="spectrogram").begin(aligned, seed=1) == {"hypothesis": "hypersphere"}
    assert make(hypothesis="manifold").begin(aligned, seed=1) == {"hypothesis": "manifold"}


def test_an_unknown_hypothesis_is_refused():
    with pytest.raises(UserError, match="manifold"):
        GlassConfig(hypothesis="sphere")


def test_a_folder_without_textures_is_refused_before_training(make, tmp_path):
    with pytest.raises(UserError, match="textures"):
        make(textures=str(tmp_path))


def test_initial_parameters_descend_from_the_seed(make):
    one, same, other = (make(init_seed=seed).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not torch.equal(one["adaptor.weight"], other["adaptor.weight"])


def test_training_from_half_precision_features(make, samples):
    short = Samples([level.half() for level in samples.features], samples.pictures)
    loss = make()(short.batch(torch.arange(8)), Step(1, 0, 0, 0, 8))
    assert loss.dtype == torch.float32
    assert torch.isfinite(loss)


def test_presets_are_complete_and_the_publications_is_as_published():
    assert set(GLASS_PRESETS) == {"demo", "fast", "paper"}
    paper = GLASS_PRESETS["paper"]
    assert (paper.backbone, paper.layers) == ("wide_resnet50_2.tv_in1k", ("layer2", "layer3"))
    assert (paper.schedule.epochs, paper.schedule.batch_size, paper.schedule.samples_per_epoch) == (640, 8, 392)
    assert (paper.ascent_steps, paper.ascent_rate, paper.project_every, paper.noise_std) == (20, 0.001, 5, 0.015)


def test_anomalies_drawn_ahead_are_those_that_the_step_would_draw(make, samples):
    detector, step = make(), Step(1, 2, 3, 0, 5)
    rows = torch.tensor([3, 17, 4, 8, 11])
    ahead = detector.synthesise(samples.batch(rows, detector.prepare(rows, step)), step)
    within = detector.synthesise(samples.batch(rows), step)
    assert torch.equal(ahead.local, within.local)
    assert torch.equal(ahead.is_local, within.is_local)


def test_bfloat16_changes_the_ascent_a_little(make, samples):
    step, batch = Step(1, 0, 0, 0, 8), samples.batch(torch.arange(8))
    exact, short = (make(precision=precision, ascent_rate=0.05) for precision in ("float32", "bfloat16"))
    patches = exact.synthesise(batch, step)
    found, expected = (detector.training_pass(patches).offset for detector in (short, exact))
    assert not torch.equal(found, expected)
    similarity = nn.functional.cosine_similarity(found.flatten(), expected.flatten(), dim=0)
    assert similarity > 0.999
    loss = short(batch, step)
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(exact(batch, step).item(), rel=0.05)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="graphs are recorded on a GPU")
def test_a_recorded_ascent_takes_the_same_steps(make, samples):
    detector = make().to("cuda")
    patches = make().synthesise(samples.batch(torch.arange(8)), Step(1, 0, 0, 0, 8))
    on_gpu = type(patches)(*(getattr(patches, field).cuda() for field in ("true", "local", "is_local", "noise")))
    offsets = [detector.training_pass(on_gpu).offset for _ in range(4)]
    for offset in offsets[1:]:
        torch.testing.assert_close(offset, offsets[0], rtol=1e-5, atol=1e-6)
