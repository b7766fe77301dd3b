"""PatchCore against brute force."""

from dataclasses import replace

import pytest
import torch

from raylab2f.detectors.base import Samples
from raylab2f.detectors.checkpoint import load_detector, save_detector
from raylab2f.detectors.patchcore import PatchCore, PatchCoreConfig
from raylab2f.detectors.patchcore.neighbours import nearest, reweighted
from raylab2f.errors import UserError

SHAPES = [(6, 8, 8), (10, 4, 4)]
CONFIG = PatchCoreConfig(embedding=16, projection=64, coreset=0.25, size=(64, 64))


def pictures(count, seed, shift=0.0):
    generator = torch.Generator().manual_seed(seed)
    return Samples([3 * torch.randn(count, *shape, generator=generator) + shift for shape in SHAPES])


@pytest.fixture
def fitted():
    detector = PatchCore(CONFIG, SHAPES)
    detector.begin(pictures(20, 0), seed=1)
    return detector.eval()


def every_patch(detector, samples):
    return detector.embedding(samples.features).flatten(0, 1)


def test_a_full_memory_holds_every_patch_as_it_is():
    samples = pictures(5, 0)
    detector = PatchCore(replace(CONFIG, coreset=1.0), SHAPES)
    decided = detector.begin(samples, seed=0)
    torch.testing.assert_close(detector.memory, every_patch(detector, samples), rtol=0, atol=0)
    assert decided == {"patches": 320, "candidates": 320, "memory": 320}
    assert detector.predict(samples.batch(torch.arange(5))).maps.max() == 0


def test_the_memory_is_made_of_training_patches_within_its_budget(fitted):
    samples = pictures(20, 0)
    assert len(fitted.memory) == 320
    distances = torch.cdist(fitted.memory.double(), every_patch(fitted, samples).double())
    assert distances.amin(dim=1).max() < 1e-3
    small = PatchCore(replace(CONFIG, most_patches=7, most_candidates=100), SHAPES)
    assert small.begin(samples, seed=0) == {"patches": 1280, "candidates": 100, "memory": 7}
    assert small.memory.shape == (7, 16)


def test_scores_and_maps_are_those_of_brute_force(fitted):
    samples = pictures(6, 5)
    prediction = fitted.predict(samples.batch(torch.arange(6)))
    patches = every_patch(fitted, samples).double()
    memory = fitted.memory.double()
    distances = (patches[:, None] - memory).norm(dim=2)
    maps, rows = (part.view(6, -1) for part in distances.min(dim=1))
    torch.testing.assert_close(prediction.maps.flatten(1).double(), maps, rtol=1e-5, atol=1e-5)
    for picture, score in enumerate(prediction.scores):
        place = int(maps[picture].argmax())
        test, row = patches.view(6, -1, 16)[picture, place], int(rows[picture, place])
        around = (memory - memory[row]).norm(dim=1).argsort()[:9]
        spread = (memory[around] - test).norm(dim=1)
        weight = 1 - torch.exp(maps[picture, place]) / torch.exp(spread).sum()
        assert float(score) == pytest.approx(float(weight * maps[picture, place]), rel=1e-5)


@pytest.mark.parametrize("portions", [1, 2, 5])
def test_the_batch_size_changes_nothing(fitted, portions):
    samples = pictures(10, 6)
    whole = fitted.predict(samples.batch(torch.arange(10)))
    parts = [fitted.predict(samples.batch(rows)) for rows in torch.arange(10).split(portions)]
    torch.testing.assert_close(torch.cat([part.maps for part in parts]), whole.maps, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(torch.cat([part.scores for part in parts]), whole.scores, rtol=1e-6, atol=1e-6)


def test_portions_of_training_pictures_change_nothing(fitted):
    small = PatchCore(replace(CONFIG, schedule=replace(CONFIG.schedule, batch_size=3)), SHAPES)
    small.begin(pictures(20, 0), seed=1)
    torch.testing.assert_close(small.memory, fitted.memory, rtol=1e-6, atol=1e-6)


def test_large_distances_do_not_overflow_and_few_neighbours_are_enough():
    memory = torch.tensor([[0.0], [1000.0], [1001.0]])
    patches = torch.tensor([[5000.0], [-4000.0]])
    distances, rows = nearest(patches, memory)
    assert rows.tolist() == [2, 0]
    scores = reweighted(patches, distances, rows, memory, neighbours=9)
    assert scores.isfinite().all()
    torch.testing.assert_close(scores, torch.tensor([3999.0, 4000.0]))
    torch.testing.assert_close(reweighted(patches, distances, rows, memory, neighbours=1), distances)


def test_what_is_unlike_the_memory_scores_higher(fitted):
    nominal, strange = (fitted.predict(pictures(8, 7, shift).batch(torch.arange(8))).scores for shift in (0.0, 6.0))
    assert strange.min() > nominal.max()


def test_a_saved_memory_of_any_length_is_read_again(fitted, tmp_path):
    save_detector(tmp_path, fitted, SHAPES)
    batch = pictures(3, 8).batch(torch.arange(3))
    torch.testing.assert_close(load_detector(tmp_path).predict(batch).scores, fitted.predict(batch).scores)


def test_there_is_no_training_loss(fitted):
    assert fitted.optimizers() == ()
    with pytest.raises(RuntimeError, match="no training loss"):
        fitted(None, None)


def test_cosine_distances_and_the_mean_of_the_farthest():
    detector = PatchCore(replace(CONFIG, distance="cosine", image_score="topk-mean:3", coreset=1.0), SHAPES)
    train, judged = pictures(20, 0), pictures(4, 5)
    detector.begin(train, seed=1)
    prediction = detector.eval().predict(judged.batch(torch.arange(4)))
    rows, memory = (every_patch(detector, part).double() for part in (judged, train))
    cosines = torch.nn.functional.cosine_similarity(rows[:, None], memory, dim=2)
    maps = (1 - cosines.amax(dim=1)).view(4, -1)
    torch.testing.assert_close(prediction.maps.flatten(1).double(), maps, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(prediction.scores.double(), maps.topk(3).values.mean(dim=1), rtol=1e-4, atol=1e-5)
    # Unlike the published distance it does not change with the length of the features.
    longer = detector.predict(Samples([7 * level for level in judged.features]).batch(torch.arange(4)))
    torch.testing.assert_close(longer.scores, prediction.scores, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ({"distance": "l1"}, "--set distance=l1: choose euclidean or cosine"),
        ({"neighbourhood": 4}, "--set neighbourhood=4: give an odd number"),
        ({"image_score": "best"}, "--set image_score=best: give reweighted, mean, max or topk-mean:K"),
    ],
)
def test_settings_that_cannot_be(setting, words):
    with pytest.raises(UserError, match=words):
        replace(CONFIG, **setting)
