"""Ray Tune drives the folds: every fold is a trial, every trial a fold.

What a fold achieved is in its folder, not in Tune's state: Tune places, watches and restarts, and its own files are
deleted at the end.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import ray.tune
from ray.exceptions import OutOfMemoryError
from ray.tune.experiment import Trial
from ray.tune.progress_reporter import TrialProgressCallback

from raylab2f.cluster.names import as_folder
from raylab2f.cluster.training.memory_kills import MEMORY_RAN_OUT, memory_kill, memory_kills_are_deaths, release_slots
from raylab2f.cluster.training.placement import FoldResources, Placement, cluster_nodes, place_folds
from raylab2f.cluster.training.staging import staged_for_the_heads_account
from raylab2f.cluster.training.trials import RESTARTS, Fold, train_distributed
from raylab2f.errors import UserError, first_line
from raylab2f.files.mirror import erase, fetch, fetch_file
from raylab2f.files.permissions import make_folders
from raylab2f.files.places import absolute, file_exists, is_uri, join
from raylab2f.files.strangers import read_json
from raylab2f.runs.fold import FoldTask, fold_is_finished

__all__ = ["FoldFailure", "Progress", "run_folds"]

#: Called with a fold's folder and its newest numbers (`epoch`, `epochs`, `loss`, `pictures_per_second`, on a GPU
#: `gpu_memory` in bytes), and with `done` set when it ended.
Progress = Callable[[str, dict[str, Any]], None]

# Who else took the memory may need a moment to give it back.
_MEMORY_PAUSE_SECONDS = 30.0


@dataclass(frozen=True)
class FoldFailure:
    """A fold that did not finish, and why."""

    folder: str
    fold: int
    message: str


def run_folds(
    tasks: Sequence[FoldTask],
    resources: FoldResources,
    storage: str | Path,
    progress: Progress | None = None,
    warn: Callable[[str], None] | None = None,
    memory: int = 0,
) -> list[FoldFailure]:
    """Run all folds and wait for them; a failing fold does not stop the others.

    A fold whose process dies is started again, twice at most; one that Ray's memory monitor ended after a pause, and
    with fewer others beside it.

    Arguments:
        tasks: of one run or of several.
        storage: a place that all nodes reach, for Ray's own files while it works; deleted afterwards.
        warn: called with a sentence when memory ran out, or will hardly suffice.
        memory: bytes that a process of a fold holds; 0: not known.

    Returns:
        The folds that did not finish, in the order of `tasks`.

    Raises:
        UserError: the cluster can never place a fold with these resources.
    """
    progress = progress or (lambda folder, numbers: None)
    storage = absolute(storage)
    errors: dict[str, str] = {}
    waiting = list(tasks)
    for attempt in range(RESTARTS + 1):
        placement = place_folds(len(waiting), resources, cluster_nodes(), memory)
        if warn and attempt == 0 and (note := _memory_note(memory, placement)):
            warn(note)
        errors |= _run_trials(waiting, resources.workers, placement, storage, progress)
        waiting = [
            task
            for task in waiting
            if _may_go_on(errors.get(task.folder), resources.workers)
            and not fold_is_finished(fetch(task.folder, alone=True))
        ]
        if not waiting or attempt == RESTARTS:
            break
        release_slots()
        if any(MEMORY_RAN_OUT in errors[task.folder] for task in waiting):
            resources = replace(resources, max_parallel=max(1, placement.parallel // 4))
            if warn:
                warn(
                    f"memory ran out, and Ray ended the processes of {len(waiting)} fold(s); they go on in "
                    f"{_MEMORY_PAUSE_SECONDS:.0f} s, at most {resources.max_parallel} at a time."
                )
            time.sleep(_MEMORY_PAUSE_SECONDS)
    for task in waiting:
        progress(task.folder, {"done": True, "failed": True})
    return [
        FoldFailure(task.folder, task.fold, _why(task.folder, errors.get(task.folder)))
        for task in tasks
        if not fold_is_finished(fetch(task.folder, alone=True))
    ]


def _memory_note(memory: int, placement: Placement) -> str | None:
    """A sentence on a fold that seems to need more memory than it can be promised."""
    if not 0 < placement.memory_per_worker < memory:
        return None
    return (
        f"a process of a fold needs about {memory / 1e9:.1f} GB of memory, and the largest node lends "
        f"{placement.memory_per_worker / 1e9:.1f} GB; it is tried all the same (--memory-budget "
        f"{placement.memory_per_worker >> 20}MiB reads features from the store as they are needed)."
    )


def _may_go_on(error: str | None, workers: int) -> bool:
    """Whether what ended a fold's trial is worth another try.

    Tune starts the trial again by itself where it is the process that trains. Where it launches others, a new one might
    wait for slots that those of the old one still hold.
    """
    return error is not None and (workers > 1 or MEMORY_RAN_OUT in error)


def _run_trials(
    tasks: Sequence[FoldTask], workers: int, placement: Placement, storage: str, progress: Progress
) -> dict[str, str]:
    """Let Tune run every fold; returns, by folder, what ended the trials that did not end by themselves."""
    # A trial that launches workers takes next to nothing itself.
    trainable: Any = Fold if workers == 1 else ray.tune.with_resources(train_distributed, {"CPU": 0.001})
    # What a killed driver left there, or what came with somebody else's run, is of no use and may be pickled.
    erase(storage)
    if not is_uri(storage):
        if Path(storage).exists() and not os.access(storage, os.W_OK):
            raise UserError(f"{storage} was left by another user's command; ask them to delete it.")
        make_folders(Path(storage))
    space = {
        "task": ray.tune.grid_search([task.to_dict() for task in tasks]),
        "scaling": {
            "workers": workers,
            "cpus": placement.cpus_per_worker,
            "gpus": placement.gpus_per_worker,
            "memory": placement.memory_per_worker,
        },
        "storage": storage,
    }
    watcher = _ProgressCallback(progress, lambda error: not _may_go_on(error, workers))
    try:
        with memory_kills_are_deaths(), staged_for_the_heads_account():
            tuner = ray.tune.Tuner(
                trainable,
                param_space=space,
                tune_config=ray.tune.TuneConfig(
                    max_concurrent_trials=placement.parallel,
                    reuse_actors=True,
                    trial_name_creator=_trial_name,
                    trial_dirname_creator=_trial_name,
                ),
                run_config=ray.tune.RunConfig(
                    name="folds",
                    storage_path=storage,
                    verbose=0,
                    failure_config=ray.tune.FailureConfig(max_failures=RESTARTS if workers == 1 else 0),
                    callbacks=[watcher],
                ),
            )
            tuner.fit()
    except OutOfMemoryError as error:
        # Tune asks dead trials for their last result; ours is in the folds' folders.
        ended = [task.folder for task in tasks if not file_exists(join(task.folder, "error.json"))]
        watcher.errors = dict.fromkeys(ended, memory_kill(error)) | watcher.errors
    finally:
        erase(storage)
    return watcher.errors


class _ProgressCallback(TrialProgressCallback):
    """Hands Tune's events to the display; in place of Tune's own callback of this class, which prints."""

    def __init__(self, progress: Progress, is_final: Callable[[str], bool]) -> None:
        super().__init__()
        self.progress = progress
        self.is_final = is_final
        self.errors: dict[str, str] = {}

    def __getstate__(self) -> dict[str, Any]:
        # Tune writes its callbacks to disk; a display is of no use there and cannot be written.
        return {}

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        self.progress(trial.config["task"]["folder"], {"started": True})

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        if "epoch" in result:
            self.progress(trial.config["task"]["folder"], result)

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        folder = trial.config["task"]["folder"]
        self.progress(folder, {"done": True, "failed": not file_exists(join(folder, "fold.json"))})

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        folder = trial.config["task"]["folder"]
        self.errors[folder] = Path(trial.error_file).read_text(encoding="utf-8").strip().splitlines()[-1]
        if self.is_final(self.errors[folder]):
            self.progress(folder, {"done": True, "failed": True})


def _trial_name(trial: Trial) -> str:
    task = trial.config["task"]
    # No two folds of one command agree in all of these.
    return f"{as_folder(task['dataset'])}-{as_folder(task['detector'])}-seed{task['seed']}-fold{task['fold']}"


def _why(folder: str, error: str | None) -> str:
    try:
        return first_line(read_json(fetch_file(join(folder, "error.json")))["error"])
    except (OSError, KeyError, TypeError, UserError):
        return error or "it ended without a result"
