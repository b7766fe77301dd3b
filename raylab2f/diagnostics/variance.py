"""Object variance (the paper's Figure 5): how much do the strongest activations move and change over the data set?

Parts that lie anywhere, under any angle and before any background, make the backbone respond in other places and to
other degrees in every picture; what a detector has to learn as normal grows with that. The measure is of pictures and
backbone only, so preparations can be ranked before anything is trained.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from raylab2f.diagnostics.finding import Bounds, Finding, Measure, conclude, skipped
from raylab2f.diagnostics.resampling import mean, resample

__all__ = ["VARIANCE", "Activations", "activations", "diagnose_variance", "join_activations", "object_variance"]

# 1 is what activations in random cells would do. Rendered parts at one angle give 0.42 to 0.45 (0.24 masked), at five
# angles over 120 degrees 0.57 to 0.60, all round and amid clutter 0.75 to 0.80, with the backbones and grids of either
# `fast` preset; surfaces that fill the frame, Magnetic Tile Defects, 1.2. Above 0.7 places hardly repeat: align the
# parts before spending on models. Variance is no mistake of the evaluation, so it only warns.
VARIANCE = Bounds(0.7, None)


@dataclass(frozen=True)
class Activations:
    """The strongest activation of every channel in every picture, and the strongest channel of every position.

    Arguments:
        row, column: (n, C) place of each channel's maximum, in [0, 1] of the map's height and width.
        intensity: (n, C) the maximum itself.
        peaks: (h, w) share of all maxima that lie at each position.
        strongest_mean, strongest_std: (h, w) over pictures, of the strongest activation of each position.
    """

    row: NDArray[np.float32]
    column: NDArray[np.float32]
    intensity: NDArray[np.float32]
    peaks: NDArray[np.float64]
    strongest_mean: NDArray[np.float64]
    strongest_std: NDArray[np.float64]


def activations(features: NDArray[np.floating]) -> Activations:
    """Of feature maps (n, C, h, w)."""
    count, channels, height, width = features.shape
    flat = features.reshape(count, channels, height * width)
    place = flat.argmax(axis=2)
    strongest = flat.max(axis=1).astype(np.float64)
    return Activations(
        row=(place // width / max(height - 1, 1)).astype(np.float32),
        column=(place % width / max(width - 1, 1)).astype(np.float32),
        intensity=np.take_along_axis(flat, place[..., None], axis=2)[..., 0].astype(np.float32),
        peaks=np.bincount(place.ravel(), minlength=height * width).reshape(height, width) / place.size,
        strongest_mean=strongest.mean(axis=0).reshape(height, width),
        strongest_std=strongest.std(axis=0).reshape(height, width),
    )


def join_activations(parts: Sequence[Activations]) -> Activations:
    """Of several portions of one data set, as if they had been one."""
    sizes = np.array([len(part.intensity) for part in parts], np.float64)
    share = sizes / sizes.sum()
    peaks = sum(s * part.peaks for s, part in zip(share, parts, strict=True))
    centre = sum(s * part.strongest_mean for s, part in zip(share, parts, strict=True))
    square = sum(s * (part.strongest_std**2 + part.strongest_mean**2) for s, part in zip(share, parts, strict=True))
    return Activations(
        row=np.concatenate([part.row for part in parts]),
        column=np.concatenate([part.column for part in parts]),
        intensity=np.concatenate([part.intensity for part in parts]),
        peaks=np.asarray(peaks),
        strongest_mean=np.asarray(centre),
        strongest_std=np.sqrt(np.maximum(np.asarray(square) - np.asarray(centre) ** 2, 0)),
    )


def object_variance(found: Activations) -> NDArray[np.float64]:
    """(n, 2): each picture's part in the variance of places and of intensities, mean over channels.

    Places: squared distance to the channel's mean place, in units of what uniformly random cells of the map would give:
    (h + 1) / (12 (h - 1)) along h cells, 1/12 when they are many. Intensities: squared difference to the channel's
    mean, in units of its mean square. Channels that never fire say nothing and are left out.
    """
    fires = found.intensity.max(axis=0) > 0
    if not fires.any():
        return np.full((len(found.intensity), 2), np.nan)
    row, column, intensity = (a[:, fires].astype(np.float64) for a in (found.row, found.column, found.intensity))
    random = sum((cells + 1) / (12 * (cells - 1)) for cells in found.peaks.shape if cells > 1)
    place = ((row - row.mean(axis=0)) ** 2 + (column - column.mean(axis=0)) ** 2) / max(random, 1e-12)
    size = (intensity - intensity.mean(axis=0)) ** 2 / np.maximum((intensity**2).mean(axis=0), 1e-12)
    return np.stack([place.mean(axis=1), size.mean(axis=1)], axis=1)


def diagnose_variance(found: Mapping[str, Activations], objects: Mapping[str, Sequence[str]], *, seed: int) -> Finding:
    """Rank preparations of a data set's nominal pictures by how much the strongest activations vary.

    Arguments:
        found: activations by preparation, such as `as it is`, `view 30`, `masked`; the first one is the run's own.
        objects: by preparation, the object of each picture.
        seed: of the resampling.
    """
    name = "variance"
    if not found:
        return skipped(name, "There are no features of good pictures.")
    measures, rows = [], []
    for number, (preparation, part) in enumerate(found.items()):
        values = object_variance(part)
        draws = resample(list(objects[preparation]), np.zeros(len(values)), seed=seed)
        place = mean(draws, values[:, 0], limits=(0.0, np.inf))
        size = mean(draws, values[:, 1], limits=(0.0, np.inf))
        rows.append(
            {
                "preparation": preparation,
                "pictures": len(values),
                "place_variance": place.value,
                "intensity_variance": size.value,
            }
        )
        sentence = (
            f"{preparation.capitalize()}: places of strongest activations vary by {place.value:.2f} of what random "
            "places would."
        )
        key = preparation.replace(" ", "-")
        measures.append(Measure(f"place-variance {key}", place, sentence, None if number else VARIANCE))
        sentence = f"{preparation.capitalize()}: intensities vary by {size.value:.2f} of their mean square."
        measures.append(Measure(f"intensity-variance {key}", size, sentence))
    table = pa.Table.from_pylist(rows).sort_by("place_variance")
    return conclude(name, measures, table)
