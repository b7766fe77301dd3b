"""One fold: train, score, write the results. Knows files and torch; whoever runs it passes the way to report.

Results appear in the fold's folder; `fold.json` is written last, so a folder with it is finished and one without
it is taken up again from its last checkpoint.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import nn

from raylab2f.detectors.base import Detector, Samples
from raylab2f.detectors.checkpoint import load_training, save_detector, save_training
from raylab2f.detectors.patchcore import PatchCore
from raylab2f.detectors.per_position import PerPosition
from raylab2f.detectors.pictures.detector import Heard, PictureDetector
from raylab2f.detectors.precision import active_precision, precision_of, products_in
from raylab2f.detectors.training import Worker, predict_batches, train_epochs
from raylab2f.errors import UserError
from raylab2f.files.atomic import atomic_path, write_json, write_parquet
from raylab2f.files.digests import sha256_of
from raylab2f.files.mirror import fetch, fetch_file, local, publish, remove
from raylab2f.files.parquet import read_parquet
from raylab2f.files.strangers import read_json, require_readable
from raylab2f.plugins import trust
from raylab2f.runs.epoch_scores import EpochScores
from raylab2f.runs.fold_inputs import FoldInputs
from raylab2f.runs.fold_memory import PREDICT_CHUNK
from raylab2f.runs.measured import batch_dependence, begin_memory, peak_memory
from raylab2f.runs.nearest_neighbour import nearest_neighbour_scores
from raylab2f.runs.pixels import write_pixels
from raylab2f.runs.score_rows import SCORES_SCHEMA, write_score_rows
from raylab2f.runs.tile_predictions import TILES_FILE, Keep, kept_tiles
from raylab2f.runs.tiled import Tiled
from raylab2f.seeding import torch_seed

__all__ = ["SCORES_SCHEMA", "FoldTask", "fold_is_finished", "run_fold"]

_CPU = torch.device("cpu")
_PREDICT_BATCH = 32


@dataclass(frozen=True)
class FoldTask:
    """All a process needs to know to run a fold; plain values.

    Folders and files are places: local paths, or URIs on a store that all nodes reach.

    Arguments:
        folder: of the fold; holds `split.parquet`.
        fold: its number.
        manifest: the run's `pictures.parquet`: label and object of every prepared picture.
        detector: name in the registry.
        config: the detector's configuration as a dictionary.
        seed: of the run; the fold's training seed descends from it.
        pictures: folder of the image shards.
        stores: folders of the feature stores, one per feature request.
        dataset: its name, for people.
        checkpoint_seconds: at least so long between two checkpoints.
        epoch_scores: keep the scores after so many epochs each, for contrast; 0: do not.
        memory_budget: bytes for a process; features are read as they are needed where they exceed it.
        tile_score: from tiles to pictures, where shards and stores have tiles.
        per_position: one detector for each position of tiles.
    """

    folder: str
    fold: int
    manifest: str
    detector: str
    config: dict[str, Any]
    seed: int
    pictures: str
    stores: tuple[str, ...]
    dataset: str = ""
    checkpoint_seconds: float = 30.0
    epoch_scores: int = 0
    memory_budget: int | None = None
    tile_score: str = "max"
    per_position: bool = False

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return {**asdict(self), "stores": list(self.stores)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> FoldTask:
        """The inverse of `to_dict`."""
        return cls(**{**values, "stores": tuple(values["stores"])})


def fold_is_finished(folder: Path) -> bool:
    """Whether a fold's results are complete and as they were written.

    Raises:
        UserError: that cannot be known, for this user may not read them.
    """
    try:
        record = read_json(folder / "fold.json")
        files: dict[str, str] = record["files"]
        # Whoever wrote the record may not send us elsewhere, to a file without an end.
        own = all(Path(name).name == name and (folder / name).is_file() for name in files)
        return own and "scores.parquet" in files and all(sha256_of(folder / n) == digest for n, digest in files.items())
    except PermissionError as error:
        raise require_readable(error, folder) from error
    except FileNotFoundError:
        return False
    except UserError as error:
        if isinstance(error.__cause__, PermissionError):
            raise
        return False
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def run_fold(
    task: FoldTask,
    report: Callable[[dict[str, Any]], None],
    *,
    worker: Worker | None = None,
    device: torch.device = _CPU,
    wrap: Callable[[Detector], nn.Module] | None = None,
) -> None:
    """Train the fold's detector on its train partition, score the two others, write the results.

    Arguments:
        report: called after every epoch with `fold`, `epoch`, `epochs`, `loss`, `pictures_per_second`.
        worker: this process's place among those that train the fold together; only the first one writes.
        device: where to train.
        wrap: puts the detector into the module that averages gradients over workers.
    """
    worker = worker or Worker()
    # Whoever made the task has named it.
    trust(task.detector)
    started = time.time()
    begin_memory(device)
    seed = torch_seed(task.seed, "train", task.fold)
    # All workers of a fold fetch, and none writes before all have begun to train.
    folder = fetch(task.folder, alone=True)
    split = read_parquet(folder / "split.parquet")
    places = fetch(task.pictures), [fetch(store) for store in task.stores]
    inputs = FoldInputs(
        task.detector, task.config, *places, split, task.memory_budget, task.tile_score, task.per_position
    )
    train = inputs.samples(inputs.training_rows(_image_ids(split, "train")), device, for_training=True)
    checkpoint = folder / "checkpoint.safetensors"
    heard = _heard(task, report)
    try:
        detector, optimizers, decisions, history = _start(inputs, train, seed, checkpoint, heard)
    except ValueError as error:
        # A damaged checkpoint costs the epochs it held, never the fold. It is overwritten by the next one.
        detector, optimizers, decisions, history = _start(inputs, train, seed, None, heard)
        decisions = {**decisions, "restarted": str(error)}
    resumed_from = len(history)
    schedule = detector.steps
    saved = time.monotonic()
    scored = _image_ids(split, "threshold") + _image_ids(split, "inference")
    kept = None
    if task.epoch_scores and worker.rank == 0:
        kept = EpochScores(folder / "epoch_scores.parquet", task.fold, task.epoch_scores, len(history))
    epochs = train_epochs(
        detector,
        train,
        schedule,
        optimizers,
        seed=seed,
        first_epoch=len(history),
        worker=worker,
        module=wrap(detector) if wrap and schedule.epochs else None,
    )
    for epoch in epochs:
        history.append({"loss": epoch.loss, "pictures_per_second": epoch.pictures_per_second})
        if kept and kept.wants(epoch.epoch, schedule.epochs):
            predictions = _predict(detector, inputs, scored, device)
            kept.add(epoch.epoch, scored, np.concatenate([scores for _, scores, _ in predictions]))
        if worker.rank == 0 and time.monotonic() - saved > task.checkpoint_seconds:
            save_training(checkpoint, detector, optimizers, history)
            # The checkpoint goes last of the two: scores of later epochs than it knows are dropped.
            publish(task.folder, ["epoch_scores.parquet"])
            publish(task.folder, [checkpoint.name])
            saved = time.monotonic()
        report({"fold": task.fold, "epochs": schedule.epochs, **asdict(epoch)})
    if worker.rank > 0:
        return

    del train, optimizers
    manifest = fetch_file(task.manifest)
    judged = _write_scores(task, manifest, detector, inputs, split, scored, device)
    files = ["split.parquet", "scores.parquet", "model.safetensors", "model.json"]
    if detector.gives_maps:
        files.append("maps.parquet")
    else:
        (folder / "maps.parquet").unlink(missing_ok=True)
    # PatchCore is the line, and more.
    if task.detector != PatchCore.name:
        _write_baseline(folder, inputs, split, scored, seed, device)
        files.append("baseline.parquet")
    save_detector(folder, detector, inputs.feature_shapes)
    if detector.gives_maps:
        partitions = dict(zip(split["image_id"].to_pylist(), split["partition"].to_pylist(), strict=True))
        files += write_pixels(folder, manifest, partitions, detector, inputs.shards, device, inputs.reading)
    if isinstance(inputs.reading, Tiled):
        files.append(TILES_FILE)
    if kept:
        files.append("epoch_scores.parquet")
    record = {
        "fold": task.fold,
        "epochs": detector.config.schedule.epochs,
        "stopping_rule": "last epoch",
        "decisions": decisions,
        "resumed_from_epoch": resumed_from,
        "history": history,
        **judged,
        "seconds": time.time() - started,
        "peak_memory": peak_memory(device),
        "device": str(device),
        "precision": active_precision(precision_of(detector.config), device),
        "workers": worker.count,
        "keeps_model": detector.keeps_model,
        "features": "held" if inputs.streaming is None else "streamed",
        "files": {name: sha256_of(folder / name) for name in files},
    }
    write_json(folder / "fold.json", record)
    publish(task.folder, [*files, "fold.json"])
    remove(task.folder, checkpoint.name, "error.json")


def _heard(task: FoldTask, report: Callable[[dict[str, Any]], None]) -> Heard:
    """Reports the epochs of a detector that trains by itself."""

    def heard(epoch: int, epochs: int, loss: float, speed: float) -> None:
        report({"fold": task.fold, "epochs": epochs, "epoch": epoch, "loss": loss, "pictures_per_second": speed})

    return heard


def _start(
    inputs: FoldInputs, train: Samples, seed: int, checkpoint: Path | None, heard: Heard
) -> tuple[Detector, Sequence[torch.optim.Optimizer], dict[str, Any], list[dict[str, float]]]:
    """A detector ready to train, its optimisers, what `begin` decided, and the history of epochs already done."""
    detector = inputs.create_detector(seed).to(train.device)
    for part in detector.detectors.values() if isinstance(detector, PerPosition) else (detector,):
        if isinstance(part, PictureDetector):
            part.heard = heard
    with products_in("float32"):
        decisions = detector.begin(train, seed)
    optimizers = detector.optimizers()
    history: list[dict[str, float]] = []
    if checkpoint is not None and checkpoint.exists():
        history = load_training(checkpoint, detector, optimizers)
    return detector, optimizers, decisions, history


def _predict(
    detector: Detector, inputs: FoldInputs, image_ids: Sequence[str], device: torch.device, keep: Keep | None = None
) -> Iterator[tuple[Sequence[str], np.ndarray, np.ndarray]]:
    """Names, (n,) scores and (n, h, w) maps of a portion of the pictures at a time; `keep` hears of what was read."""
    for chunk in inputs.reading.portions(image_ids, PREDICT_CHUNK):
        rows = inputs.reading.rows(chunk)
        predictions = list(predict_batches(detector, inputs.samples(rows, device, for_training=False), _PREDICT_BATCH))
        scores, maps = (torch.cat(part).numpy() for part in zip(*predictions, strict=True))
        if keep:
            keep(chunk, scores, maps)
        yield chunk, inputs.reading.scores(chunk, scores), np.ascontiguousarray(inputs.reading.maps(chunk, maps))


def _write_scores(
    task: FoldTask,
    manifest: Path,
    detector: Detector,
    inputs: FoldInputs,
    split: pa.Table,
    image_ids: Sequence[str],
    device: torch.device,
) -> dict[str, float | None]:
    """Score the threshold and inference partitions in chunks; maps go to disk as they come.

    Returns:
        `map_spread`, the largest standard deviation within a map, relative to the map's mean square: 0 where all are
        constant, `None` without maps; and `batch_dependence`, see there.
    """
    folder = local(task.folder)
    spread, apart = 0.0, None
    scores: list[np.ndarray] = []
    writer: pq.ParquetWriter | None = None
    with atomic_path(folder / "maps.parquet") as temporary, kept_tiles(folder, inputs.reading) as keep:
        for chunk, chunk_scores, maps in _predict(detector, inputs, image_ids, device, keep):
            scores.append(chunk_scores)
            if apart is None:
                first = chunk_scores[:_PREDICT_BATCH]
                apart = batch_dependence(first, partial(_alone, detector, inputs, chunk, device))
            size = np.sqrt(np.square(maps, dtype=np.float64).mean(axis=(1, 2)))
            spread = max(spread, float((maps.std(axis=(1, 2), dtype=np.float64) / np.maximum(size, 1e-30)).max()))
            table = pa.table({"image_id": chunk, "map": pa.FixedShapeTensorArray.from_numpy_ndarray(maps)})
            writer = writer or pq.ParquetWriter(temporary, table.schema, compression="zstd")
            writer.write_table(table)
        if writer:
            writer.close()
    write_score_rows(folder, task.fold, manifest, split, image_ids, np.concatenate(scores))
    return {"map_spread": spread if detector.gives_maps else None, "batch_dependence": apart}


def _alone(detector: Detector, inputs: FoldInputs, image_ids: Sequence[str], device: torch.device, place: int) -> float:
    """The score of the picture at this place where each of its rows is a batch of its own."""
    own = [image_ids[place]]
    samples = inputs.samples(inputs.reading.rows(own), device, for_training=False)
    scores = torch.cat([part for part, _ in predict_batches(detector, samples, 1)]).numpy()
    return float(inputs.reading.scores(own, scores)[0])


def _write_baseline(
    folder: Path, inputs: FoldInputs, split: pa.Table, image_ids: Sequence[str], seed: int, device: torch.device
) -> None:
    """What the nearest neighbour makes of the pictures that the detector scored."""

    def samples(names: Sequence[str]) -> Samples:
        return inputs.features(names, device)

    rows = inputs.reading.rows
    train, judged = rows(_image_ids(split, "train")), rows(image_ids)
    scores = nearest_neighbour_scores(inputs.config, inputs.feature_shapes, samples, train, judged, seed, PREDICT_CHUNK)
    scores = inputs.reading.scores(image_ids, scores)
    table = pa.table({"image_id": pa.array(image_ids, pa.string()), "score": pa.array(scores, pa.float64())})
    write_parquet(folder / "baseline.parquet", table)


def _image_ids(split: pa.Table, partition: str) -> list[str]:
    ids = split["image_id"].to_pylist()
    return sorted(i for i, p in zip(ids, split["partition"].to_pylist(), strict=True) if p == partition)
