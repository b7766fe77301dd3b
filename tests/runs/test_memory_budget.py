"""A budget for a fold's process: how it is read, what it leaves, and samples that are read from real stores."""

import json
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from raylab2f.detectors.base import Schedule
from raylab2f.detectors.registry import detector_class, preset_config
from raylab2f.detectors.training import train_epochs
from raylab2f.errors import UserError
from raylab2f.features import BackboneSpec, FeatureStore, create_backbone
from raylab2f.options.places import Cluster
from raylab2f.options.quantities import bytes_of
from raylab2f.preparation import PictureShards
from raylab2f.runs.fold_memory import FoldSize, Streaming, plan_streaming
from raylab2f.runs.memory_budget import LEAST_BUDGET, PROCESS_BYTES, RESIDENT_BYTES, require_budget, size_text
from raylab2f.runs.streaming import streamed_samples

CPU = torch.device("cpu")
GIB = 1 << 30
UNITS = {"": 0, "B": 0, "KiB": 1, "kb": 1, "MiB": 2, "MB": 2, "GiB": 3, "gb": 3, "TiB": 4, "TB": 4}


@given(st.integers(1, 10**6), st.sampled_from(sorted(UNITS)), st.sampled_from(["", " "]))
def test_sizes_are_read_with_any_unit(number, unit, space):
    assert bytes_of(f"{number}{space}{unit}", "--memory-budget") == number << 10 * UNITS[unit]


@given(st.integers(1, 1 << 60))
def test_a_size_as_text_is_read_as_itself(count):
    assert bytes_of(size_text(count), "--memory-budget") == count


@given(st.text(max_size=12))
def test_what_is_no_size_is_one_sentence(text):
    try:
        read = bytes_of(text, "--memory-budget")
    except UserError as error:
        said = str(error)
    else:
        assert read >= 1
        return
    assert said.startswith("--memory-budget: ")
    assert "such as" in said


@pytest.mark.parametrize("text", ["", "8 GiB GiB", "-1GiB", "8QiB", "nan", "inf", "0", "1e3MB", "9" * 400])
def test_odd_budgets_are_refused(text):
    with pytest.raises(UserError, match="--memory-budget"):
        Cluster(memory_budget=text).budget()


def test_a_budget_below_what_a_process_takes_is_refused_and_none_is_none():
    assert Cluster().budget() is None
    assert Cluster(memory_budget="8GiB").budget() == 8 * GIB
    assert require_budget(LEAST_BUDGET) == LEAST_BUDGET
    for budget in (LEAST_BUDGET - 1, 1, 1 << 61):
        with pytest.raises(UserError, match="--memory-budget"):
            require_budget(budget)


def size(detector, preset="paper", train=10_000, shapes=((512, 40, 40),)):
    return FoldSize(detector, preset_config(detector, preset), shapes, "float16", train, 500)


@pytest.mark.parametrize("detector", ["padim", "mahalanobis", "dfm", "patchcore", "csflow", "glass"])
def test_ten_thousand_pictures_of_40_by_40_by_512_are_read_within_8_gib(detector):
    asked = size(detector)
    assert asked.held > 16e9
    streaming = plan_streaming(asked, 8 * GIB)
    assert 1 <= streaming.most_rows <= 256
    assert streaming.room >= detector_class(detector).least_room(asked.config, asked.shapes, asked.train)
    assert plan_streaming(asked, asked.held + GIB) is None
    assert plan_streaming(asked, None) is None


@given(
    detector=st.sampled_from(["padim", "mahalanobis", "dfm", "patchcore", "csflow", "glass"]),
    train=st.integers(1, 50_000),
    channels=st.integers(2, 1024),
    side=st.integers(1, 80),
    budget=st.integers(LEAST_BUDGET, 64 * GIB),
)
def test_what_is_planned_leaves_the_detector_what_it_needs_and_the_refusal_names_enough(
    detector, train, channels, side, budget
):
    asked = size(detector, "fast", train, ((channels, side, side),))
    try:
        streaming = plan_streaming(asked, budget)
    except UserError as error:
        said = str(error)
        assert "--memory-budget" in said
        enough = bytes_of(said.partition(" takes ")[2].partition(" where")[0], "")
        assert enough > budget
        assert plan_streaming(asked, enough) is None or plan_streaming(asked, enough).room > 0
        return
    if streaming is None:
        assert asked.held - PROCESS_BYTES + RESIDENT_BYTES <= budget
        return
    assert asked.held - PROCESS_BYTES + RESIDENT_BYTES > budget
    assert streaming.room >= detector_class(detector).least_room(asked.config, asked.shapes, train)
    assert streaming.room < budget - RESIDENT_BYTES


@pytest.fixture(scope="module")
def stored(finished_run, cache):
    """Names of the pictures that train the first fold, the run's detector's settings, its stores and its shards."""
    folder, _ = finished_run
    record = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    split = pq.read_table(folder / "folds" / "0" / "split.parquet").to_pylist()
    names = sorted(row["image_id"] for row in split if row["partition"] == "train")
    shards = [PictureShards.open(place) for place in (cache / "pictures").iterdir()]
    shards = next(
        own for own in shards if set(names) <= set(own.image_ids) and own.read(names[:1])["picture"].shape[1] == 64
    )
    stores = [FeatureStore.open(place) for place in (cache / "features").iterdir()]
    store = next(
        own
        for own in stores
        if set(names) <= set(own.image_ids)
        and own.layers == ("blocks.2", "blocks.4")
        and own.shapes["blocks.2"][1:] == (8, 8)
    )
    return names, record["settings"], store, shards


def test_what_is_read_is_what_is_stored(stored):
    names, _, store, shards = stored
    samples = streamed_samples(names, [store], shards, CPU, Streaming(4, 1 << 20))
    rows = torch.tensor([5, 0, len(names) - 1])
    batch = samples.batch(rows)
    wanted = [names[row] for row in rows]
    for layer, level in zip(store.layers, batch.features, strict=True):
        np.testing.assert_array_equal(level, store.read(wanted, layer).astype(np.float32))
    np.testing.assert_array_equal(batch.pictures, shards.read(wanted)["picture"])
    assert (batch.foregrounds is None) == (not shards.has_foregrounds)
    without = streamed_samples(names, [store], None, CPU, Streaming(4, 1 << 20)).batch(rows)
    assert without.pictures is None
    torch.testing.assert_close(without.features, batch.features)


def test_glass_trains_on_what_is_read(stored):
    names, settings, store, shards = stored
    config = replace(
        preset_config("glass", "fast"), size=(64, 64), schedule=Schedule(epochs=3, batch_size=8), init_seed=1
    )
    shapes = [store.shapes[layer] for layer in store.layers]
    assert settings["config"]["size"] == [64, 64]

    def trained():
        backbone = create_backbone(BackboneSpec(config.backbone, config.weights, config.layers))
        detector = detector_class("glass")(config, shapes, backbone)
        samples = streamed_samples(names, [store], shards, CPU, Streaming(4, 1 << 20))
        decided = detector.begin(samples, 7)
        return decided, [
            report.loss for report in train_epochs(detector, samples, config.schedule, detector.optimizers(), seed=7)
        ]

    decided, losses = trained()
    assert decided["hypothesis"] in ("hypersphere", "manifold")
    assert losses[-1] < losses[0]
    assert trained() == (decided, losses)
