"""Is a picture like those that a model was evaluated on? Nothing is known of how it decides others.

Two things are compared with all pictures of the evaluation. Of the prepared picture: brightness, contrast, shares of
black and of saturated pixels, colourfulness, and sharpness, the logarithm of the variance of its Laplacian
(Pech-Pacheco et al., "Diatom autofocusing in brightfield microscopy", ICPR 2000); of the file: height and width. And of
the deepest features, their means over positions: the distance from the evaluated pictures' mean under probabilistic
principal components, d^2 = sum_j z_j^2 / l_j + r^2 / s^2, with coordinates z_j and variances l_j along the first
components and the rest r^2 with its mean variance s^2 (Tipping & Bishop, "Probabilistic principal component analysis",
JRSS B 1999). Distances of the evaluated pictures themselves come from components that were found without their part.

A value is outside when it lies beyond all of the evaluation's by more than `MARGIN` of their range.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from raylab2f.files.typed_values import require_types
from raylab2f.seeding import numpy_generator

__all__ = ["MARGIN", "STATISTICS", "Components", "Familiarity", "fit_components", "fit_familiarity", "statistics_of"]

#: Of the range of evaluated values, so much is granted beyond it.
MARGIN = 0.25
#: What is measured of a picture, and how much of it means nothing where all evaluated pictures are equal.
STATISTICS: Mapping[str, float] = {
    "height": 0.5,
    "width": 0.5,
    "brightness": 4.0,
    "contrast": 4.0,
    "black share": 0.02,
    "saturated share": 0.02,
    "colourfulness": 4.0,
    "sharpness": 0.5,
}
_DARK, _BRIGHT = 5, 250
_MOST_COMPONENTS, _PICTURES_PER_COMPONENT = 32, 5
_PARTS = 5


def statistics_of(prepared: NDArray[np.uint8], shape: tuple[int, int]) -> NDArray[np.float64]:
    """The `STATISTICS` of a prepared picture (H, W, 3) whose file has `shape` (height, width): (8,)."""
    grey = cv2.cvtColor(prepared, cv2.COLOR_RGB2GRAY)
    spread = prepared.max(axis=2).astype(np.float64) - prepared.min(axis=2)
    sharpness = np.log1p(cv2.Laplacian(grey, cv2.CV_64F).var())
    return np.array(
        [
            *shape,
            grey.mean(),
            grey.std(),
            (grey <= _DARK).mean(),
            (grey >= _BRIGHT).mean(),
            spread.mean(),
            sharpness,
        ]
    )


@dataclass(frozen=True)
class Components:
    """The distribution of pooled features.

    Arguments:
        mean: (C,).
        axes: (k, C) orthonormal.
        variances: (k,) along them, above 0.
        rest: variance of each further dimension, above 0.
    """

    mean: NDArray[np.float64]
    axes: NDArray[np.float64]
    variances: NDArray[np.float64]
    rest: float

    def distance(self, pooled: NDArray[np.floating]) -> NDArray[np.float64]:
        """(n,) distances of (n, C) pooled features from the mean."""
        centred = pooled.astype(np.float64) - self.mean
        along = centred @ self.axes.T
        remaining = np.maximum((centred**2).sum(axis=1) - (along**2).sum(axis=1), 0.0)
        return np.asarray(np.sqrt((along**2 / self.variances).sum(axis=1) + remaining / self.rest))


def fit_components(pooled: NDArray[np.floating]) -> Components:
    """Principal components of (n, C) pooled features, as many as a fifth of n allows, 32 at most."""
    values = pooled.astype(np.float64)
    mean = values.mean(axis=0)
    # Of the channels' products rather than by a decomposition of all pictures: C is small, n may not be.
    eigenvalues, vectors = np.linalg.eigh(np.cov(values, rowvar=False, ddof=0).reshape(len(mean), len(mean)))
    count = max(1, min(_MOST_COMPONENTS, len(values) // _PICTURES_PER_COMPONENT, len(mean) - 1))
    least = max(float(eigenvalues.sum()) / len(mean) * 1e-6, 1e-12)
    rest = max(float(eigenvalues[:-count].mean()) if count < len(mean) else 0.0, least)
    axes = np.ascontiguousarray(vectors[:, ::-1][:, :count].T)
    return Components(mean, axes, np.maximum(eigenvalues[::-1][:count], rest), rest)


@dataclass(frozen=True)
class Familiarity:
    """What pictures of the evaluation are like.

    Arguments:
        low, high: least and greatest of each of the `STATISTICS`.
        farthest: greatest distance of features.
        pictures: so many were looked at.
    """

    low: tuple[float, ...]
    high: tuple[float, ...]
    farthest: float
    pictures: int

    def __post_init__(self) -> None:
        if not len(self.low) == len(self.high) == len(STATISTICS):
            raise ValueError(f"familiarity has not {len(STATISTICS)} limits")

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, values: Any) -> Familiarity:
        """The inverse of `to_dict`; `ValueError` where it is none."""
        require_types(cls, values, "familiarity.")
        made: dict[str, Any] = {n: tuple(value) if isinstance(value, list) else value for n, value in values.items()}
        return cls(**made)

    def outside(self, statistics: NDArray[np.float64], distance: float) -> list[str]:
        """In what a picture is unlike all that were evaluated, in words; empty where it is like them.

        Arguments:
            statistics: `statistics_of` it.
            distance: of its features.
        """
        found = []
        for value, low, high, (name, slack) in zip(statistics, self.low, self.high, STATISTICS.items(), strict=True):
            granted = max(MARGIN * (high - low), slack)
            if not low - granted <= value <= high + granted:
                word = "below" if value < low else "above"
                found.append(f"{name} {value:.4g} is {word} the evaluation's {low:.4g} to {high:.4g}")
        if not distance <= (1 + MARGIN) * self.farthest:
            found.append(f"features are {distance / self.farthest:.2g} times as far as the evaluation's farthest")
        return found


def fit_familiarity(
    statistics: NDArray[np.float64], pooled: NDArray[np.floating], owners: Sequence[str], *, seed: int
) -> tuple[Familiarity, Components, NDArray[np.float64]]:
    """What is usual among evaluated pictures, and (n,) their distances, from components found without their part.

    Arguments:
        statistics: (n, 8), `statistics_of` each.
        pooled: (n, C) means of their deepest features over positions.
        owners: the object of each.
        seed: of the parts into which objects are dealt for distances.
    """
    objects = sorted(set(owners))
    part = dict(zip(objects, numpy_generator(seed, "familiarity").permutation(len(objects)) % _PARTS, strict=True))
    parts = np.array([part[owner] for owner in owners])
    distances = np.zeros(len(owners))
    for number in range(_PARTS):
        own = parts == number
        if own.any() and not own.all():
            distances[own] = fit_components(pooled[~own]).distance(pooled[own])
    low, high = (tuple(map(float, end)) for end in (statistics.min(axis=0), statistics.max(axis=0)))
    farthest = max(float(distances.max()), 1e-9)
    return Familiarity(low, high, farthest, len(owners)), fit_components(pooled), distances
