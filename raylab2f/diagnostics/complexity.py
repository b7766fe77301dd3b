"""How complex pictures are, and what their backgrounds are like, in numbers."""

from __future__ import annotations

import zlib

import cv2
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

__all__ = ["BACKGROUND_STATISTICS", "COMPLEXITY_SCHEMA", "picture_complexity"]

BACKGROUND_STATISTICS = ("background_mean", "background_std", "background_entropy", "background_edges")

COMPLEXITY_SCHEMA = pa.schema(
    [("image_id", pa.string()), ("entropy", pa.float64()), ("complexity", pa.float64())]
    + [(name, pa.float64()) for name in BACKGROUND_STATISTICS]
)

_SIDE = 128


def picture_complexity(
    image_ids: list[str], pictures: NDArray[np.uint8], foregrounds: NDArray[np.uint8] | None = None
) -> pa.Table:
    """One row a picture.

    Arguments:
        pictures: (n, H, W, 3) RGB.
        foregrounds: (n, H, W), 1 on the object; `None`: unknown, the background's columns are null.

    Returns:
        Table of `COMPLEXITY_SCHEMA`. `entropy`: of the grey values, bits. `complexity`: bits a pixel of the losslessly
        compressed picture (side 128). Background: mean, standard deviation, entropy of the grey values, and mean
        absolute Laplacian, over pixels that are not the object.
    """
    rows = []
    for number, (image_id, picture) in enumerate(zip(image_ids, pictures, strict=True)):
        grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
        small = cv2.resize(grey, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
        # Differences of neighbours are what lossless picture formats compress.
        steps = np.diff(small.astype(np.int16), axis=1, prepend=0).astype(np.uint8)
        row: dict[str, object] = {
            "image_id": image_id,
            "entropy": _entropy(grey),
            "complexity": 8 * len(zlib.compress(steps.tobytes(), 6)) / small.size,
        }
        if foregrounds is not None and (foregrounds[number] == 0).any():
            outside = foregrounds[number] == 0
            values = grey[outside].astype(np.float64)
            edges = np.abs(cv2.Laplacian(grey.astype(np.float32), cv2.CV_32F))[outside]
            row |= {
                "background_mean": float(values.mean()),
                "background_std": float(values.std()),
                "background_entropy": _entropy(grey[outside]),
                "background_edges": float(edges.mean()),
            }
        rows.append(row)
    return pa.Table.from_pylist(rows, schema=COMPLEXITY_SCHEMA)


def _entropy(values: NDArray[np.uint8]) -> float:
    share = np.bincount(values.ravel(), minlength=256) / values.size
    share = share[share > 0]
    return float(-(share * np.log2(share)).sum())
