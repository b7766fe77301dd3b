"""What a run would cost, before it is begun: folds, resources, storage, and time, the last from a short probe.

The probe runs as a task on the cluster, with the resources of a fold. It prepares a few pictures, passes them through
the backbone, and trains on them for a few steps; nothing of it is kept.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import ray
import torch

from raylab2f.cluster.data import open_dataset
from raylab2f.cluster.devices import device_for
from raylab2f.cluster.extract import backbone_features, backbone_spec, store_ingredients
from raylab2f.cluster.failures import user_errors_unwrapped
from raylab2f.cluster.fold import fold_is_finished
from raylab2f.cluster.ingest import prepare_files, shards_place
from raylab2f.cluster.inputs import resolve_preparation
from raylab2f.cluster.placement import FoldResources, cluster_nodes, place_folds
from raylab2f.cluster.run_folder import RunFolder, RunSettings
from raylab2f.cluster.session import cluster_slots, ray_session
from raylab2f.cluster.splits import plan_splits, settled_merge
from raylab2f.cluster.storage import fetch
from raylab2f.datasets.manifest import fingerprint
from raylab2f.detectors.base import Samples
from raylab2f.detectors.registry import config_from_dict, detector_class
from raylab2f.detectors.training import predict_batches, train_epochs
from raylab2f.evaluation import plan_sizes
from raylab2f.features import create_backbone
from raylab2f.places import file_exists, join, place_of, require_store
from raylab2f.preparation import Preparation, with_copies
from raylab2f.reporting import Display

__all__ = ["Forecast", "forecast_runs"]

# The probe's batches grow up to the schedule's while a step takes less than this.
_STEP_SECONDS = 2.0
_COPIED = ("path", "foreground_path", "mask_path", "rotation")
_MASKS = 2
_T = TypeVar("_T")


@dataclass(frozen=True)
class Forecast:
    """What one run would take; times in seconds, sizes in bytes.

    Arguments:
        detector, seed: which run.
        pictures: prepared ones, turned copies included.
        folds, finished: planned, and done already in the run's folder.
        train_pictures, judged_pictures: of the largest fold.
        parallel: folds at the same time.
        cpus, gpus: per fold.
        shard_bytes: of the prepared pictures at most, for they are compressed; 0 when they are in the cache.
        feature_bytes: of the feature stores; 0 when they are in the cache.
        fold_bytes: of the features and pictures that a fold holds in memory, once per worker.
        prepare_seconds, extract_seconds: before the first fold; 0 when found in the cache.
        start_seconds: until a process on the cluster is ready to train.
        fold_seconds: training and scoring of the largest fold on one worker.
        assumed: what had to be assumed, as sentences.
    """

    detector: str
    seed: int
    pictures: int
    folds: int
    finished: int
    train_pictures: int
    judged_pictures: int
    parallel: int
    cpus: int
    gpus: float
    shard_bytes: int
    feature_bytes: int
    fold_bytes: int
    prepare_seconds: float
    extract_seconds: float
    start_seconds: float
    fold_seconds: float
    assumed: tuple[str, ...] = ()

    @property
    def seconds(self) -> float:
        """Until the last fold has ended, if nobody else uses the cluster."""
        rounds = math.ceil((self.folds - self.finished) / self.parallel)
        folds = self.start_seconds + rounds * self.fold_seconds if rounds else 0.0
        return self.prepare_seconds + self.extract_seconds + folds


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
    cache = place_of(cache)
    require_store(cache)
    folders = [RunFolder(place_of(folder)) for _, folder in runs]
    for (settings, _), folder in zip(runs, folders, strict=True):
        folder.begins_or_continues(settings, resume=resume)
    dataset = open_dataset(runs[0][0].data, cache, display)
    identity = fingerprint(dataset.manifest)
    for folder in folders:
        folder.check_pictures(identity)
    for warning in dataset.warnings:
        display.warn(warning)
    with ray_session(address):
        return [
            _forecast(settings, folder, dataset.manifest, identity, cache, display, resources)
            for (settings, _), folder in zip(runs, folders, strict=True)
        ]


@dataclass(frozen=True)
class _Rates:
    """What the probe measured: seconds per picture and of a start; (C, H, W) of each feature map."""

    prepare: float
    extract: float
    train: float
    predict: float
    ready_at: float
    shapes: tuple[tuple[int, int, int], ...]


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
    pictures = with_copies(manifest, settings.preparation.angles)
    preparation, _ = resolve_preparation(settings, config.size, pictures, identity, cache, display)
    merge, assumed = _assume_merge(settings, manifest)
    sizes = _largest_fold(plan_splits(settings, manifest, pictures, identity, merge=merge), pictures)

    fetch(folder.place)
    finished = sum(fold_is_finished(folder.fold(fold)) for fold in range(settings.folds))
    cpus, gpus = cluster_slots()
    placement = place_folds(max(1, settings.folds - finished), resources, cluster_nodes())
    with display.stage(f"probe {settings.detector}") as progress, user_errors_unwrapped():
        progress(0, 1)
        asked = time.time()
        task = ray.remote(_probe).options(num_cpus=placement.cpus_per_worker, num_gpus=placement.gpus_per_worker)
        rates: _Rates = ray.get(
            task.remote(
                settings,
                preparation,
                _probe_pictures(pictures),
                settings.data.pixel_limit,
                settings.seed,
                placement.gpus_per_worker,
            )
        )
        progress(1, 1)

    cls, count = detector_class(settings.detector), pictures.num_rows
    shards_found = file_exists(join(shards_place(cache, identity, preparation), "shards.json"))
    stores = store_ingredients(
        cls.feature_requests(config), identity, preparation.to_dict(), cache, settings.feature_dtype
    )
    stores_found = all(file_exists(join(place, "store.json")) for place, _ in stores)
    feature_bytes = count * _bytes_per_picture(rates.shapes, settings.feature_dtype)
    shard_bytes = count * math.prod(config.size) * (3 + _MASKS)
    fold_bytes = sizes["train"] * feature_bytes // count
    if cls.trains_on_pictures:
        fold_bytes += sizes["train"] * math.prod(config.size) * 4
    return Forecast(
        detector=settings.detector,
        seed=settings.seed,
        pictures=count,
        folds=settings.folds,
        finished=finished,
        train_pictures=sizes["train"],
        judged_pictures=sizes["judged"],
        parallel=placement.parallel,
        cpus=placement.cpus_per_worker * resources.workers,
        gpus=placement.gpus_per_worker * resources.workers,
        shard_bytes=0 if shards_found else shard_bytes,
        feature_bytes=0 if stores_found else feature_bytes,
        fold_bytes=fold_bytes,
        prepare_seconds=0.0 if shards_found else count * rates.prepare / cpus,
        extract_seconds=0.0 if stores_found else count * rates.extract / (gpus or cpus / placement.cpus_per_worker),
        start_seconds=max(0.0, rates.ready_at - asked),
        fold_seconds=_fold_seconds(config.schedule, sizes, rates),
        assumed=assumed,
    )


def _assume_merge(settings: RunSettings, manifest: pa.Table) -> tuple[bool, tuple[str, ...]]:
    """Whether given test nominals join the nominal pool; a run may decide it from features, which are not there yet."""
    settled = settled_merge(settings, manifest)
    if settled is not None:
        return settled["merged"], ()
    return True, ("the check decides to merge the given nominal test pictures; without them fewer pictures train",)


def _largest_fold(splits: Sequence[pa.Table], pictures: pa.Table) -> dict[str, int]:
    """Pictures that train and that are judged, in the fold with most training pictures."""
    counts = [plan_sizes(split, pictures) for split in splits]
    largest = max(counts, key=lambda sizes: sizes["train"]["pictures"])
    judged = sum(largest[name]["pictures"] for name in ("threshold", "inference"))
    return {"train": largest["train"]["pictures"], "judged": judged}


def _probe_pictures(pictures: pa.Table) -> list[dict[str, Any]]:
    """Rows of some nominal pictures, spread over the data set."""
    nominal = pictures.filter(pc.equal(pictures["label"], 0)).sort_by("image_id")
    places = np.unique(np.linspace(0, nominal.num_rows - 1, 8).round().astype(int))
    return nominal.select(_COPIED).take(places).to_pylist()


def _bytes_per_picture(shapes: Sequence[tuple[int, int, int]], dtype: str) -> int:
    return sum(math.prod(shape) for shape in shapes) * np.dtype(dtype).itemsize


def _fold_seconds(schedule: Any, sizes: dict[str, int], rates: _Rates) -> float:
    per_epoch = min(sizes["train"], schedule.samples_per_epoch or sizes["train"])
    return schedule.epochs * per_epoch * rates.train + sizes["judged"] * rates.predict


def _probe(
    settings: RunSettings,
    preparation: Preparation,
    rows: list[dict[str, Any]],
    pixel_limit: int,
    seed: int,
    gpus: float,
) -> _Rates:
    """Measure on this process; everything is done once before it is timed, for first calls are slow."""
    device = device_for(gpus)
    ready_at = time.time()
    cls, config = detector_class(settings.detector), config_from_dict(settings.detector, settings.config)
    backbones = {
        request: create_backbone(backbone_spec(request)).to(device) for request in cls.feature_requests(config)
    }

    def prepared() -> tuple[np.ndarray, np.ndarray]:
        done = [
            one
            for row in rows
            for one in prepare_files(
                row["path"], row["foreground_path"], row["mask_path"], preparation, [row["rotation"]], pixel_limit
            )
        ]
        return np.stack([one.picture for one in done]), np.stack([one.foreground for one in done])

    def extracted() -> list[torch.Tensor]:
        batch = torch.from_numpy(pictures).to(device)
        maps = [
            feature
            for request, backbone in backbones.items()
            for feature in backbone_features(backbone, batch, request.size)
        ]
        return [feature.clone() for feature in maps]

    (pictures, foregrounds), prepare_seconds = _timed(prepared)
    features, extract_seconds = _timed(extracted)
    shapes = tuple((int(f.shape[1]), int(f.shape[2]), int(f.shape[3])) for f in features)
    detector = cls(config, list(shapes), next(iter(backbones.values())) if cls.trains_on_pictures else None).to(device)
    train_seconds, predict_seconds = 0.0, 0.0
    for batch_size in _growing(config.schedule.batch_size):
        copies = torch.arange(batch_size, device=device) % len(rows)
        samples = Samples([feature[copies] for feature in features])
        if cls.trains_on_pictures:
            samples.pictures = torch.from_numpy(pictures).to(device)[copies]
            samples.foregrounds = torch.from_numpy(foregrounds).to(device)[copies]
        schedule = replace(config.schedule, epochs=2, batch_size=batch_size, samples_per_epoch=None)
        detector.begin(samples, seed)
        epochs = list(train_epochs(detector, samples, schedule, detector.optimizers(), seed=seed))
        train_seconds = 1 / epochs[-1].pictures_per_second
        started = time.perf_counter()
        list(predict_batches(detector, samples, batch_size))
        predict_seconds = (time.perf_counter() - started) / batch_size
        if train_seconds * batch_size > _STEP_SECONDS:
            break
    count = len(rows)
    return _Rates(prepare_seconds / count, extract_seconds / count, train_seconds, predict_seconds, ready_at, shapes)


def _timed(work: Callable[[], _T]) -> tuple[_T, float]:
    """A second call's result and its seconds."""
    work()
    started = time.perf_counter()
    result = work()
    return result, time.perf_counter() - started


def _growing(limit: int) -> Iterator[int]:
    """2, 4, 8 and so on up to `limit`, which is the last."""
    size = 2
    while size < limit:
        yield size
        size *= 2
    yield limit
