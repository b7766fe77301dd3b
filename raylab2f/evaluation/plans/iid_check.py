"""Do nominal training and test pictures come from one distribution? Decides `--merge-nominal-test auto`.

The test is the energy distance with permuted objects (Székely & Rizzo, "Energy statistics", 2013). It sees any
difference of distributions, not only of means; it has nothing to tune, unlike a kernel two-sample test (bandwidth) or a
classifier test (which classifier, how trained, part of the data lost to its training), so a run's decision cannot be
argued away; and permutations make its level exact at any sample size. Whole objects are permuted, because pictures of
one object resemble each other and would make any two sets of objects look different. With very few objects no
difference, however large, could reach the level (2 and 2 objects: p is at least 1/3); that none is found means nothing
then, and the sets stay apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from math import comb

import numpy as np

from raylab2f.errors import UserError
from raylab2f.seeding import numpy_generator

__all__ = ["IidCheck", "check_iid"]

# More objects than this add cost (quadratic), but hardly anything to a yes or no.
_MOST_OBJECTS = 2000
_ROWS_AT_ONCE = 256


@dataclass(frozen=True)
class IidCheck:
    """Outcome of the two-sample test.

    Arguments:
        p_value: probability of a distance at least as large if the objects of both sets are exchangeable.
        statistic: energy distance, unbiased (it can be below 0), in standard deviations of the features.
        level: significance level.
        merge: True if the test could object to merging, smallest_p < level, and does not, p_value >= level.
        smallest_p: the p-value that the largest difference would have, with so many objects and permutations.
        train_objects, test_objects: how many objects were compared.
        permutations: how many permutations the p-value rests on; all of them where they are few.
    """

    p_value: float
    statistic: float
    level: float
    merge: bool
    smallest_p: float
    train_objects: int
    test_objects: int
    permutations: int

    @property
    def sentence(self) -> str:
        """What was found, for the report."""
        who = f"Nominal training and test pictures ({self.train_objects} and {self.test_objects} objects)"
        if self.smallest_p >= self.level:
            return (
                f"{who}: so few objects could not show any difference (p of at least {self.smallest_p:.3g}, level "
                f"{self.level:g}), so they stay apart; decide otherwise with --merge-nominal-test yes."
            )
        finding = "no difference found, so they are merged" if self.merge else "they differ, so they stay apart"
        return (
            f"{who}: {finding} (energy distance of their features, objects permuted, p = {self.p_value:.3g}, level "
            f"{self.level:g})."
        )


def check_iid(
    train_features: np.ndarray,
    train_objects: np.ndarray,
    test_features: np.ndarray,
    test_objects: np.ndarray,
    *,
    seed: int,
    level: float = 0.05,
    permutations: int = 999,
) -> IidCheck:
    """Test whether nominal training and test objects are exchangeable.

    Arguments:
        train_features: (n, d) one feature vector a nominal training picture, e.g. spatial means of backbone features.
        train_objects: (n,) object of each picture.
        test_features: (m, d) the same for nominal test pictures.
        test_objects: (m,) object of each picture. An object on both sides is left out: it is no evidence.
        seed: the run's seed.
        level: significance level.
        permutations: how many are drawn where there are more than that.

    Raises:
        UserError: fewer than 2 objects on a side, or features that are not finite.
    """
    features = np.concatenate((train_features, test_features)).astype(np.float64)
    if not np.isfinite(features).all():
        raise UserError("The features of nominal pictures have NaN or infinite values; extract them again.")
    names, owner = np.unique(np.concatenate((train_objects, test_objects)), return_inverse=True)
    in_test = np.arange(len(owner)) >= len(train_objects)
    has_test = np.bincount(owner, weights=in_test, minlength=len(names)) > 0
    has_train = np.bincount(owner, weights=~in_test, minlength=len(names)) > 0
    rng = numpy_generator(seed, "iid-check")
    sides = [_at_most(np.flatnonzero(only), rng) for only in (has_train & ~has_test, has_test & ~has_train)]
    if min(map(len, sides)) < 2:
        raise UserError(
            f"Too few nominal objects to compare training and test pictures ({len(sides[0])} and {len(sides[1])}, at "
            "least 2 each); decide with --merge-nominal-test yes or no."
        )
    distance = _object_distances(_standardise(features), owner, np.concatenate(sides))
    first = np.zeros(len(distance), dtype=bool)
    first[: len(sides[0])] = True
    observed = float(_energy(distance, first[None])[0])
    sizes = len(sides[0]), len(sides[1])
    shuffled, exact = _permute(first, permutations, rng)
    # Sums over permuted rows can differ in the last digits though the split is the same.
    reached = int((_energy(distance, shuffled) >= observed - 1e-12 * distance.max()).sum())
    # The observed split is one of all, and is added to those drawn.
    p_value = reached / len(shuffled) if exact else (1 + reached) / (1 + permutations)
    # Sets of equal size may be exchanged without any change to their distance.
    smallest = (2 if sizes[0] == sizes[1] else 1) / len(shuffled) if exact else 1 / (1 + permutations)
    merge = smallest < level <= p_value
    return IidCheck(p_value, observed, level, merge, smallest, *sizes, len(shuffled))


def _permute(first: np.ndarray, permutations: int, rng: np.random.Generator) -> tuple[np.ndarray, bool]:
    """(b, k) assignments to the first set: all there are and True, or if these are too many as many as asked for."""
    size, count = int(first.sum()), len(first)
    if comb(count, size) > permutations:
        return np.stack([rng.permutation(first) for _ in range(permutations)]), False
    members = np.array(list(combinations(range(count), size)))
    every = np.zeros((len(members), count), dtype=bool)
    np.put_along_axis(every, members, True, axis=1)
    return every, True


def _at_most(objects: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    if len(objects) <= _MOST_OBJECTS // 2:
        return objects
    return np.sort(rng.choice(objects, _MOST_OBJECTS // 2, replace=False))


def _standardise(features: np.ndarray) -> np.ndarray:
    spread = features.std(axis=0)
    return (features - features.mean(axis=0)) / np.where(spread > 0, spread, 1.0) / np.sqrt(features.shape[1])


def _object_distances(features: np.ndarray, owner: np.ndarray, objects: np.ndarray) -> np.ndarray:
    """(k, k) mean Euclidean distance between the pictures of each two of the objects; 0 on the diagonal.

    Means over pairs of pictures, unlike distances of means, do not depend on how many pictures an object has.
    """
    place = np.full(int(owner.max()) + 1, -1)
    place[objects] = np.arange(len(objects))
    kept = place[owner] >= 0
    features, owner = features[kept], place[owner[kept]]
    order = np.argsort(owner, kind="stable")
    features, owner = features[order], owner[order]
    _, start, count = np.unique(owner, return_index=True, return_counts=True)
    norms = (features**2).sum(axis=1)
    by_picture = np.empty((len(features), len(objects)))
    for begin in range(0, len(features), _ROWS_AT_ONCE):
        rows = slice(begin, begin + _ROWS_AT_ONCE)
        square = norms[rows, None] + norms - 2 * features[rows] @ features.T
        by_picture[rows] = np.add.reduceat(np.sqrt(np.maximum(square, 0)), start, axis=1)
    distance = np.add.reduceat(by_picture, start, axis=0) / np.outer(count, count)
    np.fill_diagonal(distance, 0)
    return (distance + distance.T) / 2


def _energy(distance: np.ndarray, first: np.ndarray) -> np.ndarray:
    """(b,) unbiased energy distance for each (b, k) assignment of the objects to the first set."""
    indicator = first.astype(np.float64)
    n = indicator.sum(axis=1)
    m = len(distance) - n
    to_first = indicator @ distance
    within_first = (to_first * indicator).sum(axis=1)
    between = (to_first * (1 - indicator)).sum(axis=1)
    within_second = distance.sum() - within_first - 2 * between
    return 2 * between / (n * m) - within_first / (n * (n - 1)) - within_second / (m * (m - 1))
