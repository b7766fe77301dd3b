"""Synthetic maps, scores and splits whose right diagnosis is known."""

import numpy as np
import pyarrow as pa
import pytest

from raylab2f.diagnostics import FoldMaps

GRID = 12


@pytest.fixture
def make_maps():
    """make_maps(defect=..., background=...) -> one fold of 40 good and 20 defective pictures, two an object.

    The part fills the middle of the grid. Every map is noise; to defective ones `defect` is added at one cell of the
    part and `background` at one cell outside of it; `outline` is added to the part in all maps. `masks`: whether
    foreground masks are known, of all pictures or (60,) of each.
    """

    def make(*, defect=0.0, background=0.0, outline=0.0, seed=0, fold=0, masks=True):
        rng = np.random.default_rng(seed)
        labels = np.repeat([0, 1], [40, 20])
        count = len(labels)
        foregrounds = np.zeros((count, GRID, GRID), np.float32)
        foregrounds[:, 3:9, 3:9] = 1
        maps = rng.normal(0, 1, (count, GRID, GRID)).astype(np.float32) + outline * foregrounds
        defects = np.zeros(maps.shape, bool)
        for row in np.flatnonzero(labels):
            place = rng.integers(3, 9, 2)
            defects[row, place[0], place[1]] = True
            maps[row, place[0], place[1]] += defect
            maps[row, 0, rng.integers(GRID)] += background
        masked = np.broadcast_to(masks, count)
        foregrounds[~masked] = 1
        return FoldMaps(
            fold=fold,
            image_ids=np.array([f"{i}.png" for i in range(count)]),
            objects=np.array([f"part{i // 2}" for i in range(count)]),
            labels=labels,
            scores=maps.reshape(count, -1).max(axis=1).astype(np.float64),
            maps=maps,
            foregrounds=foregrounds,
            masked=masked,
            defects=defects,
        )

    return make


@pytest.fixture
def make_scores():
    """make_scores(separation) -> score table of 4 folds, 2 pictures an object, 24 good and 24 defective objects."""

    def make(separation=3.0, *, folds=4, objects=24, views=2, seed=0):
        rng = np.random.default_rng(seed)
        rows = [
            {
                "fold": fold,
                "partition": "threshold" if number % 2 else "inference",
                "image_id": f"{label}-{number}-{view}.png",
                "object_id": f"{label}-{number}",
                "label": label,
                "defect_type": "dent" if label else "good",
                "score": float(rng.normal(separation * label)),
            }
            for fold in range(folds)
            for label in (0, 1)
            for number in range(objects)
            for view in range(views)
        ]
        return pa.Table.from_pylist(rows)

    return make
