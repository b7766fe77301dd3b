"""Samples that are read as they are needed say what samples that are held say."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from raylab2f.detectors.base import Samples, Schedule
from raylab2f.detectors.csflow import CSFlow, CSFlowConfig
from raylab2f.detectors.gaussian import GaussianConfig, Mahalanobis, Padim
from raylab2f.detectors.gaussian import detectors as gaussians
from raylab2f.detectors.patchcore import PatchCore, PatchCoreConfig
from raylab2f.detectors.patchcore.coreset import candidate_bytes
from raylab2f.detectors.streamed import SHUFFLED_SHARDS, PackedMasks, Source, StreamedSamples
from raylab2f.detectors.training import Worker, _share, predict_batches, train_epochs
from raylab2f.errors import UserError

SHAPES = [(6, 4, 4), (5, 2, 2)]
CPU = torch.device("cpu")
PLENTY = 1 << 40


def drawn(count, shapes=SHAPES, seed=0):
    """Stored maps of so many pictures, float16."""
    generator = torch.Generator().manual_seed(seed)
    return [(2 * torch.randn(count, *shape, generator=generator) + 4).half() for shape in shapes]


def streamed(maps, *, shard=7, most_rows=5, room=PLENTY, log=None):
    """The same maps, read by row; `log` takes the rows of each reading."""

    def read(rows):
        if log is not None:
            log.append(rows.tolist())
        return [level.numpy()[rows] for level in maps]

    source = Source(read, np.arange(len(maps[0])) // shard)
    return StreamedSamples(source, CPU, most_rows=most_rows, room=room)


def predicted(detector, samples):
    return [torch.cat(part) for part in zip(*predict_batches(detector, samples, 4), strict=True)]


@pytest.mark.parametrize("kind", [Padim, Mahalanobis])
@pytest.mark.parametrize("groups_at_once", [1, 3, 100])
def test_gaussians_are_the_same_to_float32(kind, groups_at_once):
    maps, judged = drawn(30), drawn(4, seed=1)
    config = GaussianConfig(dimensions=8, size=(32, 32))
    room = kind.least_room(config, SHAPES, 30) + gaussians._ENTRY_BYTES * 8**2 * groups_at_once
    held, read = kind(config, SHAPES), kind(config, SHAPES)
    held.begin(Samples(maps), seed=0)
    log = []
    read.begin(streamed(maps, room=room, log=log), seed=0)
    assert max(map(len, log)) == 5
    torch.testing.assert_close(read.mean, held.mean, rtol=1e-6, atol=1e-6)
    for one, other in zip(predicted(read, streamed(judged)), predicted(held, Samples(judged)), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)


def test_patchcore_has_the_same_memory_and_reads_only_pictures_with_candidates():
    maps = drawn(30)
    config = PatchCoreConfig(embedding=16, size=(32, 32), most_candidates=20, coreset=0.5, most_patches=6)
    held, read, log = PatchCore(config, SHAPES), PatchCore(config, SHAPES), []
    decided = held.begin(Samples(maps), seed=3)
    assert read.begin(streamed(maps, log=log), seed=3) == decided == {"patches": 480, "candidates": 20, "memory": 6}
    torch.testing.assert_close(read.memory, held.memory, rtol=1e-5, atol=1e-5)
    assert len({row for rows in log for row in rows}) <= 20
    for one, other in zip(predicted(read, streamed(maps)), predicted(held, Samples(maps)), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


def test_patchcore_draws_fewer_candidates_where_room_is_short():
    maps = drawn(30)
    config = PatchCoreConfig(embedding=16, size=(32, 32), coreset=0.01)
    least = PatchCore.least_room(config, SHAPES, 30)
    assert PatchCore(config, SHAPES).begin(streamed(maps, room=least), 0) == {
        "patches": 480, "candidates": 5, "memory": 5,
    }  # fmt: skip
    more = least + 95 * candidate_bytes(config.projection)
    assert PatchCore(config, SHAPES).begin(streamed(maps, room=more), 0)["candidates"] == 100


SCALES = [(4, 8, 8), (4, 4, 4), (4, 2, 2)]


def trained(samples, *, epochs=4, at_most=None, seed=2, first=0, detector=None):
    schedule = Schedule(epochs=epochs, batch_size=6, samples_per_epoch=at_most)
    detector = detector or CSFlow(CSFlowConfig(hidden_channels=8, schedule=schedule, learning_rate=1e-2), SCALES)
    detector.begin(samples, seed)
    reports = train_epochs(detector, samples, schedule, detector.optimizers(), seed=seed, first_epoch=first)
    return [report.loss for report in reports], detector


def test_a_flow_trains_on_what_is_read_and_the_same_seed_trains_the_same():
    maps = drawn(40, SCALES)
    losses, detector = trained(streamed(maps))
    again, twin = trained(streamed(maps, most_rows=1, room=0))
    assert losses == again
    for one, other in zip(detector.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)
    assert losses[-1] < losses[0]
    assert losses != trained(streamed(maps), seed=3)[0]


def test_of_the_pictures_of_an_epoch_the_same_are_drawn():
    maps = drawn(40, SCALES)
    log = []
    trained(streamed(maps, log=log), at_most=11, epochs=1)
    from raylab2f.detectors.training import _epoch_order

    assert sorted(row for rows in log for row in rows) == sorted(_epoch_order(40, 11, 2, 0).tolist())
    assert [len(rows) for rows in log] == [6, 5]


@given(
    count=st.integers(1, 300),
    shard=st.integers(1, 40),
    seed=st.integers(0, 5),
    epoch=st.integers(0, 3),
    workers=st.integers(1, 5),
)
def test_an_epoch_takes_every_row_once_in_an_order_of_shards(count, shard, seed, epoch, workers):
    samples = streamed([torch.empty(count, 1, 1, 1)], shard=shard)
    permuted = torch.from_numpy(np.random.default_rng(0).permutation(count))
    order = samples.epoch_order(permuted, seed, epoch)
    assert sorted(order.tolist()) == list(range(count))
    torch.testing.assert_close(order, samples.epoch_order(permuted, seed, epoch))
    # At any time rows come from few shards, none of which comes back later.
    first, last = {}, {}
    for place, own in enumerate((order // shard).tolist()):
        first.setdefault(own, place)
        last[own] = place
    open_at_once = max(sum(first[own] <= place <= last[own] for own in first) for place in range(count))
    assert open_at_once <= SHUFFLED_SHARDS
    # Workers share each batch of that order, whatever their number.
    batches = order.split(6)
    shared = [
        row
        for rows in batches
        for rank in range(workers)
        for share in [_share(rows, Worker(rank, workers))]
        for row in share.rows[: share.counting].tolist()
    ]
    assert shared == order.tolist()


def test_held_samples_keep_the_order_and_the_numbers_they_had():
    maps = drawn(9)
    samples = Samples(maps)
    order = torch.randperm(9)
    assert samples.epoch_order(order, 1, 2) is order
    assert samples.room is None
    assert [len(batch) for batch in samples.portions(4)] == [4, 4, 1]
    assert samples.mean_picture() is None
    assert samples.foreground_masks() is None


def test_means_of_what_is_read_are_those_of_what_is_held():
    maps = drawn(23)
    pictures = np.random.default_rng(0).integers(0, 256, (23, 6, 5, 3), dtype=np.uint8)
    source = replace(
        streamed(maps).source, pictures=lambda rows: pictures[rows], picture_size=(6, 5), masks=PackedMasks(23, (6, 5))
    )
    read = StreamedSamples(source, CPU, most_rows=4, room=0)
    held = Samples(maps, torch.from_numpy(pictures))
    for one, other in zip(read.mean_features(), held.mean_features(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(read.mean_picture(), held.mean_picture())
    assert read.picture_size == held.picture_size == (6, 5)
    rows = torch.tensor([3, 0, 22])
    one, other = read.batch(rows, "ready"), held.batch(rows, "ready")
    torch.testing.assert_close(one.pictures, other.pictures)
    torch.testing.assert_close(one.features, other.features, rtol=0, atol=0)
    assert one.prepared == other.prepared == "ready"
    assert one.foregrounds.shape == (3, 6, 5)
    fewer = read.select(slice(1)).batch(rows)
    assert [level.shape[1] for level in fewer.features] == [6]
    assert fewer.pictures is None


@given(st.integers(1, 20), st.integers(1, 20), st.integers(0, 100))
def test_packed_masks_come_back(height, width, seed):
    generator = np.random.default_rng(seed)
    masks = generator.random((3, height, width)) < 0.4
    masks[1] = False
    packed = PackedMasks(3, (height, width))
    for row, mask in enumerate(masks):
        packed.put(row, mask.astype(np.uint8))
    np.testing.assert_array_equal([packed[row] for row in range(3)], masks)
    assert packed.empty == int((~masks.any(axis=(1, 2))).sum())


def test_a_detector_that_reads_everything_at_once_is_told_by_the_option():
    for name in ("features", "pictures", "foregrounds"):
        with pytest.raises(UserError, match=f"--memory-budget: this detector reads the {name}"):
            getattr(streamed(drawn(3)), name)


def test_what_cannot_be_read_is_raised_where_it_is_needed():
    def broken(rows):
        raise UserError("feature store x is damaged")

    samples = StreamedSamples(Source(broken, np.zeros(4, np.int64)), CPU, most_rows=2, room=0)
    with pytest.raises(UserError, match="is damaged"):
        list(samples.portions(2))
