"""A whole run: pictures in, one model per fold, thresholds, metrics with intervals out."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from raylab2f.cluster.operations.monitoring import FoldMonitor, record_features
from raylab2f.cluster.operations.shared_storage import require_shared_folders
from raylab2f.cluster.replicates import spread_replicates
from raylab2f.cluster.session import ray_session, slots_limited
from raylab2f.cluster.training.folds import FoldFailure, Progress, run_folds
from raylab2f.cluster.training.placement import FoldResources
from raylab2f.datasets import Dataset
from raylab2f.datasets.manifest import fingerprint, write_manifest
from raylab2f.errors import UserError
from raylab2f.evaluation import evaluate, plan_sizes
from raylab2f.evaluation.plans.iid_check import check_iid
from raylab2f.features import FeatureStore
from raylab2f.files.atomic import write_json, write_parquet
from raylab2f.files.digests import digested_once
from raylab2f.files.mirror import fetch, local, publish, remove
from raylab2f.files.parquet import read_parquet
from raylab2f.files.places import absolute, join, place_of, require_store
from raylab2f.pitfalls import Caution, split_muted
from raylab2f.preparation import with_copies
from raylab2f.reporting import Display
from raylab2f.reporting.watchdog import stage_runs
from raylab2f.runs.data import open_dataset
from raylab2f.runs.fold import FoldTask, fold_is_finished
from raylab2f.runs.fold_memory import fold_memory
from raylab2f.runs.folder import TUNE_FOLDER, RunFolder, RunSettings
from raylab2f.runs.siblings import find_picture_split
from raylab2f.runs.splits import plan_cautions, plan_splits, settled_merge, settled_training
from raylab2f.workflows.inputs import prepare_inputs
from raylab2f.workflows.tracking.harmless import Harmless
from raylab2f.workflows.tracking.mlflow import MlflowLog, mlflow_logging

__all__ = ["RunOutcome", "run_cross_validation"]


@dataclass(frozen=True)
class RunOutcome:
    """How a run ended.

    Arguments:
        place: its folder.
        summary: as in `summary.json`; `None` if no fold is finished.
        failures: the folds that did not finish.
    """

    place: str
    summary: dict[str, Any] | None
    failures: tuple[FoldFailure, ...]


@dataclass(frozen=True)
class _Plan:
    """What the data stages found out for one run."""

    settings: RunSettings
    folder: RunFolder
    tasks: list[FoldTask]
    warnings: list[Caution]
    description: dict[str, Any]
    features: dict[str, int]


def run_cross_validation(
    runs: Sequence[tuple[RunSettings, str | Path]],
    *,
    cache: str | Path,
    display: Display,
    resources: FoldResources,
    address: str | None = None,
    dashboard: bool = False,
    tensorboard: bool = False,
    mlflow: str | None = None,
    resume: bool = False,
) -> list[RunOutcome]:
    """Run every (settings, folder); all runs' folds share the cluster. What is finished in a folder is kept.

    Arguments:
        runs: on the same data; folders are local paths or URIs on a store.
        cache: folder or URI for rendered pictures, image shards and feature stores, shared by all runs.
        address: of a Ray cluster; `None`: a private one.
        dashboard: whether a private one has a dashboard, for this machine only.
        tensorboard: whether losses are also written as TensorBoard event files.
        mlflow: a store in which runs, folds and summaries are also recorded, see `mlflow_logging`.
        resume: go on in folders that hold a run with the same settings.

    Returns:
        How each run ended.

    Raises:
        UserError: see the message; nothing that was finished is lost.
    """
    folders = [RunFolder(place_of(folder)) for _, folder in runs]
    cache = place_of(cache)
    require_store(cache)
    resumed = [
        folder.begins_or_continues(settings, resume=resume) for (settings, _), folder in zip(runs, folders, strict=True)
    ]
    with ExitStack() as stack:
        stack.enter_context(digested_once())
        log = stack.enter_context(mlflow_logging(mlflow, display.warn)) if mlflow else None
        dataset = open_dataset(runs[0][0].data, cache, display)
        # What is muted in every run; a run's own summary says what it mutes.
        muted = set.intersection(*(set(settings.evaluation.get("mute", ())) for settings, _ in runs))
        for warning in split_muted(dataset.warnings, muted)[0]:
            display.warn(warning)
        identity = fingerprint(dataset.manifest)
        for folder in folders:
            folder.check_pictures(identity)
            stack.enter_context(folder.in_use())
            fetch(folder.place, alone=True)
        show = (lambda url: display.say(f"dashboard: {url}")) if dashboard else None
        with stage_runs("connect to Ray"):
            stack.enter_context(ray_session(address, dashboard=show))
        require_shared_folders({"--cache": cache, "--out": folders[0].place})
        stack.enter_context(slots_limited(*resources.most_slots))
        plans = [
            _prepare_run(settings, folder, dataset, identity, cache, display, resources)
            for (settings, _), folder in zip(runs, folders, strict=True)
        ]
        if log:
            for plan, goes_on in zip(plans, resumed, strict=True):
                log.begin(plan.folder.place, plan.settings, dataset.name, resumed=goes_on)
        metrics = Harmless("the metrics of Ray", display.warn)
        for plan in plans:
            metrics(record_features, plan.folder.name, plan.settings.detector, **plan.features)
        failures = _run_missing_folds(plans, resources, display, metrics, tensorboard, log)
        with stage_runs("summarise"):
            outcomes = [_summarise(plan, failures, display) for plan in plans]
        if log:
            for outcome in outcomes:
                log.finish(outcome.place, outcome.summary)
        return outcomes


def _prepare_run(
    settings: RunSettings,
    folder: RunFolder,
    dataset: Dataset,
    identity: str,
    cache: str,
    display: Display,
    resources: FoldResources,
) -> _Plan:
    """Shards, features and fold plans of one run, found or made."""
    settled = settled_merge(settings, dataset.manifest)
    # Mistakes in the plan are told before the pictures are prepared.
    copies = with_copies(dataset.manifest, settings.preparation.angles)
    assumed = settled is None or settled["merged"]
    splits = plan_splits(settings, dataset.manifest, copies, identity, merge=assumed)
    gpus_come = resources.grow and bool(resources.gpus)
    inputs = prepare_inputs(settings, dataset.manifest, identity, cache, display, gpus_come=gpus_come)
    muted = settings.evaluation.get("mute", ())
    for warning in split_muted(inputs.warnings, muted)[0]:
        display.warn(warning)
    if inputs.extracted == 0:
        display.say("features: found in the store, none extracted")

    merge_note = settled or _merge_decision(settings, dataset.manifest, inputs.stores[0])
    training = settled_training(settings, dataset.manifest, merge=merge_note["merged"])
    description = {
        "name": dataset.name,
        "fingerprint": identity,
        **_counts(dataset.manifest),
        "skipped": [list(item) for item in dataset.skipped],
        "split_by": settings.split_by,
        "scheme": settings.scheme,
        "train_fraction": settings.train_fraction,
        "merge_nominal_test": merge_note,
        "train_on": training.to_dict(),
        "preparation": {**settings.preparation.to_dict(), "canvas": inputs.preparation.to_dict()["canvas"]},
    }
    if merge_note["merged"] != assumed:
        splits = plan_splits(settings, dataset.manifest, inputs.pictures, identity, merge=merge_note["merged"])
    for fold, split in enumerate(splits):
        _check_split(folder.fold(fold) / "split.parquet", split)
    # First, for it says whose folder this is.
    folder.begin(settings, description, [plan_sizes(split, inputs.pictures) for split in splits])
    if not folder.manifest.exists():
        write_manifest(folder.manifest, dataset.manifest)
    if not folder.pictures.exists():
        write_parquet(folder.pictures, inputs.pictures)
    tasks = []
    for fold, split in enumerate(splits):
        path = folder.fold(fold) / "split.parquet"
        if not path.exists():
            write_parquet(path, split)
        tasks.append(
            FoldTask(
                folder=folder.fold_place(fold),
                fold=fold,
                manifest=absolute(join(folder.place, folder.pictures.name)),
                detector=settings.detector,
                config=settings.config,
                seed=settings.seed,
                dataset=dataset.name,
                pictures=inputs.pictures_place,
                stores=inputs.stores,
                epoch_scores=settings.epoch_scores,
            )
        )
    publish(folder.place, ["manifest.parquet", "pictures.parquet", "folds/*/split.parquet", "run.json"])
    of_plan = plan_cautions(settings, training)
    for warning in split_muted(of_plan, muted)[0]:
        display.warn(warning)
    warnings = [*dataset.warnings, *inputs.warnings, *of_plan]
    if dataset.skipped:
        sentence = f"{len(dataset.skipped)} files could not be used and were left out (--skip-unreadable)."
        warnings.append(Caution("RL206", sentence))
    found = len(inputs.shards.image_ids) - inputs.extracted
    return _Plan(settings, folder, tasks, warnings, description, {"stored": found, "computed": inputs.extracted})


def _merge_decision(settings: RunSettings, manifest: pa.Table, store: str) -> dict[str, Any]:
    """Whether the given test nominals join the nominal pool (step 0), and why, from the deepest stored features."""
    nominal = manifest.filter(pa.compute.equal(manifest["label"], 0)).sort_by("image_id")
    is_test = np.array([split == "test" for split in nominal["given_split"].to_pylist()], bool)
    features = FeatureStore.open(local(store))
    pooled = features.means(nominal["image_id"].to_pylist(), features.layers[-1])
    objects = np.array(nominal["object_id"].to_pylist())
    check = check_iid(pooled[~is_test], objects[~is_test], pooled[is_test], objects[is_test], seed=settings.seed)
    return {"merged": check.merge, "p_value": check.p_value, "reason": check.sentence}


def _check_split(path: Path, split: pa.Table) -> None:
    """Hold a fold's split against the one that is there, if any."""
    if path.exists() and not read_parquet(path).equals(split):
        raise UserError(f"{path} differs from the plan for this data and seed; choose another --out.")


