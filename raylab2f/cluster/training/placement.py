"""How many folds fit on a cluster at a time, and what each process gets; nodes may differ, and some may yet come."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import ray

from raylab2f.errors import UserError

__all__ = ["FoldResources", "Node", "Placement", "cluster_nodes", "place_folds"]


@dataclass(frozen=True)
class FoldResources:
    """What a fold may use.

    Arguments:
        workers: processes that train one fold together.
        gpus: GPUs per fold: as many as workers, none, or for one worker a part of one; `None`: one per worker where
            the cluster has any.
        max_parallel: folds at the same time; `None`: as many as fit, on a cluster that grows all.
        grow: the cluster has an autoscaler, which adds nodes for folds that wait; how far is not known here.
    """

    workers: int = 1
    gpus: float | None = None
    max_parallel: int | None = None
    grow: bool = False


@dataclass(frozen=True)
class Node:
    """What a machine offers.

    Arguments:
        cpus: processor slots.
        gpus: whole GPUs.
    """

    cpus: int
    gpus: int = 0


@dataclass(frozen=True)
class Placement:
    """How folds are laid over a cluster.

    Arguments:
        cpus_per_worker, gpus_per_worker: what each process that trains a fold gets.
        parallel: folds at the same time.
    """

    cpus_per_worker: int
    gpus_per_worker: float
    parallel: int


def cluster_nodes() -> list[Node]:
    """The living nodes of the cluster that this process is connected to."""
    return [
        Node(int(node["Resources"].get("CPU", 0)), int(node["Resources"].get("GPU", 0)))
        for node in ray.nodes()
        if node["Alive"]
    ]


def place_folds(folds: int, resources: FoldResources, nodes: Sequence[Node]) -> Placement:
    """Lay so many folds over the nodes: as many at a time as fit, then as many processor slots for each as there are.

    On a cluster that grows, all folds are begun and each process takes one slot: nodes are added only for what waits.

    Raises:
        UserError: no fold with these resources would ever find room.
    """
    workers = resources.workers
    cpus, gpus = (sum(getattr(node, kind) for node in nodes) for kind in ("cpus", "gpus"))
    wanted = resources.gpus if resources.gpus is not None else float(min(gpus, 1) * workers)
    share = wanted / workers
    if share not in (0.0, 1.0) and not (workers == 1 and share < 1):
        raise UserError(
            f"--gpus-per-fold {wanted:g} --workers-per-fold {workers}: a process trains on one GPU; ask for as many "
            "workers as GPUs, or for one worker with a part of one."
        )
    if resources.grow:
        return Placement(1, share, min(folds, resources.max_parallel or folds))
    if cpus == 0:
        raise UserError("no node of the cluster offers a processor slot; start one with `ray start --num-cpus`.")
    if wanted > gpus and resources.gpus is None:
        raise UserError(
            f"--workers-per-fold {workers}: the cluster has {gpus} GPUs; ask for fewer, or for --gpus-per-fold 0 to "
            "train on processors."
        )
    if wanted > gpus:
        raise UserError(f"--gpus-per-fold {wanted:g}: the cluster has {gpus} GPUs; ask for at most that many.")
    if workers > cpus:
        raise UserError(f"--workers-per-fold {workers}: the cluster has {cpus} processor slots; ask for fewer.")
    room = _workers_that_fit(nodes, 1, share)
    if room < workers:
        raise UserError(
            f"--workers-per-fold {workers}: the nodes have room for {room} workers with a processor slot and "
            f"{share:g} GPUs each; ask for fewer."
        )
    parallel = min(folds, room // workers, resources.max_parallel or folds)
    slots = max(node.cpus for node in nodes)
    while _workers_that_fit(nodes, slots, share) < parallel * workers:
        slots -= 1
    return Placement(slots, share, parallel)


def _workers_that_fit(nodes: Sequence[Node], cpus: int, gpus: float) -> int:
    return sum(_on_node(node, cpus, gpus) for node in nodes)


def _on_node(node: Node, cpus: int, gpus: float) -> int:
    by_cpu = node.cpus // cpus
    if gpus == 0:
        return by_cpu
    # A share of one GPU, never of two.
    on_gpus = node.gpus * math.floor(1 / gpus + 1e-9)
    return min(by_cpu, on_gpus)
