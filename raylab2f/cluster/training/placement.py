"""How many folds run on a cluster at a time, and what each process gets; nodes may differ, and some may yet come.

The rule. A process that trains asks for what it can use, not for what there is:

- **CPUs**: `--cpus-per-fold` shared among its workers; else as many as there are for each where all that run at a time
  are served alike, and at most 4. A detector's steps are small, and what lies between their matrix products has one
  thread: on a machine of two busy cores a second thread saved nothing (best epoch of CS-Flow `fast` 0.54 s with one,
  0.58 s with two; of GLASS 1.0 s and 1.1 s), so four are what a quiet machine may still reward. On a GPU a process
  needs CPUs to load pictures and to judge maps at the end, and no more than that.
- **GPUs**: one, or what `--gpus-per-fold` says; none where the cluster has none.
- **memory**: on CPUs what a fold holds, pictures and features above all, where that is known. Folds that do not fit
  beside each other are not begun together. A fold that seems to need more than any node has asks for what one has.

So `--max-parallel-folds 2` takes 8 CPUs and no more, however many there are, and the rest is free for others; ten folds
without a limit take 16 of 16.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import ray

from raylab2f.errors import UserError

__all__ = ["MOST_CPUS", "FoldResources", "Node", "Placement", "cluster_nodes", "place_folds"]

#: Processor slots that a process which trains can use.
MOST_CPUS = 4


@dataclass(frozen=True)
class FoldResources:
    """What a fold may use.

    Arguments:
        workers: processes that train one fold together.
        gpus: GPUs per fold: as many as workers, none, or for one worker a part of one; `None`: one per worker where
            the cluster has any.
        max_parallel: folds at the same time; `None`: as many as fit, on a cluster that grows all.
        grow: the cluster has an autoscaler, which adds nodes for folds that wait; how far is not known here.
        cpus: processor slots per fold, divided among its workers; `None`: see the rule.
    """

    workers: int = 1
    gpus: float | None = None
    max_parallel: int | None = None
    grow: bool = False
    cpus: int | None = None

    @property
    def most_slots(self) -> tuple[int | None, int | None]:
        """CPUs and GPUs beyond which the run must not go at any time, if it has a limit of folds.

        One of each at least: where folds share a GPU or need none, the extraction of features still takes one.
        """
        if self.max_parallel is None:
            return None, None
        gpus = self.workers if self.gpus is None else self.gpus
        return (
            self.max_parallel * (self.cpus or MOST_CPUS * self.workers),
            max(1, math.ceil(self.max_parallel * gpus)),
        )


@dataclass(frozen=True)
class Node:
    """What a machine offers.

    Arguments:
        cpus: processor slots.
        gpus: whole GPUs.
        memory: bytes that Ray lends there.
    """

    cpus: int
    gpus: int = 0
    memory: float = math.inf


@dataclass(frozen=True)
class Placement:
    """How folds are laid over a cluster.

    Arguments:
        cpus_per_worker, gpus_per_worker: what each process that trains a fold gets.
        parallel: folds at the same time.
        memory_per_worker: bytes that each process asks for; 0: none, for it is not known how many it needs, or where.
    """

    cpus_per_worker: int
    gpus_per_worker: float
    parallel: int
    memory_per_worker: int = 0


def cluster_nodes() -> list[Node]:
    """The living nodes of the cluster that this process is connected to."""
    return [
        Node(*(int(node["Resources"].get(kind, 0)) for kind in ("CPU", "GPU", "memory")))
        for node in ray.nodes()
        if node["Alive"]
    ]


def place_folds(folds: int, resources: FoldResources, nodes: Sequence[Node], memory: int = 0) -> Placement:
    """Lay so many folds over the nodes by the rule: as many at a time as fit, then as many CPUs for each as it can use.

    On a cluster that grows, all folds are begun and each process takes one slot and whatever memory: nodes are added
    only for what waits, and what they offer is not known here.

    Arguments:
        memory: bytes that each process of a fold holds; 0: not known.

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
    if resources.cpus is not None and resources.cpus < workers:
        raise UserError(
            f"--cpus-per-fold {resources.cpus} --workers-per-fold {workers}: each process takes a slot; ask for at "
            f"least {workers}."
        )
    given = resources.cpus // workers if resources.cpus is not None else None
    if resources.grow:
        return Placement(given or 1, share, min(folds, resources.max_parallel or folds))
    if cpus == 0:
        raise UserError("no node of the cluster offers a processor slot; start one with `ray start --num-cpus`.")
    if wanted > gpus and resources.gpus is None:
        raise UserError(
            f"--workers-per-fold {workers}: the cluster has {_gpus(gpus)}; ask for fewer, or for --gpus-per-fold 0 to "
            "train on processors."
        )
    if wanted > gpus:
        raise UserError(f"--gpus-per-fold {wanted:g}: the cluster has {_gpus(gpus)}; ask for at most that many.")
    if workers > cpus:
        raise UserError(f"--workers-per-fold {workers}: the cluster has {cpus} processor slots; ask for fewer.")
    if _workers_that_fit(nodes, 1, share) < workers:
        raise UserError(
            f"--workers-per-fold {workers}: the nodes have room for {_workers_that_fit(nodes, 1, share)} workers with "
            f"a processor slot and {share:g} GPUs each; ask for fewer."
        )
    if given is not None and _workers_that_fit(nodes, given, share) < workers:
        most = max(n for n in range(1, given) if _workers_that_fit(nodes, n, share) >= workers)
        raise UserError(
            f"--cpus-per-fold {resources.cpus}: the largest nodes have no room for that; ask for at most "
            f"{most * workers}."
        )
    # What is held lies on the GPU, where there is one.
    memory = 0 if share else _memory_that_fits(nodes, given or 1, share, memory, workers)
    room = _workers_that_fit(nodes, given or 1, share, memory)
    parallel = min(folds, room // workers, resources.max_parallel or folds)
    slots = given or min(MOST_CPUS, max(node.cpus for node in nodes))
    while _workers_that_fit(nodes, slots, share, memory) < parallel * workers:
        slots -= 1
    return Placement(slots, share, parallel, memory)


def _gpus(count: int) -> str:
    return f"{count} GPU{'' if count == 1 else 's'}"


def _memory_that_fits(nodes: Sequence[Node], cpus: int, gpus: float, memory: int, workers: int) -> int:
    """As much of the wanted memory as so many workers can have at a time."""
    if _workers_that_fit(nodes, cpus, gpus, memory) >= workers:
        return memory
    parts = {int(node.memory // number) for node in nodes if node.memory < math.inf for number in range(1, workers + 1)}
    fitting = (part for part in sorted(parts, reverse=True) if part < memory)
    return next((part for part in fitting if _workers_that_fit(nodes, cpus, gpus, part) >= workers), 0)


def _workers_that_fit(nodes: Sequence[Node], cpus: int, gpus: float, memory: int = 0) -> int:
    return sum(_on_node(node, cpus, gpus, memory) for node in nodes)


def _on_node(node: Node, cpus: int, gpus: float, memory: int) -> int:
    most = node.cpus // cpus
    if memory and node.memory < memory * most:
        most = int(node.memory // memory)
    if gpus:
        # A share of one GPU, never of two.
        most = min(most, node.gpus * math.floor(1 / gpus + 1e-9))
    return most
