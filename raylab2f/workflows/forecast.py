"""What a run would cost, before it is begun: folds, resources, storage, and time, the last from a short probe.

The probe (`cluster.training.probe`) runs as a task on the cluster, with the resources of a fold.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from raylab2f.cluster.failures import user_errors_unwrapped
from raylab2f.cluster.pictures.extract import store_ingredients
from raylab2f.cluster.pictures.ingest import shards_place
from raylab2f.cluster.session import cluster_slots, ray_session
from raylab2f.cluster.training.placement import FoldResources, cluster_nodes, place_folds
from raylab2f.cluster.training.probe import Rates, measure_rates
from raylab2f.datasets.manifest import fingerprint
from raylab2f.detectors.registry import config_from_dict, detector_class
from raylab2f.evaluation import plan_sizes
from raylab2f.files.mirror import fetch
from raylab2f.files.places import file_exists, join, place_of, require_store
from raylab2f.pitfalls import split_muted
from raylab2f.preparation import with_copies
from raylab2f.preparation.tile_table import tiles_of
from raylab2f.reporting import Display
from raylab2f.runs.data import open_dataset
from raylab2f.runs.fold import fold_is_finished
from raylab2f.runs.fold_memory import FoldSize, feature_bytes, plan_streaming
from raylab2f.runs.folder import RunFolder, RunSettings
from raylab2f.runs.memory_budget import PROCESS_BYTES, RESIDENT_BYTES
from raylab2f.runs.possible_size import require_possible_size
from raylab2f.runs.splits import (
    check_breakdown_columns,
    plan_splits,
    settled_merge,
    settled_training,
    training_cautions,
)
from raylab2f.workflows.inputs import resolve_preparation
from raylab2f.workflows.plans import require_possible_parts

__all__ = ["Forecast", "forecast_runs"]

_COPIED = ("path", "foreground_path", "mask_path", "rotation")
_MASKS = 2
_STREAMED = "features are read from the store as they are needed (--memory-budget), which takes no time"
# Of each stage on the cluster, and of the summary at the end: how often as long as a process takes to start; measured,
# see benchmarks/forecast.md.
_STAGE_STARTS = 2


@dataclass(frozen=True)
class Forecast:
    """What one run would take; times in seconds, sizes in bytes.

    Arguments:
        detector, seed: which run.
        pictures: prepared ones, turned copies included.
        folds, finished: planned, and done already in the run's folder.
        partitions: of the fold with most training pictures, see `plan_sizes`.
        parallel: folds at the same time.
        cpus, gpus: per fold.
        shard_bytes: of the prepared pictures at most, for they are compressed; 0 when they are in the cache.
        feature_bytes: of the feature stores; 0 when they are in the cache.
        fold_bytes: of the features and pictures that a fold holds in memory, once per worker.
        finish_seconds: for the summary and the cheap diagnoses.
        begin_seconds: until the pictures' names are read and Ray is there; measured.
        prepare_seconds, extract_seconds: before the first fold, start of processes included; 0 when found in the cache.
        start_seconds: until the first fold trains.
        fold_seconds: training and scoring of the largest fold on one worker.
        assumed: what had to be assumed, as sentences.
    """

    detector: str
    seed: int
    pictures: int
    folds: int
    finished: int
    partitions: dict[str, dict[str, int]]
    parallel: int
    cpus: int
    gpus: float
    shard_bytes: int
    feature_bytes: int
    fold_bytes: int
    begin_seconds: float
    finish_seconds: float
    prepare_seconds: float
    extract_seconds: float
    start_seconds: float
    fold_seconds: float
    assumed: tuple[str, ...] = ()

    @property
    def seconds(self) -> float:
        """Until the summary is there, if nobody else uses the cluster."""
        rounds = math.ceil((self.folds - self.finished) / self.parallel)
        folds = self.start_seconds + rounds * self.fold_seconds if rounds else 0.0
        return self.begin_seconds + self.prepare_seconds + self.extract_seconds + folds + self.finish_seconds


def forecast_runs(
    runs: Sequence[tuple[RunSettings, str | Path]],
    *,
    cache: str | Path,
    display: Display,
    resources: FoldResources,
    address: str | None = None,
    resume: bool = False,
) -> list[Forecast]:
    """Forecast every (settings, folder). Writes nothing but what reading the pictures leaves in the cache.

    Raises:
        UserError: whatever would stop the run as well: the folder, the data, the plan, the weights, the resources.
    """
    # What the program took until here it took to import, which is work of the processor.
    asked = time.monotonic() - time.process_time()
    cache = place_of(cache)
    require_store(cache)
    folders = [RunFolder(place_of(folder)) for _, folder in runs]
    for (settings, _), folder in zip(runs, folders, strict=True):
        folder.begins_or_continues(settings, resume=resume)
    dataset = open_dataset(runs[0][0].data, cache, display)
    identity = fingerprint(dataset.manifest)
    for folder in folders:
        folder.check_pictures(identity)
    # As in a run: what every run mutes is not said of the pictures that they share.
    muted = set.intersection(*(set(settings.evaluation.get("mute", ())) for settings, _ in runs))
    for warning in split_muted(dataset.warnings, muted)[0]:
        display.warn(warning)
    with ray_session(address):
        begin = time.monotonic() - asked
        return [
            replace(
                _forecast(settings, folder, dataset.manifest, identity, cache, display, resources), begin_seconds=begin
            )
            for (settings, _), folder in zip(runs, folders, strict=True)
        ]


def _forecast(
    settings: RunSettings,
    folder: RunFolder,
    manifest: pa.Table,
    identity: str,
    cache: str,
    display: Display,
    resources: FoldResources,
) -> Forecast:
    config = config_from_dict(settings.detector, settings.config)
    check_breakdown_columns(settings, manifest)
    require_possible_size(settings.detector, config)
    pictures = with_copies(manifest, settings.preparation.angles)
    require_possible_parts(settings, pictures, resources)
    preparation, _ = resolve_preparation(settings, config.size, pictures, identity, cache, display)
    merge, assumed = _assume_merge(settings, manifest)
    splits = plan_splits(settings, manifest, pictures, identity, merge=merge)
    for warning in split_muted(training_cautions(settings, splits, manifest), settings.evaluation.get("mute", ()))[0]:
        display.warn(warning)
    partitions = _largest_fold(splits, pictures)
    tiles = tiles_of(pictures, preparation).num_rows if preparation.tiles is not None else 0
    if tiles:
        assumed += (f"detectors see all {tiles:,} tiles, though foreground masks may spare some",)
    each_read = tiles / pictures.num_rows or 1
    trains = round(each_read * partitions["train"]["pictures"])
    judged = round(each_read * sum(partitions[name]["pictures"] for name in ("threshold", "inference")))
    caution = settled_training(settings, manifest, merge=merge).caution
    if caution is not None and caution.code not in settings.evaluation.get("mute", ()):
        display.warn(caution)

    fetch(folder.place)
    finished = sum(fold_is_finished(folder.fold(fold)) for fold in range(settings.folds))
    cpus, gpus = cluster_slots()
    placement = place_folds(max(1, settings.folds - finished), resources, cluster_nodes())
    with display.stage(f"probe {settings.detector}") as progress, user_errors_unwrapped():
        progress(0, 1)
        asked = time.time()
        rates = measure_rates(
            settings, preparation.whole, _probe_pictures(pictures), placement.cpus_per_worker, placement.gpus_per_worker
        )
        progress(1, 1)

    # Tiles are prepared, and extracted, beside whole pictures, and what they take is told from those.
    cls, count = detector_class(settings.detector), pictures.num_rows + tiles
    shards_found = file_exists(join(shards_place(cache, identity, preparation), "shards.json"))
    stores = store_ingredients(
        cls.feature_requests(config), identity, preparation.to_dict(), cache, settings.feature_dtype
    )
    stores_found = all(file_exists(join(place, "store.json")) for place, _ in stores)
    stage = _STAGE_STARTS * max(0.0, rates.ready_at - asked)
    each = feature_bytes(rates.shapes, settings.feature_dtype)
    size = FoldSize(settings.detector, config, rates.shapes, settings.feature_dtype, trains, judged)
    fold_bytes = size.held - PROCESS_BYTES
    if plan_streaming(size, settings.memory_budget) is not None and settings.memory_budget is not None:
        fold_bytes = settings.memory_budget - RESIDENT_BYTES
        assumed = (*assumed, _STREAMED)
    schedule = config.schedule
    if settings.preparation.per_position and schedule.samples_per_epoch is not None:
        # An epoch is one of every position's detector.
        schedule = replace(schedule, samples_per_epoch=schedule.samples_per_epoch * round(each_read))
    shard_bytes = count * math.prod(config.size) * (3 + _MASKS)
    return Forecast(
        detector=settings.detector,
        seed=settings.seed,
        pictures=pictures.num_rows,
        folds=settings.folds,
        finished=finished,
        partitions=partitions,
        parallel=placement.parallel,
        cpus=placement.cpus_per_worker * resources.workers,
        gpus=placement.gpus_per_worker * resources.workers,
        shard_bytes=0 if shards_found else shard_bytes,
        feature_bytes=0 if stores_found else count * each,
        fold_bytes=fold_bytes,
        begin_seconds=0.0,
        prepare_seconds=0.0 if shards_found else stage + (1 + bool(tiles)) * pictures.num_rows * rates.prepare / cpus,
        extract_seconds=0.0
        if stores_found
        else stage + count * rates.extract / (gpus or cpus / placement.cpus_per_worker),
        start_seconds=stage,
        finish_seconds=stage,
        fold_seconds=_fold_seconds(schedule, trains, judged, rates),
        assumed=assumed,
    )


def _assume_merge(settings: RunSettings, manifest: pa.Table) -> tuple[bool, tuple[str, ...]]:
    """Whether given test nominals join the nominal pool; a run may decide it from features, which are not there yet."""
    settled = settled_merge(settings, manifest)
    if settled is not None:
        return settled["merged"], ()
    return True, ("the check decides to merge the given nominal test pictures; without them fewer pictures train",)


def _largest_fold(splits: Sequence[pa.Table], pictures: pa.Table) -> dict[str, dict[str, int]]:
    """Sizes of the partitions in the fold with most training pictures."""
    return max((plan_sizes(split, pictures) for split in splits), key=lambda sizes: sizes["train"]["pictures"])


def _probe_pictures(pictures: pa.Table) -> list[dict[str, Any]]:
    """Rows of some nominal pictures, spread over the data set."""
    nominal = pictures.filter(pc.equal(pictures["label"], 0)).sort_by("image_id")
    places = np.unique(np.linspace(0, nominal.num_rows - 1, 8).round().astype(int))
    return nominal.select(_COPIED).take(places).to_pylist()


def _fold_seconds(schedule: Any, trains: int, judged: int, rates: Rates) -> float:
    per_epoch = min(trains, schedule.samples_per_epoch or trains)
    # A detector without epochs looks at every picture once.
    return max(1, schedule.epochs) * per_epoch * rates.train + judged * rates.predict
