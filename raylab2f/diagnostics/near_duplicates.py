"""Pairs of pictures that show nearly the same: by frozen features, and by a perceptual hash.

Both look at what is particular to a picture: pictures of one production line resemble each other in all that they have
in common, so it is taken off first.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.fft import dctn
from sklearn.utils.extmath import randomized_svd

from raylab2f.seeding import seed_sequence

__all__ = [
    "LEAST_COSINE",
    "MOST_HASH_DISTANCE",
    "candidates",
    "feature_signatures",
    "near_pairs",
    "picture_hashes",
    "pooled_positions",
    "poses_known",
    "shared_views",
    "small_greys",
]

# On Magnetic Tile Defects, whose tiles were photographed several times, and on rendered parts in many poses, no two
# different objects reach a cosine of 0.36, nor come nearer than 0.26 by hash (share of the bits that differ); nearly 9
# in 10 pairs of pictures of one tile are beyond one of the bounds.
LEAST_COSINE = 0.5
MOST_HASH_DISTANCE = 0.2

# Pose, exposure and the like move all pictures along few directions, at most so many are taken off. One for every 40
# pictures, so that in small data sets with many copies the copies themselves are not taken for such a direction.
_MOST_DIRECTIONS = 8
_PICTURES_PER_DIRECTION = 40
# Rendered parts in three to six poses, no part shown twice: among fewer than 160 pictures (four directions) up to 157
# pairs of different parts were near, among 160 and more none. With the mean of every view taken off, none among any.
_DIRECTIONS_FOR_POSES = 4
# The mean of fewer objects is not what pictures of a view have in common.
_LEAST_OBJECTS = 4

_GRID = 8
_HASH_PIXELS = 32
_HASH_WAVES = 12
_ROWS = 512


def pooled_positions(features: NDArray[np.floating]) -> NDArray[np.float32]:
    """Feature maps (n, C, H, W) averaged to at most 8 x 8 positions: (n, C, h, w)."""
    count, channels, height, width = features.shape
    rows, columns = min(height, _GRID), min(width, _GRID)
    pooled = np.empty((count, channels, rows, columns), np.float32)
    for row, (top, bottom) in enumerate(_edges(height, rows)):
        for column, (left, right) in enumerate(_edges(width, columns)):
            pooled[:, :, row, column] = features[:, :, top:bottom, left:right].mean(axis=(2, 3), dtype=np.float32)
    return pooled


def shared_views(views: Sequence[str | None], objects: Sequence[str]) -> NDArray[np.int64]:
    """(n,) number of each picture's view; -1 where it is unknown, or shows too few objects to have a mean."""
    _, group = np.unique([view or "" for view in views], return_inverse=True)
    pairs = np.unique(np.stack([group, np.unique(objects, return_inverse=True)[1]]), axis=1)
    shows = np.bincount(pairs[0]) >= _LEAST_OBJECTS
    known = np.array([view is not None for view in views], bool) & shows[group]
    return np.where(known, group, -1)


def poses_known(views: NDArray[np.int64]) -> bool:
    """Whether poses can be taken off: every picture has one of `shared_views`, or there are pictures enough to find the
    directions in which poses move them. Otherwise different objects in one pose may be near.
    """
    return bool((views >= 0).all()) or len(views) >= _DIRECTIONS_FOR_POSES * _PICTURES_PER_DIRECTION


def feature_signatures(
    pooled: NDArray[np.float32], views: NDArray[np.int64] | None = None, *, seed: int
) -> NDArray[np.float32]:
    """(n, d) signatures of unit length from `pooled_positions` of a whole data set and its `shared_views`.

    Only what is particular to a picture is left: where on it something is seen that others do not have. The directions
    that all share are found by a randomised method, which descends from `seed`.
    """
    flat = _particular(pooled.reshape(len(pooled), -1), views, seed)
    return flat / (np.linalg.norm(flat, axis=1, keepdims=True) + 1e-12)


