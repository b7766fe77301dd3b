"""Scores of parts whose defects have sizes."""

import numpy as np
import pyarrow as pa


def scores(seed=0, *, defective=60, good=60, folds=4, base=0.0, slope=1.0, sizes=None):
    """Parts with two pictures each, which several folds judge; larger defects score higher."""
    rng = np.random.default_rng(seed)
    size = np.exp(rng.uniform(0, 4, defective)) if sizes is None else sizes
    rows = []
    for fold in range(folds):
        for part in range(defective + good):
            bad = part < defective
            severity = base + slope * np.log(size[part]) if bad else 0.0
            rows += [
                {
                    "fold": fold,
                    "partition": "inference" if (part + fold) % 2 else "threshold",
                    "image_id": f"{part}/{view}",
                    "object_id": f"part {part}",
                    "label": int(bad),
                    "defect_type": ("dent" if part % 2 else "scratch") if bad else None,
                    "score": float(severity + rng.normal()),
                    "size": float(size[part]) if bad else None,
                }
                for view in range(2)
            ]
    return pa.Table.from_pylist(rows)
