"""What the stages before training find out for one run: pictures, features, partitions, and what is recorded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from raylab2f.cluster.training.placement import FoldResources
from raylab2f.datasets import Dataset
from raylab2f.datasets.manifest import write_manifest
from raylab2f.detectors.registry import config_from_dict, detector_class
from raylab2f.errors import UserError
from raylab2f.evaluation import plan_sizes
from raylab2f.evaluation.plans.iid_check import check_iid
from raylab2f.features import FeatureStore
from raylab2f.files.atomic import write_parquet
from raylab2f.files.mirror import local, publish
from raylab2f.files.parquet import read_parquet
from raylab2f.files.places import absolute, join
from raylab2f.pitfalls import Caution, split_muted
from raylab2f.preparation import PictureShards, with_copies
from raylab2f.preparation.tile_table import require_one_frame
from raylab2f.reporting import Display
from raylab2f.runs.fold import FoldTask
from raylab2f.runs.folder import RunFolder, RunSettings
from raylab2f.runs.positions import require_trained_positions
from raylab2f.runs.possible_size import require_possible_size
from raylab2f.runs.small_defects import small_defects_cautions
from raylab2f.runs.splits import (
    check_breakdown_columns,
    plan_cautions,
    plan_splits,
    settled_merge,
    settled_training,
    training_cautions,
)
from raylab2f.runs.tiled import reading_of
from raylab2f.workflows.inputs import prepare_inputs

__all__ = ["RunPlan", "plan_run", "require_possible_parts"]


@dataclass(frozen=True)
class RunPlan:
    """A run that can be trained.

    Arguments:
        settings, folder: of the run.
        tasks: its folds.
        warnings: what the reader of results must know of data and plan.
        description: of the data set, as in `run.json`.
        features: pictures whose features were `stored` and `computed`.
    """

    settings: RunSettings
    folder: RunFolder
    tasks: list[FoldTask]
    warnings: list[Caution]
    description: dict[str, Any]
    features: dict[str, int]


def plan_run(
    settings: RunSettings,
    folder: RunFolder,
    dataset: Dataset,
    identity: str,
    cache: str,
    display: Display,
    resources: FoldResources,
) -> RunPlan:
    """Shards, features and fold plans of one run, found or made, and recorded in its folder.

    Raises:
        UserError: the plan is impossible, or differs from the one that the folder holds.
    """
    check_breakdown_columns(settings, dataset.manifest)
    settled = settled_merge(settings, dataset.manifest)
    # Mistakes in the plan are told before the pictures are prepared.
    copies = with_copies(dataset.manifest, settings.preparation.angles)
    require_possible_parts(settings, copies, resources)
    assumed = settled is None or settled["merged"]
    splits = plan_splits(settings, dataset.manifest, copies, identity, merge=assumed)
    if not folder.exists():
        require_possible_size(settings.detector, config_from_dict(settings.detector, settings.config))
    gpus_come = resources.grow and bool(resources.gpus)
    inputs = prepare_inputs(settings, dataset.manifest, identity, cache, display, gpus_come=gpus_come)
    muted = settings.evaluation.get("mute", ())
    for warning in split_muted(inputs.warnings, muted)[0]:
        display.warn(warning)
    if inputs.extracted == 0:
        display.say("features: found in the store, none extracted")

    merge_note = settled or _merge_decision(settings, dataset.manifest, inputs.stores[0])
    training = settled_training(settings, dataset.manifest, merge=merge_note["merged"])
    description = {
        "name": dataset.name,
        "fingerprint": identity,
        **_counts(dataset.manifest),
        "skipped": [list(item) for item in dataset.skipped],
        "split_by": settings.split_by,
        "scheme": settings.scheme,
        "train_fraction": settings.train_fraction,
        "merge_nominal_test": merge_note,
        "train_on": training.to_dict(),
        "preparation": {**settings.preparation.to_dict(), "canvas": inputs.preparation.to_dict()["canvas"]},
    }
    if merge_note["merged"] != assumed:
        splits = plan_splits(settings, dataset.manifest, inputs.pictures, identity, merge=merge_note["merged"])
    if settings.preparation.per_position:
        require_trained_positions(reading_of(PictureShards.open(local(inputs.seen_place))), splits)
    for fold, split in enumerate(splits):
        _check_split(folder.fold(fold) / "split.parquet", split)
    # First, for it says whose folder this is.
    folder.begin(settings, description, [plan_sizes(split, inputs.pictures) for split in splits], absolute(cache))
    if not folder.manifest.exists():
        write_manifest(folder.manifest, dataset.manifest)
    if not folder.pictures.exists():
        write_parquet(folder.pictures, inputs.pictures)
    tasks = []
    for fold, split in enumerate(splits):
        path = folder.fold(fold) / "split.parquet"
        if not path.exists():
            write_parquet(path, split)
        tasks.append(
            FoldTask(
                folder=folder.fold_place(fold),
                fold=fold,
                manifest=absolute(join(folder.place, folder.pictures.name)),
                detector=settings.detector,
                config=settings.config,
                seed=settings.seed,
                dataset=dataset.name,
                pictures=inputs.seen_place,
                stores=inputs.seen_stores,
                epoch_scores=settings.epoch_scores,
                memory_budget=settings.memory_budget,
                tile_score=settings.preparation.tile_score,
                per_position=settings.preparation.per_position,
            )
        )
    publish(folder.place, ["manifest.parquet", "pictures.parquet", "folds/*/split.parquet", "run.json"])
    shapes = _shapes(inputs.stores) if detector_class(settings.detector).patch_is_known else []
    of_plan = small_defects_cautions(dataset.manifest, inputs.preparation, shapes, settings.data.pixel_limit)
    of_plan += plan_cautions(settings, training) + training_cautions(settings, splits, dataset.manifest)
    for warning in split_muted(of_plan, muted)[0]:
        display.warn(warning)
    warnings = [*dataset.warnings, *inputs.warnings, *of_plan]
    if dataset.skipped:
        sentence = f"{len(dataset.skipped)} files could not be used and were left out (--skip-unreadable)."
        warnings.append(Caution("RL206", sentence))
    features = {"stored": inputs.found, "computed": inputs.extracted}
    return RunPlan(settings, folder, tasks, warnings, description, features)


def require_possible_parts(settings: RunSettings, copies: pa.Table, resources: FoldResources) -> None:
    """`UserError` where detectors for each position, or one that sees pictures, cannot be trained as it is asked.

    Arguments:
        copies: `with_copies` of the data set.
    """
    per_position = settings.preparation.per_position
    if resources.workers > 1 and (per_position or detector_class(settings.detector).reads_pictures):
        who = "what trains by --per-position" if per_position else settings.detector
        raise UserError(f"--workers-per-fold {resources.workers}: {who} trains in one process; leave it out.")
    if per_position and settings.preparation.centre_embed is None:
        require_one_frame(copies, settings.preparation.resolve(settings.config["size"]))


def _merge_decision(settings: RunSettings, manifest: pa.Table, store: str) -> dict[str, Any]:
    """Whether the given test nominals join the nominal pool (step 0), and why, from the deepest stored features."""
    nominal = manifest.filter(pa.compute.equal(manifest["label"], 0)).sort_by("image_id")
    is_test = np.array([split == "test" for split in nominal["given_split"].to_pylist()], bool)
    features = FeatureStore.open(local(store))
    pooled = features.means(nominal["image_id"].to_pylist(), features.layers[-1])
    objects = np.array(nominal["object_id"].to_pylist())
    check = check_iid(pooled[~is_test], objects[~is_test], pooled[is_test], objects[is_test], seed=settings.seed)
    return {"merged": check.merge, "p_value": check.p_value, "reason": check.sentence}


def _shapes(stores: Sequence[str]) -> list[tuple[int, int, int]]:
    """(C, H, W) of all maps of these stores."""
    return [shape for store in stores for shape in FeatureStore.open(local(store)).shapes.values()]


def _check_split(path: Path, split: pa.Table) -> None:
    """Hold a fold's split against the one that is there, if any."""
    if path.exists() and not read_parquet(path).equals(split):
        raise UserError(f"{path} differs from the plan for this data and seed; choose another --out.")


def _counts(manifest: pa.Table) -> dict[str, int]:
    labels = np.asarray(manifest["label"])
    objects = np.array(manifest["object_id"].to_pylist())
    anomalous = set(objects[labels == 1])
    return {
        "pictures": manifest.num_rows,
        "anomalous_pictures": int((labels == 1).sum()),
        "objects": len(set(objects)),
        "anomalous_objects": len(anomalous),
    }
