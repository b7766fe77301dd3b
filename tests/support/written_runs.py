"""Run folders as run-cv leaves them, with simulated scores."""

import numpy as np
import pyarrow as pa
import pytest

from raylab2f.evaluation import plan_fold
from raylab2f.files.atomic import write_json, write_parquet

DEFECTIVE, GOOD, PICTURES = 16, 40, 2


@pytest.fixture(scope="session")
def write_run():
    """write_run(path, separation=..., ...) -> path, a finished run of 56 parts with two pictures each."""

    def write(path, *, separation=1.5, seed=0, plan_seed=0, folds=4, train_fraction=1.0, evaluation=None, **others):
        owner = np.repeat(np.arange(DEFECTIVE + GOOD), PICTURES)
        label = owner < DEFECTIVE
        ids = [f"part{o}/{i}.png" for i, o in enumerate(owner)]
        manifest = pa.table(
            {
                "image_id": ids,
                "object_id": [f"part{o}" for o in owner],
                "label": pa.array(label.astype(int), pa.int8()),
                "given_split": ["train"] * len(ids),
            }
        )
        base = np.random.default_rng(7).standard_normal(DEFECTIVE + GOOD)[owner]
        rng = np.random.default_rng(seed)
        for fold in range(folds):
            split = plan_fold(manifest, fold=fold, seed=plan_seed, train_fraction=train_fraction)
            write_parquet(path / "folds" / str(fold) / "split.parquet", split)
            score = separation * label + base + 0.5 * rng.standard_normal(len(ids))
            row = dict(zip(ids, zip(label.tolist(), score.tolist(), strict=True), strict=True))
            kept = split.filter(pa.compute.not_equal(split["partition"], "train"))
            label_and_score = [row[name] for name in kept["image_id"].to_pylist()]
            table = kept.append_column("fold", pa.array([fold] * len(kept), pa.int32()))
            table = table.append_column("label", pa.array([int(one) for one, _ in label_and_score], pa.int8()))
            table = table.append_column("score", pa.array([one for _, one in label_and_score]))
            write_parquet(path / "folds" / str(fold) / "scores.parquet", table)
        settings = {"train_fraction": train_fraction, "evaluation": evaluation or {"strategies": ["youden"]}, **others}
        write_json(path / "run.json", {"settings": settings})
        return path

    return write
