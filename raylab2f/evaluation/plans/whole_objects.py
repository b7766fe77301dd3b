"""Choosing whole objects so that their pictures add up to a wanted number."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ["deal_objects", "draw_objects"]

_FIRST_WINDOW = 64


def draw_objects(sizes: np.ndarray, target: float, rng: np.random.Generator) -> np.ndarray:
    """Draw a random, non-empty set of objects whose pictures number as near to `target` as any set's can.

    The objects are taken in random order; only the last ones are chosen so that the sum comes out right (an
    exact subset-sum, so the distance to the target is the smallest that whole objects allow).

    Arguments:
        sizes: (n,) pictures of each object, >= 1; n >= 1.
        target: wanted number of pictures; between two equally near sums the draw decides.
        rng: source of the random order.

    Returns:
        (n,) bool, the objects drawn.
    """
    order = rng.permutation(len(sizes))
    prefer_lower = bool(rng.integers(2))
    # In units of the common divisor, equal objects become ones and every whole number can be reached.
    unit = int(np.gcd.reduce(sizes))
    shuffled = [int(size) for size in sizes[order] // unit]
    goal = target / unit
    running = np.cumsum(shuffled)
    fitting = int(np.searchsorted(running, goal, side="right"))
    window = _FIRST_WINDOW
    while True:
        start = max(0, fitting - window)
        stop = min(len(shuffled), fitting + window)
        taken = int(running[start - 1]) if start else 0
        chosen, total = _best_subset(shuffled[start:stop], goal - taken, prefer_lower, allow_empty=start > 0)
        if abs(taken + total - goal) <= 0.5 or (start == 0 and stop == len(shuffled)):
            break
        window *= 4
    drawn = np.zeros(len(sizes), dtype=bool)
    drawn[order[:start]] = True
    drawn[order[[start + i for i in chosen]]] = True
    return drawn


def _best_subset(sizes: Sequence[int], goal: float, prefer_lower: bool, allow_empty: bool) -> tuple[list[int], int]:
    """Positions of a subset with the sum nearest to `goal`, early positions first, and that sum."""
    # Bit s of reachable[i] says that some subset of sizes[i:] sums to s.
    reachable = [1]
    for size in reversed(sizes):
        reachable.append(reachable[-1] | reachable[-1] << size)
    reachable.reverse()
    bits = np.frombuffer(bin(reachable[0])[:1:-1].encode(), dtype=np.uint8)
    sums = np.flatnonzero(bits == ord("1"))
    if not allow_empty:
        sums = sums[1:]
    distance = np.abs(sums - goal)
    nearest = sums[distance == distance.min()]
    total = int(nearest[0] if prefer_lower else nearest[-1])
    chosen = []
    left = total
    for i, size in enumerate(sizes):
        if left >= size and reachable[i + 1] >> (left - size) & 1:
            chosen.append(i)
            left -= size
    return chosen, total


def deal_objects(sizes: np.ndarray, strata: np.ndarray, groups: int, rng: np.random.Generator) -> np.ndarray:
    """Deal objects into groups alike in pictures, within each stratum first and in total second.

    Largest objects first, each to the group with the fewest pictures of its stratum so far (longest
    processing time rule). With at least as many objects as groups, no group stays empty.

    Arguments:
        sizes: (n,) pictures of each object.
        strata: (n,) integer stratum of each object, e.g. its defect type.
        groups: number of groups, at most n.
        rng: decides between equals.

    Returns:
        (n,) group of each object, 0 to groups - 1.
    """
    names = rng.permutation(groups)
    total = np.zeros(groups)
    group_of = np.empty(len(sizes), dtype=np.int64)
    for stratum in rng.permutation(np.unique(strata)):
        members = rng.permutation(np.flatnonzero(strata == stratum))
        members = members[np.argsort(-sizes[members], kind="stable")]
        load = np.zeros(groups)
        for member in members:
            group = int(np.lexsort((total, load))[0])
            group_of[member] = names[group]
            load[group] += sizes[member]
            total[group] += sizes[member]
    return group_of