def _run_missing_folds(
    plans: Sequence[_Plan],
    resources: FoldResources,
    display: Display,
    metrics: Harmless,
    tensorboard: bool,
    log: MlflowLog | None,
) -> list[FoldFailure]:
    """Train what is not finished yet, over all runs at once."""
    tasks = [task for plan in plans for task in plan.tasks]
    missing = [task for task in tasks if not fold_is_finished(local(task.folder))]
    if not missing:
        display.say("folds: all finished before, none trained")
        return []
    for task in missing:
        remove(task.folder, "error.json")
        if (local(task.folder) / "fold.json").exists():
            display.warn(f"{task.folder}: its files are not as they were written; the fold is run again.")
    titles = {task.folder: _title(task, several=len(plans) > 1) for task in missing}
    with ExitStack() as stack:
        listeners: list[Progress] = [
            stack.enter_context(display.folds(titles, len(tasks) - len(missing))),
            metrics.guard(metrics(FoldMonitor, tasks, titles)),
        ]
        if tensorboard:
            # Its import takes most of a second, which nobody else shall wait for.
            from raylab2f.workflows.tracking.tensorboard import tensorboard_logging

            listeners.append(stack.enter_context(tensorboard_logging(display.warn)))
        if log:
            listeners.append(log.progress)

        def progress(folder: str, numbers: dict[str, Any]) -> None:
            for listener in listeners:
                listener(folder, numbers)

        failures = run_folds(
            missing,
            resources,
            join(plans[0].folder.place, TUNE_FOLDER),
            progress,
            display.warn,
            max(map(fold_memory, missing)),
        )
    for failure in failures:
        display.warn(f"{titles[failure.folder]} failed: {failure.message}")
    return failures


