"""Bootstrap over objects: one resampling of the objects for all folds, thresholds chosen anew in each replicate.

Objects recur across folds, so a replicate draws objects once, with replacement and within each class (the
protocol fixes how many defective and good objects there are), and gives every picture the weight of its object
in every fold. The estimate of a replicate is made of its folds as that of the data themselves is (`mean_outcomes`).
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from raylab2f.evaluation.outcomes.judging import Problem, judge
from raylab2f.evaluation.outcomes.means import mean_outcomes
from raylab2f.seeding import numpy_generator

__all__ = ["CHUNK", "bootstrap_chunks", "jackknife_means", "object_weights", "weighted_means"]

# Replicates drawn from one branch of the seed: results do not depend on which process computes which chunk.
CHUNK = 500

# Counts of so many thresholds and replicates stay in a processor core's cache.
_CACHED = 2**17
_LEAST_WIDTH = 32


def object_weights(strata: np.ndarray, replicates: int, rng: np.random.Generator) -> np.ndarray:
    """How often each object is drawn: (objects, replicates), the sum within each stratum is its size.

    Arguments:
        strata: (objects,) bool.
        replicates: number of columns.
        rng: source of the draws.
    """
    weights = np.empty((len(strata), replicates))
    for stratum in (False, True):
        members = np.flatnonzero(strata == stratum)
        size = len(members)
        if not size:
            continue
        drawn = rng.integers(size, size=(replicates, size))
        drawn += np.arange(replicates)[:, None] * size
        counts = np.bincount(drawn.ravel(), minlength=replicates * size).reshape(replicates, size)
        weights[members] = counts.T
    return weights


def bootstrap_chunks(problem: Problem, replicates: int, seed: int, chunks: Iterable[int] | None = None) -> np.ndarray:
    """Every estimate in every replicate.

    Arguments:
        problem: ranked scores.
        replicates: number of replicates in all; they are cut into chunks of `CHUNK`.
        seed: the run's seed.
        chunks: numbers of the chunks wanted here, so that several processes can share the work; `None`: all.

    Returns:
        (estimates, replicates of these chunks).
    """
    count = -(-replicates // CHUNK)
    parts = []
    for chunk in range(count) if chunks is None else chunks:
        rng = numpy_generator(seed, "bootstrap", chunk)
        size = min(CHUNK, replicates - chunk * CHUNK)
        parts.append(weighted_means(problem, object_weights(problem.strata, size, rng)))
    return np.concatenate(parts, axis=1) if parts else np.empty((len(problem.estimates), 0))


def jackknife_means(problem: Problem) -> np.ndarray:
    """(estimates, objects) estimates with one object left out at a time."""
    objects = len(problem.strata)
    parts = []
    for start in range(0, objects, CHUNK):
        left_out = np.arange(start, min(start + CHUNK, objects))
        weights = np.ones((objects, len(left_out)))
        weights[left_out, np.arange(len(left_out))] = 0
        parts.append(weighted_means(problem, weights))
    return np.concatenate(parts, axis=1)


def weighted_means(problem: Problem, weights: np.ndarray) -> np.ndarray:
    """(estimates, b) every estimate for (objects, b) weights of the objects."""
    rows = max(len(cell["image"].threshold.group) for cell in problem.cells)
    width = max(_LEAST_WIDTH, _CACHED // rows)
    blocks = [weights[:, start : start + width] for start in range(0, weights.shape[1], width)]
    judged = [judge(problem, np.ascontiguousarray(block)).values for block in blocks]
    return np.concatenate([mean_outcomes(problem, values) for values in judged], axis=1)
