"""Choosing whole objects so that their pictures add up to a wanted number."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ["deal_objects", "draw_objects", "halve_pictures", "share_objects"]

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


def share_objects(sizes: np.ndarray, load: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Share objects out at random so that the pictures of all parts come out as even as whole objects allow.

    Parts that have more than an even share already get none; of the others each gets at least one object, while there
    are any, and those with the fewest pictures come first (between equals the earlier part).

    Arguments:
        sizes: (n,) pictures of each object, >= 1.
        load: (parts,) pictures that the parts have already.
        rng: decides which objects go where.

    Returns:
        (n,) part of each object.
    """
    part_of = np.empty(len(sizes), dtype=np.int64)
    if not len(sizes):
        return part_of
    parts = np.argsort(load, kind="stable")
    count = len(parts)
    while load[parts[count - 1]] * count >= load[parts[:count]].sum() + sizes.sum():
        count -= 1
    left = np.arange(len(sizes))
    for position, part in enumerate(parts[:count]):
        later = count - position - 1
        if not len(left):
            break
        drawn = np.zeros(len(left), dtype=bool)
        if not later:
            drawn[:] = True
        elif len(left) <= later + 1:
            drawn[rng.integers(len(left))] = True
        else:
            # Even among the parts still to come, so that what one has too much of is missing in no single other.
            even = (load[parts[position:count]].sum() + sizes[left].sum()) / (later + 1)
            drawn = draw_objects(sizes[left], even - load[part], rng)
            excess = later - int((~drawn).sum())
            if excess > 0:
                drawn[rng.choice(np.flatnonzero(drawn), excess, replace=False)] = False
        part_of[left[drawn]] = part
        left = left[~drawn]
    return part_of


def halve_pictures(good: np.ndarray, bad: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Halve objects of which some or all have pictures of both classes, so that either half has both.

    Objects of both classes come first; the others make up for what is uneven in the pictures of their class.

    Arguments:
        good, bad: (n,) nominal and anomalous pictures of each object; at least 2 objects have either, and at least one
            has both.
        rng: source of the draw.

    Returns:
        (n,) bool, the objects of the second half.
    """
    half = np.full(len(good), -1)
    # Which half an odd object goes to is left to chance.
    first = int(rng.integers(2))
    for kind, pictures in (((good > 0) & (bad > 0), good), (good == 0, bad), (bad == 0, good)):
        members = np.flatnonzero(kind)
        load = np.array([pictures[half == number].sum() for number in range(2)])
        half[members] = share_objects(pictures[members], load, rng)
    return half == first
