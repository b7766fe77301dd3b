"""Bootstrap over objects: one resampling of the objects for all folds, thresholds chosen anew in each replicate.

Objects recur across folds, so a replicate draws objects once, with replacement and within each class (the
protocol fixes how many defective and good objects there are), and gives every picture the weight of its object
in every fold. The estimate of a replicate is made of its folds as that of the data themselves is (`mean_outcomes`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from raylab2f.evaluation.decisions.curves import arrange_weights
from raylab2f.evaluation.outcomes.judging import Problem, judge
from raylab2f.evaluation.outcomes.means import mean_outcomes
from raylab2f.seeding import numpy_generator

__all__ = ["CHUNK", "bootstrap_chunks", "jackknife_means", "object_weights", "weight_blocks", "weighted_means"]

# Replicates drawn from one branch of the seed: results do not depend on which process computes which chunk.
CHUNK = 500

# So many counts, of thresholds or objects times replicates, stay in a processor core's cache.
_CACHED = 2**17
_LEAST_WIDTH = 8

# So many weights are held at once.
_MOST_WEIGHTS = 2**23

# Strata with at most so many objects lose one at a time in the jackknife; larger ones one of so many groups.
_ONE_BY_ONE = 500
_GROUPS = 200


def object_weights(strata: np.ndarray, replicates: int, rng: np.random.Generator) -> np.ndarray:
    """How often each object is drawn: (objects, replicates), the sum within each stratum is its size.

    Arguments:
        strata: (objects,) bool.
        replicates: number of columns.
        rng: source of the draws.
    """
    weights = np.empty((replicates, len(strata)))
    for stratum in (False, True):
        members = np.flatnonzero(strata == stratum)
        size = len(members)
        if not size:
            continue
        at_once = max(_CACHED // size, 1)
        for start in range(0, replicates, at_once):
            rows = min(at_once, replicates - start)
            drawn = rng.integers(size, size=(rows, size))
            drawn += np.arange(rows)[:, None] * size
            counts = np.bincount(drawn.ravel(), minlength=rows * size).reshape(rows, size)
            weights[start : start + rows, members] = counts
    return weights.T


def weight_blocks(strata: np.ndarray, replicates: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """`object_weights` in pieces of (objects, b), so that their memory is bounded; arguments as there.

    How the replicates are cut depends on the number of objects only.
    """
    width = max(_MOST_WEIGHTS // max(len(strata), 1), 1)
    for start in range(0, replicates, width):
        yield object_weights(strata, min(width, replicates - start), rng)


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
        parts += [weighted_means(problem, weights) for weights in weight_blocks(problem.strata, size, rng)]
    return np.concatenate(parts, axis=1) if parts else np.empty((len(problem.estimates), 0))


def jackknife_means(problem: Problem, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Estimates with some of the objects left out at a time.

    A stratum of at most 500 objects loses one at a time, a larger one a two-hundredth, drawn at random: the time
    does not grow with the square of the objects. What is made of these estimates, the acceleration of `bca_interval`,
    is a third of the standard error's skewness: G groups give it with an error of about sqrt(15) / (6 G), here 0.003,
    which moves the ends of a 95 % interval by 0.01 standard errors.

    Arguments:
        problem: ranked scores.
        seed: the run's seed.

    Returns:
        (estimates, g) estimates and (g,) bool, the stratum that lost a group.
    """
    rng = numpy_generator(seed, "jackknife")
    groups: list[np.ndarray] = []
    strata: list[bool] = []
    for stratum in (False, True):
        members = np.flatnonzero(problem.strata == stratum)
        if not len(members):
            continue
        several = len(members) > _ONE_BY_ONE
        found = np.array_split(rng.permutation(members), _GROUPS) if several else list(members[:, None])
        groups += found
        strata += [stratum] * len(found)
    width = max(min(_MOST_WEIGHTS // len(problem.strata), CHUNK), 1)
    parts = []
    for start in range(0, len(groups), width):
        some = groups[start : start + width]
        weights = np.ones((len(problem.strata), len(some)))
        for column, group in enumerate(some):
            weights[group, column] = 0
        parts.append(weighted_means(problem, weights))
    return np.concatenate(parts, axis=1), np.array(strata)


def weighted_means(problem: Problem, weights: np.ndarray) -> np.ndarray:
    """(estimates, b) every estimate for (objects, b) weights of the objects."""
    rows = max(len(cell["image"].threshold.group) for cell in problem.cells)
    width = max(_LEAST_WIDTH, _CACHED // rows)
    blocks = [weights[:, start : start + width] for start in range(0, weights.shape[1], width)]
    judged = [judge(problem, arrange_weights(block)).values for block in blocks]
    return np.concatenate([mean_outcomes(problem, values) for values in judged], axis=1)
