"""What the plain nearest neighbour makes of a fold's features: the line that a detector should beat.

A memory of nominal patches drawn at random, the distance of a picture's farthest patch to it: PatchCore without its
choice of the memory and without its re-weighting, which nobody has to train.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from raylab2f.detectors.base import Samples
from raylab2f.detectors.patchcore import PatchCore, PatchCoreConfig
from raylab2f.detectors.precision import products_in
from raylab2f.detectors.training import predict_batches

__all__ = ["EMBEDDING", "MOST_PATCHES", "nearest_neighbour", "nearest_neighbour_scores"]

#: So many patches are remembered; few enough to take seconds on one core; with more, little changes.
MOST_PATCHES = 2048
#: Length of a patch feature.
EMBEDDING = 384
_BATCH = 32


def nearest_neighbour(config: Any, shapes: Sequence[tuple[int, int, int]]) -> PatchCore:
    """The line for a detector with this configuration: PatchCore, plain, on its finest map of each layer.

    Arguments:
        shapes: (C, H, W) of all the detector's maps.
    """
    plain = PatchCoreConfig(
        backbone=config.backbone,
        weights=config.weights,
        layers=config.layers,
        size=config.size,
        embedding=EMBEDDING,
        coreset=1.0,
        most_patches=MOST_PATCHES,
        most_candidates=MOST_PATCHES,
        neighbours=1,
    )
    return PatchCore(plain, shapes[: len(config.layers)])


def nearest_neighbour_scores(
    config: Any,
    shapes: Sequence[tuple[int, int, int]],
    samples: Callable[[Sequence[str]], Samples],
    train: Sequence[str],
    judged: Sequence[str],
    seed: int,
    portion: int,
) -> NDArray[np.float32]:
    """Scores (n,) of the `judged` pictures.

    Arguments:
        config: of the detector whose features they are; its finest maps are taken, one per layer.
        shapes: (C, H, W) of all its maps.
        samples: the named pictures' features.
        train: names of the pictures that trained.
        seed: which patches are remembered descends from it.
        portion: so many judged pictures are in memory at a time.
    """
    finest = slice(len(config.layers))
    known = samples(train)
    detector = nearest_neighbour(config, shapes).to(known.device)
    # What is remembered shall be as exact as what is compared with it.
    with products_in("float32"):
        detector.begin(known.select(finest), seed)
    del known
    scores = [
        batch_scores.numpy()
        for start in range(0, len(judged), portion)
        for batch_scores, _ in predict_batches(
            detector, samples(judged[start : start + portion]).select(finest), _BATCH
        )
    ]
    return np.concatenate(scores) if scores else np.empty(0, np.float32)
