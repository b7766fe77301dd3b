"""What a trial of Ray Tune does: train one fold.

A fold that one worker trains runs inside its trial's process, which the next fold then takes over. A fold of several
workers is a TorchTrainer that the trial launches. Both call `run_fold`.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import ray.tune
from ray.tune import PlacementGroupFactory
from ray.tune.trainable.function_trainable import wrap_function

from raylab2f.cluster.devices import device_for
from raylab2f.cluster.names import as_folder, as_tag
from raylab2f.cluster.training.memory_kills import MemoryRanOutError, memory_kills_named
from raylab2f.files.atomic import write_json
from raylab2f.files.mirror import local, publish
from raylab2f.files.places import name_of, parent_of
from raylab2f.reporting.watchdog import stacks_on_signal
from raylab2f.runs.fold import FoldTask, run_fold

__all__ = ["RESTARTS", "Fold", "train_distributed"]

#: A process that dies (memory, a lost node) is started again so often; an exception in the fold's own code is final.
RESTARTS = 2
_REPORT_SECONDS = 1.0
_DISTRIBUTED_REPORTS = 40


def train_in_trial(config: dict[str, Any]) -> None:
    """A trial whose own process trains the fold."""
    stacks_on_signal()
    task = FoldTask.from_dict(config["task"])
    last = 0.0

    def report(metrics: dict[str, Any]) -> None:
        nonlocal last
        if time.monotonic() - last > _REPORT_SECONDS or metrics["epoch"] == metrics["epochs"]:
            last = time.monotonic()
            ray.tune.report(metrics | _gpu_memory())

    with _errors_recorded(task):
        run_fold(task, report, device=device_for(config["scaling"]["gpus"]))


class Fold(wrap_function(train_in_trial)):  # type: ignore[misc]  # a class that Tune makes
    """A trial whose own process trains the fold, as the dashboard shows it: by class, and by what its process does.

    Ray asks for the name once; the process then goes from fold to fold of the command, and is not asked again.
    """

    @classmethod
    def default_resource_request(cls, config: dict[str, Any]) -> PlacementGroupFactory:
        """What Ray sets aside for it; given by `tune.with_resources`, the class would be called after that."""
        scaling = config["scaling"]
        slots = {"CPU": scaling["cpus"], "GPU": scaling["gpus"], "memory": scaling["memory"]}
        return PlacementGroupFactory([{kind: amount for kind, amount in slots.items() if amount}])

    def __repr__(self) -> str:
        task = FoldTask.from_dict(self.config["task"])
        run = as_tag(name_of(parent_of(parent_of(task.folder))))
        return f"{run}: {as_tag(task.dataset)} {as_tag(task.detector)} seed {task.seed}, fold {task.fold} first"


def train_distributed(config: dict[str, Any]) -> None:
    """A trial that launches the workers which train the fold together."""
    import ray.train
    from ray.train.torch import TorchTrainer
    from ray.tune.integration.ray_train import TuneReportCallback

    from raylab2f.cluster.training.rendezvous import torch_config

    task, scaling = FoldTask.from_dict(config["task"]), config["scaling"]
    trainer = TorchTrainer(
        _train_worker,
        train_loop_config=config["task"],
        torch_config=torch_config(),
        scaling_config=ray.train.ScalingConfig(
            num_workers=scaling["workers"],
            use_gpu=scaling["gpus"] > 0,
            # A little less than whole slots, for the trial that drives the workers takes a thousandth of one.
            resources_per_worker={"CPU": scaling["cpus"] - 0.01}
            | ({"GPU": scaling["gpus"]} if scaling["gpus"] else {})
            | ({"memory": scaling["memory"]} if scaling["memory"] else {}),
        ),
        run_config=ray.train.RunConfig(
            name=f"fold-{task.fold}-{as_folder(name_of(parent_of(parent_of(task.folder))))}",
            storage_path=config["storage"],
            failure_config=ray.train.FailureConfig(max_failures=RESTARTS),
            callbacks=[TuneReportCallback()],  # type: ignore[list-item]  # missing in Ray's annotation
        ),
    )
    with _errors_recorded(task), memory_kills_named():
        trainer.fit()


def _train_worker(values: dict[str, Any]) -> None:
    """One of the workers that train a fold together."""
    import ray.train
    import ray.train.torch
    from torch.nn import SyncBatchNorm
    from torch.nn.parallel import DistributedDataParallel

    from raylab2f.detectors.base import Detector
    from raylab2f.detectors.training import Worker

    context = ray.train.get_context()
    device = ray.train.torch.get_device()

    def wrap(detector: Detector) -> DistributedDataParallel:
        if device.type == "cuda":
            SyncBatchNorm.convert_sync_batchnorm(detector)
        return DistributedDataParallel(detector, device_ids=[device] if device.type == "cuda" else None)

    def report(metrics: dict[str, Any]) -> None:
        # Every worker must report equally often: by epochs, not by its own clock.
        every = max(1, metrics["epochs"] // _DISTRIBUTED_REPORTS)
        if metrics["epoch"] % every == 0 or metrics["epoch"] == metrics["epochs"]:
            ray.train.report(metrics | _gpu_memory())

    stacks_on_signal()
    worker = Worker(context.get_world_rank(), context.get_world_size())
    run_fold(FoldTask.from_dict(values), report, worker=worker, device=device, wrap=wrap)


def _gpu_memory() -> dict[str, int]:
    import torch

    return {"gpu_memory": torch.cuda.max_memory_allocated()} if torch.cuda.is_available() else {}


@contextmanager
def _errors_recorded(task: FoldTask) -> Iterator[None]:
    """Write an exception into the fold's folder and end the trial without it: a repetition would fail alike.

    Where memory ran out, it may not.
    """
    try:
        yield
    except MemoryRanOutError:
        raise
    except Exception as error:
        cause = getattr(error, "cause", None) or error
        record = {"error": f"{type(cause).__name__}: {cause}".strip(), "traceback": traceback.format_exc()}
        write_json(local(task.folder) / "error.json", record)
        publish(task.folder, ["error.json"])
