"""Score tables in which every part, of two pictures, chooses thresholds in one fold and is judged in the next."""

import numpy as np
import pyarrow as pa


def alternating_scores(seed, parts=24, folds=2):
    """A table of folds; every third part is defective, and scores are rounded, so that some are equal."""
    rng = np.random.default_rng(seed)
    rows = [
        {
            "fold": fold,
            "image_id": f"{part}/{view}",
            "object_id": str(part),
            "label": int(part % 3 == 0),
            "partition": "threshold" if (part // 3 + fold) % 2 else "inference",
            "score": float(np.round(rng.normal(part % 3 == 0), 1)),
        }
        for fold in range(folds)
        for part in range(parts)
        for view in range(2)
    ]
    return pa.Table.from_pylist(rows)
