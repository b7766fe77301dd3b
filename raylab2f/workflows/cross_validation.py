"""A whole run: pictures in, one model per fold, thresholds, metrics with intervals out."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from raylab2f.cluster.operations.monitoring import FoldMonitor, record_features
from raylab2f.cluster.operations.shared_storage import require_shared_folders
from raylab2f.cluster.replicates import spread_replicates
from raylab2f.cluster.session import ray_session, slots_limited
from raylab2f.cluster.slots import slots_awaited
from raylab2f.cluster.training.folds import FoldFailure, Progress, run_folds
from raylab2f.cluster.training.placement import FoldResources, cluster_nodes, place_folds
from raylab2f.datasets.manifest import fingerprint
from raylab2f.errors import UserError
from raylab2f.evaluation import evaluate, with_baseline
from raylab2f.files.atomic import write_json, write_parquet
from raylab2f.files.digests import digested_once
from raylab2f.files.mirror import fetch, local, publish, remove
from raylab2f.files.parquet import read_parquet
from raylab2f.files.places import join, place_of, require_store
from raylab2f.files.strangers import read_json
from raylab2f.pitfalls import Caution, split_muted
from raylab2f.reporting import Display
from raylab2f.reporting.watchdog import stage_runs
from raylab2f.runs.data import open_dataset
from raylab2f.runs.fold import FoldTask, fold_is_finished
from raylab2f.runs.fold_memory import fold_memory
from raylab2f.runs.folder import TUNE_FOLDER, RunFolder, RunSettings
from raylab2f.runs.learning import learning_cautions
from raylab2f.runs.measured import batch_cautions
from raylab2f.runs.progress_record import LOG, ProgressRecord
from raylab2f.runs.siblings import find_picture_split
from raylab2f.workflows.plans import RunPlan, plan_run
from raylab2f.workflows.tracking.harmless import Harmless
from raylab2f.workflows.tracking.mlflow import MlflowLog, mlflow_logging

__all__ = ["RunOutcome", "run_cross_validation", "unfinished_sentence"]


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
        # What no fold would ever find room for is told before pictures are prepared.
        place_folds(1, resources, cluster_nodes())
        require_shared_folders({"--cache": cache, "--out": folders[0].place})
        stack.enter_context(slots_limited(*resources.most_slots))
        plans = [
            plan_run(settings, folder, dataset, identity, cache, display, resources)
            for (settings, _), folder in zip(runs, folders, strict=True)
        ]
        if log:
            for plan, goes_on in zip(plans, resumed, strict=True):
                log.begin(plan.folder.place, plan.settings, dataset.name, resumed=goes_on)
        stack.enter_context(display.kept_in([local(plan.folder.place) / LOG for plan in plans]))
        metrics = Harmless("the metrics of Ray", display.warn)
        for plan in plans:
            metrics(record_features, plan.folder.name, plan.settings.detector, **plan.features)
        failures = _run_missing_folds(plans, resources, display, metrics, tensorboard, log)
        with stage_runs("summarise"):
            outcomes = _summarise_all(plans, failures, display)
        if log:
            for outcome in outcomes:
                done = outcome.summary is not None
                log.finish(
                    outcome.place, outcome.summary, read_parquet(RunFolder(outcome.place).metrics) if done else None
                )
        return outcomes


def _run_missing_folds(
    plans: Sequence[RunPlan],
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
    placement = place_folds(len(missing), resources, cluster_nodes())
    workers = resources.workers

    def waiting() -> str | None:
        return slots_awaited(placement.cpus_per_worker * workers, placement.gpus_per_worker * workers)

    records = [_record(plan, titles) for plan in plans]
    with ExitStack() as stack:
        for record in records:
            stack.callback(record.stop)
        listeners: list[Progress] = [
            stack.enter_context(display.folds(titles, len(tasks) - len(missing), waiting)),
            metrics.guard(metrics(FoldMonitor, tasks, titles)),
            *records,
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


def _record(plan: RunPlan, missing: Mapping[str, str]) -> ProgressRecord:
    folders = [task.folder for task in plan.tasks if task.folder in missing]
    return ProgressRecord(plan.folder.place, folders, len(plan.tasks) - len(folders))


def _title(task: FoldTask, *, several: bool) -> str:
    return f"{task.detector} seed {task.seed} fold {task.fold}" if several else f"fold {task.fold}"


def _summarise_all(plans: Sequence[RunPlan], failures: Sequence[FoldFailure], display: Display) -> list[RunOutcome]:
    """Outcomes of all runs. One that cannot be judged is told when the summaries of the others are on disk.

    Raises:
        UserError: of the first that cannot, with its folder.
    """

    def outcome_of(plan: RunPlan) -> RunOutcome | UserError:
        try:
            return _summarise(plan, failures, display)
        except UserError as error:
            return UserError(f"{plan.folder.place} cannot be judged: {error}")

    found = [outcome_of(plan) for plan in plans]
    for refused in (outcome for outcome in found if isinstance(outcome, UserError)):
        raise refused
    return [outcome for outcome in found if isinstance(outcome, RunOutcome)]


def _summarise(plan: RunPlan, failures: Sequence[FoldFailure], display: Display) -> RunOutcome:
    """Outcomes of the finished folds, on disk and for the caller."""
    finished = [task for task in plan.tasks if fold_is_finished(local(task.folder))]
    failed = [failure for failure in failures if failure.folder in {task.folder for task in plan.tasks}]
    if not finished:
        return RunOutcome(plan.folder.place, None, tuple(failed))
    scores = pa.concat_tables(read_parquet(local(task.folder) / "scores.parquet") for task in finished)
    pixels = [_with_fold(task, table) for task, table in _tables(finished, "pixels.parquet")]
    segmentation = [_with_fold(task, table) for task, table in _tables(finished, "segmentation.parquet")]
    epoch_scores = [table for _, table in _tables(finished, "epoch_scores.parquet")]
    sibling = find_picture_split(plan.folder, plan.settings, plan.description["fingerprint"])
    if sibling is not None:
        display.say(f"{sibling[0]} is the same run split by picture; its optimism is in the summary")
    warnings = plan.warnings + [
        Caution("RL301", f"Fold {failure.fold} failed and does not count: {failure.message}") for failure in failed
    ]
    records = [read_json(local(task.folder) / "fold.json") for task in finished]
    for record in records:
        if restarted := record["decisions"].get("restarted"):
            warnings.append(Caution("RL313", f"Fold {record['fold']} was trained from its start again: {restarted}"))
    warnings += learning_cautions(records) + batch_cautions(records)
    judge = partial(
        evaluate,
        scores,
        seed=plan.settings.seed,
        dataset=plan.description,
        detector=plan.settings.detector,
        preset=plan.settings.preset,
        planned_folds=len(plan.tasks),
        warnings=warnings,
        pixels=pa.concat_tables(pixels) if pixels else None,
        segmentation=pa.concat_tables(segmentation) if segmentation else None,
        epoch_scores=pa.concat_tables(epoch_scores) if epoch_scores else None,
        replicator=spread_replicates,
        **plan.settings.evaluation,
    )
    try:
        summary = judge(picture_split=None if sibling is None else sibling[1])
    except Exception:
        if sibling is None:
            raise
        display.warn(f"{sibling[0]} cannot be judged, and nothing is said of what a split by picture would claim")
        summary = judge()
    baseline = [_with_fold(task, table) for task, table in _tables(finished, "baseline.parquet")]
    # Folds of PatchCore, and those that an older version finished, have none.
    if len(baseline) == len(finished):
        mute = plan.settings.evaluation.get("mute", ())
        try:
            summary = with_baseline(summary, scores, pa.concat_tables(baseline), mute)
        except UserError as error:
            display.warn(f"nothing is said of the nearest neighbour on the same features: {error}")
    write_parquet(plan.folder.metrics, summary.metrics)
    if summary.probabilities is not None:
        write_parquet(plan.folder.path / "probabilities.parquet", summary.probabilities)
    values = summary.to_dict()
    write_json(plan.folder.summary, values)
    publish(plan.folder.place, ["metrics.parquet", "probabilities.parquet", "tensorboard/*", LOG, "summary.json"])
    return RunOutcome(plan.folder.place, json.loads(json.dumps(values)), tuple(failed))


def _with_fold(task: FoldTask, table: pa.Table) -> pa.Table:
    return table.append_column("fold", pa.array([task.fold] * table.num_rows, pa.int32()))


def _tables(tasks: Sequence[FoldTask], name: str) -> Iterator[tuple[FoldTask, pa.Table]]:
    """The file of this name of every fold that has one."""
    for task in tasks:
        path = local(task.folder) / name
        if path.exists():
            yield task, read_parquet(path)


def unfinished_sentence(outcomes: Sequence[RunOutcome], way_on: str, refused: Sequence[str] = ()) -> str | None:
    """Which runs have no finished fold, and why; `None`: every run has one.

    Arguments:
        way_on: how folds that failed are run again.
        refused: why there are no runs of other detectors that were asked for.
    """
    sentences = list(refused)
    failed = [(outcome.place, failure) for outcome in outcomes for failure in outcome.failures]
    if lost := [outcome for outcome in outcomes if outcome.summary is None]:
        reasons = f" ({lost[0].failures[0].message})" if lost[0].failures else ""
        others = f", nor of {', '.join(outcome.place for outcome in lost[1:])}" if lost[1:] else ""
        told = f"{lost[0].place}: no fold finished{reasons}{others}; see error.json in the folds, then {way_on}."
        sentences.append(told)
    elif refused and failed:
        place, failure = failed[0]
        others = f", and {len(failed) - 1} more" if len(failed) > 1 else ""
        told = f"{place}: fold {failure.fold} failed ({failure.message}){others}; see error.json in it, then {way_on}."
        sentences.append(told)
    elif refused:
        sentences.append("What else was asked for is done.")
    return " ".join(sentences) or None