def _title(task: FoldTask, *, several: bool) -> str:
    return f"{task.detector} seed {task.seed} fold {task.fold}" if several else f"fold {task.fold}"


def _summarise(plan: _Plan, failures: Sequence[FoldFailure], display: Display) -> RunOutcome:
    """Outcomes of the finished folds, on disk and for the caller."""
    finished = [task for task in plan.tasks if fold_is_finished(local(task.folder))]
    failed = [failure for failure in failures if failure.folder in {task.folder for task in plan.tasks}]
    if not finished:
        return RunOutcome(plan.folder.place, None, tuple(failed))
    scores = pa.concat_tables(read_parquet(local(task.folder) / "scores.parquet") for task in finished)
    pixels = [
        table.append_column("fold", pa.array([task.fold] * table.num_rows, pa.int32()))
        for task, table in _tables(finished, "pixels.parquet")
    ]
    epoch_scores = [table for _, table in _tables(finished, "epoch_scores.parquet")]
    sibling = find_picture_split(plan.folder, plan.settings, plan.description["fingerprint"])
    if sibling is not None:
        display.say(f"{sibling[0]} is the same run split by picture; its optimism is in the summary")
    warnings = plan.warnings + [
        Caution("RL301", f"Fold {failure.fold} failed and does not count: {failure.message}") for failure in failed
    ]
    for task in finished:
        restarted = json.loads((local(task.folder) / "fold.json").read_text(encoding="utf-8"))["decisions"].get(
            "restarted"
        )
        if restarted:
            warnings.append(Caution("RL313", f"Fold {task.fold} was trained from its start again: {restarted}"))
    summary = evaluate(
        scores,
        seed=plan.settings.seed,
        dataset=plan.description,
        detector=plan.settings.detector,
        preset=plan.settings.preset,
        planned_folds=len(plan.tasks),
        warnings=warnings,
        pixels=pa.concat_tables(pixels) if pixels else None,
        picture_split=sibling[1] if sibling is not None else None,
        epoch_scores=pa.concat_tables(epoch_scores) if epoch_scores else None,
        replicator=spread_replicates,
        **plan.settings.evaluation,
    )
    write_parquet(plan.folder.metrics, summary.metrics)
    values = summary.to_dict()
    write_json(plan.folder.summary, values)
    publish(plan.folder.place, ["metrics.parquet", "tensorboard/*", "summary.json"])
    return RunOutcome(plan.folder.place, json.loads(json.dumps(values)), tuple(failed))


def _tables(tasks: Sequence[FoldTask], name: str) -> Iterator[tuple[FoldTask, pa.Table]]:
    """The file of this name of every fold that has one."""
    for task in tasks:
        path = local(task.folder) / name
        if path.exists():
            yield task, read_parquet(path)


def _counts(manifest: pa.Table) -> dict[str, int]:
    labels = np.asarray(manifest["label"])
    objects = np.array(manifest["object_id"].to_pylist())
    anomalous = set(objects[labels == 1])
    return {
        "pictures": manifest.num_rows,
        "anomalous_pictures": int((labels == 1).sum()),
        "objects": len(set(objects)),
        "anomalous_objects": len(anomalous),
    }
