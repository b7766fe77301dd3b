"""How fast a process of the cluster prepares, extracts and trains: measured on a few pictures, nothing of it kept."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
import ray
import torch

from raylab2f import plugins
from raylab2f.cluster.devices import device_for
from raylab2f.cluster.failures import user_errors_unwrapped
from raylab2f.cluster.pictures.ingest import prepare_files
from raylab2f.detectors.backbone_features import backbone_features, backbone_spec
from raylab2f.detectors.base import Detector, Samples
from raylab2f.detectors.patchcore import PatchCore
from raylab2f.detectors.registry import config_from_dict, detector_class
from raylab2f.detectors.training import predict_batches, train_epochs
from raylab2f.features import create_backbone
from raylab2f.preparation import Preparation
from raylab2f.runs.folder import RunSettings
from raylab2f.runs.nearest_neighbour import MOST_PATCHES, nearest_neighbour

__all__ = ["Rates", "measure_rates"]

# The batches grow up to the schedule's while a step takes less than this.
_STEP_SECONDS = 2.0
_T = TypeVar("_T")


@dataclass(frozen=True)
class Rates:
    """Seconds per picture, when the process was ready (seconds since the epoch), and (C, H, W) of each feature map."""

    prepare: float
    extract: float
    train: float
    predict: float
    ready_at: float
    shapes: tuple[tuple[int, int, int], ...]


def measure_rates(
    settings: RunSettings, preparation: Preparation, rows: list[dict[str, Any]], cpus: float, gpus: float
) -> Rates:
    """Measure in a task on the cluster that has the resources of a fold's worker.

    Arguments:
        rows: of nominal pictures: `path`, `foreground_path`, `mask_path`, `rotation`.

    Raises:
        UserError: a picture or the weights cannot be read there.
    """
    task = ray.remote(_probe).options(num_cpus=cpus, num_gpus=gpus)
    with user_errors_unwrapped():
        rates: Rates = ray.get(task.remote(settings, preparation, rows, gpus))
    return rates


def _probe(
    settings: RunSettings,
    preparation: Preparation,
    rows: list[dict[str, Any]],
    gpus: float,
) -> Rates:
    """Measure on this process; everything is done once before it is timed, for first calls are slow."""
    plugins.trust(settings.detector)
    device, limit = device_for(gpus), settings.data.pixel_limit
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
                row["path"], row["foreground_path"], row["mask_path"], preparation, [row["rotation"]], limit
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
        seen = samples
        if cls.reads_pictures:
            seen = Samples([], torch.from_numpy(pictures).to(device)[copies])
        train_seconds = _train_seconds(detector, seen, settings.seed)
        started = time.perf_counter()
        list(predict_batches(detector, seen, batch_size))
        predict_seconds = (time.perf_counter() - started) / batch_size
        predict_seconds += _line_seconds(detector, samples, shapes)
        if train_seconds * batch_size > _STEP_SECONDS:
            break
    count = len(rows)
    return Rates(prepare_seconds / count, extract_seconds / count, train_seconds, predict_seconds, ready_at, shapes)


def _line_seconds(detector: Detector, samples: Samples, shapes: Sequence[tuple[int, int, int]]) -> float:
    """Seconds per picture of the nearest neighbour beside the detector's scores."""
    if isinstance(detector, PatchCore):
        return 0.0
    line = nearest_neighbour(detector.config, shapes).to(samples.device)
    line.memory = line.memory.new_zeros(MOST_PATCHES, line.memory.shape[1])
    finest = Samples(samples.features[: len(detector.config.layers)])
    started = time.perf_counter()
    list(predict_batches(line, finest, len(samples)))
    return (time.perf_counter() - started) / len(samples)


def _train_seconds(detector: Detector, samples: Samples, seed: int) -> float:
    """Seconds per picture of an epoch's second round; of the fit, where there is no epoch."""
    started = time.perf_counter()
    detector.begin(samples, seed)
    if not detector.steps.epochs:
        return (time.perf_counter() - started) / len(samples) / max(1, detector.config.schedule.epochs)
    schedule = replace(detector.config.schedule, epochs=2, batch_size=len(samples), samples_per_epoch=None)
    epochs = list(train_epochs(detector, samples, schedule, detector.optimizers(), seed=seed))
    return 1 / epochs[-1].pictures_per_second


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
