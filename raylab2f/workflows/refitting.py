"""One detector more for a finished run: trained on all good parts, by the settings of its folds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from raylab2f.cluster.session import ray_session
from raylab2f.cluster.training.folds import run_folds
from raylab2f.cluster.training.placement import FoldResources
from raylab2f.errors import UserError
from raylab2f.files.atomic import write_parquet
from raylab2f.files.mirror import fetch, local, publish
from raylab2f.files.parquet import read_parquet
from raylab2f.files.places import absolute, join
from raylab2f.files.strangers import read_json
from raylab2f.preparation import select_pictures
from raylab2f.reporting import Display
from raylab2f.runs.fold import FoldTask, fold_is_finished
from raylab2f.runs.folder import TUNE_FOLDER
from raylab2f.workflows.evidence import RunEvidence

__all__ = ["REFIT", "refit_run"]

#: In the run's folder; laid out like a fold's. Its threshold partition holds defective parts alone.
REFIT = "refit"


def refit_run(run: RunEvidence, display: Display, resources: FoldResources, address: str | None = None) -> Path:
    """Train on all good parts and score the defective ones, which nothing trains on.

    What is there already is not trained again, and what was cut off goes on from its last checkpoint.

    Returns:
        The folder, with `model.safetensors`, `model.json` and `scores.parquet`.

    Raises:
        UserError: the training failed, or the folder holds one on other pictures.
    """
    place = absolute(join(run.folder.place, REFIT))
    folder = fetch(place, alone=True)
    split = _split(run)
    path = folder / "split.parquet"
    if path.exists() and not read_parquet(path).equals(split):
        raise UserError(f"{place} was trained on other pictures than this run would now; delete it.")
    if fold_is_finished(folder):
        display.say(f"{REFIT}: trained before")
        return folder
    if not path.exists():
        write_parquet(path, split)
        publish(place, [path.name])
    settings = run.settings
    task = FoldTask(
        folder=place,
        # A number that no fold of the run has, from which its seed descends.
        fold=settings.folds,
        manifest=absolute(join(run.folder.place, run.folder.pictures.name)),
        detector=settings.detector,
        config=settings.config,
        seed=settings.seed,
        dataset=run.folder.name,
        pictures=run.inputs.seen_place,
        stores=run.inputs.seen_stores,
        memory_budget=settings.memory_budget,
        tile_score=settings.preparation.tile_score,
        per_position=settings.preparation.per_position,
    )
    with ray_session(address), display.stage("train on all good parts") as progress:

        def report(_: str, numbers: dict[str, object]) -> None:
            if isinstance(epoch := numbers.get("epoch"), int) and isinstance(of := numbers.get("epochs"), int):
                progress(epoch, of)

        failures = run_folds([task], resources, join(run.folder.place, TUNE_FOLDER), report, display.warn)
    if failures:
        raise UserError(f"{place}: the training failed ({failures[0].message}); mend that, and give the command again.")
    return local(place)


def _split(run: RunEvidence) -> pa.Table:
    """Of all good parts that folds may train on, and the pictures of defective ones."""
    described = read_json(run.folder.path / "run.json")["dataset"]
    manifest = run.manifest
    labels = np.asarray(manifest["label"])
    owners = np.array(manifest["object_id"].to_pylist())
    if run.settings.split_by == "picture":
        owners = np.array(manifest["image_id"].to_pylist())
    defective = np.isin(owners, owners[labels == 1])
    trains = labels == 0
    if described["train_on"]["train_on"] != "good-pictures":
        trains &= ~defective
    if not described["merge_nominal_test"]["merged"]:
        trains &= np.array([split == "train" for split in manifest["given_split"].to_pylist()])
    partition = np.where(trains, "train", np.where(defective, "threshold", ""))
    table = pa.table(
        {"image_id": manifest["image_id"], "object_id": manifest["object_id"], "partition": pa.array(partition)}
    )
    table = table.filter(pc.not_equal(table["partition"], ""))
    return select_pictures(table, run.pictures, run.settings.preparation, judges=False)
