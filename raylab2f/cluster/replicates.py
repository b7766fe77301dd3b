"""Bootstrap replicates spread over the cluster."""

from __future__ import annotations

import numpy as np
import ray

from raylab2f.cluster.session import cluster_slots
from raylab2f.evaluation.intervals.bootstrap import CHUNK, bootstrap_chunks
from raylab2f.evaluation.outcomes.judging import Problem

__all__ = ["spread_replicates"]

# Ranked rows times replicates. One core does about 4e7 in a second, and starting tasks takes about a second.
_WORTH_SPREADING = 2e8


def spread_replicates(problem: Problem, replicates: int, seed: int, *, tasks: int | None = None) -> np.ndarray:
    """`bootstrap_chunks`, with the chunks dealt to Ray tasks; the result does not depend on how many there are.

    Arguments:
        problem: ranked scores.
        replicates: number of replicates in all.
        seed: the run's seed.
        tasks: how many; `None`: as many as the cluster has processor slots, or none at all for work of a few seconds.
    """
    chunks = -(-replicates // CHUNK)
    if tasks is None:
        tasks = cluster_slots()[0] if _rows(problem) * replicates >= _WORTH_SPREADING else 1
    tasks = min(tasks, chunks)
    if tasks <= 1:
        return bootstrap_chunks(problem, replicates, seed)
    shared = ray.put(problem)
    dealt = [range(chunks * task // tasks, chunks * (task + 1) // tasks) for task in range(tasks)]
    parts = ray.get([_compute.remote(shared, replicates, seed, list(own)) for own in dealt])
    return np.concatenate(parts, axis=1)


def _rows(problem: Problem) -> int:
    """Rows of all rankings."""
    levels = [level for cell in problem.cells for level in cell.values()]
    return sum(len(level.threshold.group) + len(level.inference.ranking.group) for level in levels)


@ray.remote(num_cpus=1)
def _compute(problem: Problem, replicates: int, seed: int, chunks: list[int]) -> np.ndarray:
    return bootstrap_chunks(problem, replicates, seed, chunks)
