"""Where things lie and where they are computed."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from raylab2f.files.home import user_cache
from raylab2f.files.places import place_of
from raylab2f.options.declaration import Option
from raylab2f.options.quantities import bytes_of

if TYPE_CHECKING:
    from raylab2f.cluster.training.placement import FoldResources

__all__ = ["AddressOption", "CacheOption", "Cluster", "RunPlaces", "Workplace", "default_cache"]

_PANEL = "Cluster"

CacheOption = Annotated[
    str | None,
    Option(
        "Folder or URI for rendered pictures, image shards and features.",
        kind="place",
        usual="RAYLAB2F_CACHE, else the run's, else the user's cache folder",
    ),
]
AddressOption = Annotated[
    str | None,
    Option(
        "Of a Ray cluster, HEAD:6379.",
        usual="RAY_ADDRESS, else one on this machine, for this command only",
        panel=_PANEL,
    ),
]


@dataclass(frozen=True)
class Workplace:
    """Where what is needed again is kept, and where it is computed."""

    cache: CacheOption = None
    address: AddressOption = None


@dataclass(frozen=True)
class RunPlaces:
    """Where a run lies."""

    out: Annotated[
        str | None, Option("Run folder, or its URI on a store.", kind="place", usual="runs/DATA-DETECTOR-TIME")
    ] = None
    resume: Annotated[bool, Option("Go on with the run in --out.", passing=True)] = False
    cache: CacheOption = None


@dataclass(frozen=True)
class Cluster:
    """What a run may use of a cluster, and who is told about it."""

    max_parallel_folds: Annotated[
        int | None, Option("Leaves the rest of the cluster to others.", minimum=1, usual="as many as fit", panel=_PANEL)
    ] = None
    cpus_per_fold: Annotated[
        int | None, Option("CPUs of one fold.", minimum=1, usual="as many as it can use, at most 4", panel=_PANEL)
    ] = None
    workers_per_fold: Annotated[
        int | None,
        Option("Processes that train one fold together (default: one per GPU).", minimum=1, panel=_PANEL),
    ] = None
    gpus_per_fold: Annotated[
        float | None, Option("Several, or a part of one (default: one, if there is any).", minimum=0, panel=_PANEL)
    ] = None
    memory_budget: Annotated[
        str | None,
        Option(
            "Of a fold's process, such as 8GiB: features beyond it are read from the store as they are needed.",
            usual="all are held",
            panel=_PANEL,
        ),
    ] = None
    grow: Annotated[
        bool,
        Option(
            "The cluster adds nodes for folds that wait: begin more than fit now. Needs --gpus-per-fold for GPUs.",
            panel=_PANEL,
        ),
    ] = False
    dry_run: Annotated[
        bool, Option("Only say what the run would take, from a short probe.", passing=True, panel=_PANEL)
    ] = False
    address: AddressOption = None
    dashboard: Annotated[bool, Option("Ray's dashboard for a cluster on this machine.", panel=_PANEL)] = False
    tensorboard: Annotated[bool, Option("Losses as TensorBoard files, in the run folder.", panel=_PANEL)] = False
    mlflow: Annotated[
        str | None,
        Option("Record runs and folds in an MLflow database file or on a tracking server.", kind="store", panel=_PANEL),
    ] = None

    def budget(self) -> int | None:
        """Bytes for a fold's process; `UserError` where that is no amount, or too little."""
        if self.memory_budget is None:
            return None
        from raylab2f.runs.memory_budget import require_budget

        return require_budget(bytes_of(self.memory_budget, "--memory-budget"))

    def resources(self) -> FoldResources:
        """What one fold may use."""
        from raylab2f.cluster.training.placement import FoldResources

        workers = self.workers_per_fold or max(1, int(self.gpus_per_fold or 1))
        return FoldResources(workers, self.gpus_per_fold, self.max_parallel_folds, self.grow, self.cpus_per_fold)


def default_cache(given: str | None, run: str | None = None) -> str:
    """The place of the cache: the option, else the environment variable, else the one that a run was made with, else
    the user's cache folder.
    """
    if said := given or os.environ.get("RAYLAB2F_CACHE"):
        return place_of(said)
    if run is not None:
        from raylab2f.runs.recorded_cache import recorded_cache

        if recorded := recorded_cache(run):
            return recorded
    return place_of(user_cache("--cache or RAYLAB2F_CACHE"))