def small_greys(pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Pictures (n, H, W, 3) as small grey ones (n, 32, 32), without their brightness and contrast."""
    small = np.stack(
        [
            cv2.resize(
                cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32),
                (_HASH_PIXELS, _HASH_PIXELS),
                interpolation=cv2.INTER_AREA,
            )
            for picture in pictures
        ]
    )
    return (small - small.mean(axis=(1, 2), keepdims=True)) / (small.std(axis=(1, 2), keepdims=True) + 1)


def picture_hashes(
    greys: NDArray[np.float32], views: NDArray[np.int64] | None = None, *, seed: int
) -> NDArray[np.bool_]:
    """(n, bits) hashes from `small_greys` of a whole data set and its `shared_views`: signs of low spatial frequencies
    about their median.

    What pictures have in common is taken off first: aligned parts would otherwise all have the same hash.
    """
    particular = _particular(greys.reshape(len(greys), -1), views, seed).reshape(greys.shape)
    waves = dctn(particular, axes=(1, 2), norm="ortho")[:, :_HASH_WAVES, :_HASH_WAVES]
    waves = waves.reshape(len(waves), -1)[:, 1:]
    return np.asarray(waves > np.median(waves, axis=1, keepdims=True))


def near_pairs(
    signatures: NDArray[np.float32], hashes: NDArray[np.bool_] | None = None
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """All pairs that are near by features or by hash.

    Arguments:
        signatures: (n, d) of `feature_signatures`.
        hashes: (n, bits) of `picture_hashes`; `None`: features alone decide.

    Returns:
        (m, 2) rows of each pair, the lower first; (m,) cosine; (m,) share of differing bits (NaN without hashes).
    """
    pairs, cosines, distances = [], [], []
    signs = None if hashes is None else hashes.astype(np.float32) * 2 - 1
    for start in range(0, len(signatures), _ROWS):
        rows = slice(start, start + _ROWS)
        cosine = signatures[rows] @ signatures.T
        distance = np.full_like(cosine, np.nan) if signs is None else (1 - signs[rows] @ signs.T / signs.shape[1]) / 2
        later = np.arange(len(signatures))[None] > np.arange(start, start + len(cosine))[:, None]
        near = later & ((cosine >= LEAST_COSINE) | (distance <= MOST_HASH_DISTANCE))
        row, column = np.nonzero(near)
        pairs.append(np.stack([row + start, column], axis=1))
        cosines.append(cosine[near])
        distances.append(distance[near])
    return (
        np.concatenate(pairs).astype(np.int64),
        np.concatenate(cosines).astype(np.float64),
        np.concatenate(distances).astype(np.float64),
    )


def candidates(
    pairs: NDArray[np.int64], cosine: NDArray[np.float64], objects: Sequence[str], most: int = 4
) -> NDArray[np.int64]:
    """Which of `near_pairs` are worth a closer look: of each picture the `most` nearest of other objects.

    Arguments:
        pairs, cosine: of `near_pairs`.
        objects: (n,) object of each picture.

    Returns:
        Places in `pairs`, rising.
    """
    names = np.unique(np.asarray(objects), return_inverse=True)[1]
    taken = np.zeros(len(names), np.int64)
    kept = []
    for place in np.argsort(-cosine, kind="stable"):
        one, other = pairs[place]
        if names[one] != names[other] and min(taken[one], taken[other]) < most:
            taken[[one, other]] += 1
            kept.append(int(place))
    return np.array(sorted(kept), np.int64)


def _particular(rows: NDArray[np.float32], views: NDArray[np.int64] | None, seed: int) -> NDArray[np.float32]:
    """Rows (n, d) without the mean of their view, standardised by column, without the directions in which most of them
    vary.
    """
    rows = rows.copy()
    for view in () if views is None else np.unique(views[views >= 0]):
        rows[views == view] -= rows[views == view].mean(axis=0)
    rows = (rows - rows.mean(axis=0)) / (rows.std(axis=0) + 1e-3)
    directions = min(_MOST_DIRECTIONS, len(rows) // _PICTURES_PER_DIRECTION)
    if not directions:
        return rows
    state = int(seed_sequence(seed, "shared directions").generate_state(1)[0])
    _, _, shared = randomized_svd(rows, directions, random_state=state)
    return np.asarray(rows - rows @ shared.T @ shared, np.float32)


def _edges(length: int, cells: int) -> list[tuple[int, int]]:
    ends = np.linspace(0, length, cells + 1).round().astype(int)
    return list(zip(ends[:-1].tolist(), ends[1:].tolist(), strict=True))
