"""One detector for each position: each sees its own tiles alone, and a mixed batch is divided and put together."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from raylab2f.detectors.base import Samples, Schedule
from raylab2f.detectors.checkpoint import load_detector, load_training, save_detector, save_training
from raylab2f.detectors.csflow import CSFlow, CSFlowConfig
from raylab2f.detectors.patchcore import PatchCore, PatchCoreConfig
from raylab2f.detectors.per_position import PerPosition, per_position
from raylab2f.detectors.pictures import PictureConfig, array_detector
from raylab2f.detectors.training import predict_batches, train_epochs
from raylab2f.errors import UserError
from raylab2f.seeding import torch_seed

SHAPES = [(3, 4, 4)]
CONFIG = PatchCoreConfig(layers=("one",), embedding=2, size=(8, 8), init_seed=3)
POSITIONS = (1, 2, 5)


def tiles(positions, seed=0):
    features = torch.rand(len(positions), *SHAPES[0], generator=torch.Generator().manual_seed(seed))
    return Samples([features], positions=torch.tensor(positions))


def trained():
    detector = per_position(PatchCore)(CONFIG, SHAPES, positions=POSITIONS)
    samples = tiles([1, 1, 1, 2, 2, 5, 5, 5, 5])
    detector.begin(samples, seed=7)
    return detector, samples


def scored(detector, samples, batch_size=32):
    scores, maps = zip(*predict_batches(detector, samples, batch_size), strict=True)
    return torch.cat(scores), torch.cat(maps)


@pytest.mark.parametrize(("position", "rows"), [(1, slice(0, 3)), (2, slice(3, 5)), (5, slice(5, 9))])
def test_the_detector_of_a_position_is_one_trained_on_its_tiles_alone(position, rows):
    detector, samples = trained()
    own = torch_seed(CONFIG.init_seed, "position", position)
    alone = PatchCore(PatchCoreConfig(layers=("one",), embedding=2, size=(8, 8), init_seed=own), SHAPES)
    alone.begin(Samples([samples.features[0][rows]]), torch_seed(7, "position", position))
    others = tiles([position] * 4, seed=1)
    for found, wanted in zip(scored(detector, others), scored(alone, others), strict=True):
        assert torch.equal(found, wanted)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.sampled_from(POSITIONS), min_size=1, max_size=12), st.integers(1, 12))
def test_scores_do_not_depend_on_what_is_asked_beside_or_in_which_order(positions, batch_size):
    detector, _ = trained()
    samples = tiles(positions, seed=2)
    scores, maps = scored(detector, samples, batch_size)
    for row, position in enumerate(positions):
        one = Samples([samples.features[0][row : row + 1]], positions=torch.tensor([position]))
        alone = scored(detector, one)
        torch.testing.assert_close(scores[row : row + 1], alone[0], rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(maps[row : row + 1], alone[1], rtol=1e-5, atol=1e-6)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=40), st.integers(1, 9), st.randoms())
def test_batches_of_an_epoch_hold_every_row_once_and_one_position_each(positions, most, random):
    order = list(range(len(positions)))
    random.shuffle(order)
    groups = tiles(positions).groups(torch.tensor(order), most)
    assert sorted(torch.cat(groups).tolist()) == sorted(order)
    for group in groups:
        assert len(group) <= most
        assert len({positions[row] for row in group.tolist()}) == 1
    without = Samples(tiles(positions).features).groups(torch.tensor(order), most)
    assert torch.cat(without).tolist() == order


def test_a_saved_one_scores_the_same(tmp_path):
    detector, samples = trained()
    save_detector(tmp_path, detector, SHAPES)
    found = load_detector(tmp_path)
    assert isinstance(found, PerPosition)
    assert found.positions == POSITIONS
    assert torch.equal(scored(found, samples)[0], scored(detector, samples)[0])


def test_tiles_where_none_trained_are_refused():
    with pytest.raises(UserError, match="It shows something at position 3 of its tiles"):
        scored(trained()[0], tiles([1, 3]))


def test_tiles_out_of_order_or_without_positions_train_nothing():
    detector = per_position(PatchCore)(CONFIG, SHAPES, positions=POSITIONS)
    for samples in (tiles([2, 1, 5]), Samples([torch.rand(3, *SHAPES[0])])):
        with pytest.raises(ValueError, match="in the order of their positions"):
            detector.begin(samples, seed=0)


def flow(epochs):
    shapes = [(4, 8, 8), (4, 4, 4), (4, 2, 2)]
    config = CSFlowConfig(hidden_channels=8, schedule=Schedule(epochs, 3))
    return per_position(CSFlow)(config, shapes, positions=(0, 1)), shapes


def test_a_detector_that_trains_in_steps_learns_at_every_position_and_goes_on_after_a_stop(tmp_path):
    detector, shapes = flow(epochs=4)
    generator = torch.Generator().manual_seed(0)
    features = [torch.randn(7, *shape, generator=generator) for shape in shapes]
    samples = Samples(features, positions=torch.tensor([0, 0, 0, 0, 1, 1, 1]))

    def run(detector, optimizers, first_epoch=0):
        steps = train_epochs(detector, samples, detector.steps, optimizers, seed=1, first_epoch=first_epoch)
        return [{"loss": report.loss} for report in steps]

    detector.begin(samples, seed=1)
    before = scored(detector, samples)[0]
    history = run(detector, detector.optimizers())
    after = scored(detector, samples)[0]
    assert history[-1]["loss"] < history[0]["loss"]
    assert bool((after != before).all())

    cut, _ = flow(epochs=4)
    cut.begin(samples, seed=1)
    optimizers = cut.optimizers()
    steps = train_epochs(cut, samples, cut.steps, optimizers, seed=1)
    told = [{"loss": next(steps).loss}, {"loss": next(steps).loss}]
    save_training(tmp_path / "checkpoint.safetensors", cut, optimizers, told)
    again, _ = flow(epochs=4)
    again.begin(samples, seed=1)
    optimizers = again.optimizers()
    found = load_training(tmp_path / "checkpoint.safetensors", again, optimizers)
    run(again, optimizers, first_epoch=len(found))
    torch.testing.assert_close(scored(again, samples)[0], after, rtol=1e-5, atol=1e-6)


class _Uneven:
    """Its maps are as high as the pictures that it was fitted to are bright; of dark ones it gives none."""

    def fit(self, pictures, foregrounds, seed):
        self.height = int(pictures.max())

    def predict(self, pictures):
        return np.zeros(len(pictures)), np.zeros((len(pictures), self.height, 4)) if self.height else None


@pytest.mark.parametrize("batch_size", [1, 8])
@pytest.mark.parametrize(("bright", "said"), [(2, "maps of 2 x 4"), (0, "no maps")])
def test_maps_of_positions_that_cannot_be_put_together_are_told_in_a_sentence(batch_size, bright, said):
    made_from = per_position(array_detector("tests:Uneven", _Uneven))
    detector = made_from(PictureConfig(size=(8, 8)), [], positions=(0, 1))
    pictures = torch.full((4, 8, 8, 3), 3, dtype=torch.uint8)
    pictures[2:] = bright
    samples = Samples([], pictures, positions=torch.tensor([0, 0, 1, 1]))
    detector.begin(samples, seed=1)
    wanted = f"--detector tests:Uneven: its predict gives maps of 3 x 4 at position 0 of tiles and {said} at position 1"
    with pytest.raises(UserError, match=wanted):
        scored(detector, samples, batch_size)
