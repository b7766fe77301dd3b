"""Simulated score tables with objects that have several pictures."""

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import settings

settings.register_profile("evaluation", deadline=None, max_examples=40, derandomize=True)
settings.load_profile("evaluation")


def simulate_scores(
    *,
    anomalous: int = 12,
    nominal: int = 14,
    pictures: int = 3,
    folds: int = 3,
    separation: float = 1.5,
    decimals: int | None = None,
    seed: int = 0,
) -> pa.Table:
    """One row a fold and picture; `decimals` rounds the scores so that ties occur."""
    rng = np.random.default_rng(seed)
    objects = anomalous + nominal
    owner = np.repeat(np.arange(objects), pictures)
    label = owner < anomalous
    base = separation * label + rng.standard_normal(objects)[owner] + rng.standard_normal(len(owner))
    blocks = []
    for fold in range(folds):
        judged = np.zeros(objects, dtype=bool)
        judged[rng.permutation(anomalous)[: anomalous // 2]] = True
        judged[anomalous + rng.permutation(nominal)[: nominal // 2]] = True
        score = base + 0.3 * rng.standard_normal(len(owner))
        blocks.append(
            pa.table(
                {
                    "fold": pa.array(np.full(len(owner), fold), pa.int32()),
                    "partition": np.where(judged[owner], "inference", "threshold"),
                    "image_id": [f"part {o}/view {i}.png" for i, o in enumerate(owner)],
                    "object_id": [f"part {o}" for o in owner],
                    "label": pa.array(label.astype(int), pa.int8()),
                    "score": score if decimals is None else score.round(decimals),
                    "defect_type": [("dent", "scratch")[o % 2] if o < anomalous else "good" for o in owner],
                }
            )
        )
    return pa.concat_tables(blocks)


@pytest.fixture(scope="session")
def simulate() -> Callable[..., pa.Table]:
    return simulate_scores
