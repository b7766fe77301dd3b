"""A finished run as the tables and arrays that diagnoses take."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from raylab2f.datasets.manifest import fingerprint
from raylab2f.diagnostics.alignment import LEAST_DEVIATIONS, aligned_greys, confirm_pairs
from raylab2f.diagnostics.complexity import picture_complexity
from raylab2f.diagnostics.maps import FoldMaps, masks_on_grid
from raylab2f.diagnostics.near_duplicates import (
    candidates,
    feature_signatures,
    near_pairs,
    picture_hashes,
    pooled_positions,
    poses_known,
    shared_views,
    small_greys,
)
from raylab2f.diagnostics.variance import Activations, activations, join_activations
from raylab2f.errors import UserError
from raylab2f.features import FeatureStore
from raylab2f.files.mirror import fetch, local
from raylab2f.files.parquet import read_parquet
from raylab2f.files.places import place_of
from raylab2f.files.strangers import read_json
from raylab2f.preparation import PictureShards
from raylab2f.preparation.tiling import shrink_map
from raylab2f.reporting import Display
from raylab2f.runs.fold import fold_is_finished
from raylab2f.runs.folder import RunFolder, RunSettings
from raylab2f.workflows.inputs import Inputs, prepare_inputs

__all__ = [
    "FinishedFolds",
    "RunEvidence",
    "activations_of",
    "complexity_table",
    "finished_folds",
    "fold_maps",
    "gather_evidence",
    "keeps_models",
    "near_duplicates",
    "open_run",
    "run_thresholds",
    "spatial_means",
]

_PORTION = 256


@dataclass(frozen=True)
class RunEvidence:
    """What a finished run left.

    Arguments:
        folder, settings: of the run.
        manifest: the data set.
        pictures: `preparation.with_copies` of it.
        splits: per finished fold `image_id`, `object_id`, `partition`.
        scores: score tables of all finished folds, and a column `trained`: whether the picture's turn and view occur in
            the fold's training.
        thresholds: per fold, by the first threshold strategy, on image scores, the high one of two; folds without one
            are absent.
        inputs: prepared pictures and features.
    """

    folder: RunFolder
    settings: RunSettings
    manifest: pa.Table
    pictures: pa.Table
    splits: Mapping[int, pa.Table]
    scores: pa.Table
    thresholds: Mapping[int, float]
    inputs: Inputs

    @property
    def strategy(self) -> str:
        """The threshold strategy by which decisions are read."""
        return _first_strategy(self.settings)

    @property
    def masked(self) -> frozenset[str]:
        """Prepared pictures with a known foreground mask."""
        known = self.pictures.filter(pc.is_valid(self.pictures["foreground_path"]))
        return frozenset(known["image_id"].to_pylist())

    def plain(self, label: int | None = None) -> pa.Table:
        """Rows of `pictures` as they are, without turned copies, perhaps of one label only."""
        rows = self.pictures.filter(pc.equal(self.pictures["rotation"], 0.0))
        return rows if label is None else rows.filter(pc.equal(rows["label"], label))


def _first_strategy(settings: RunSettings) -> str:
    """The threshold strategy that the user named first."""
    return str(settings.evaluation.get("strategies", ["youden"])[0])


@dataclass(frozen=True)
class FinishedFolds:
    """A run's folder, its settings and the numbers of its finished folds."""

    folder: RunFolder
    settings: RunSettings
    numbers: tuple[int, ...]


def finished_folds(place: str | Path) -> FinishedFolds:
    """Look at what a run's folder holds.

    Raises:
        UserError: there is no run, or none of its folds is finished.
    """
    folder = RunFolder(place_of(place))
    fetch(folder.place)
    settings = folder.settings()
    folder.refuse_links()
    finished = tuple(fold for fold in range(settings.folds) if fold_is_finished(folder.fold(fold)))
    if not finished or not folder.metrics.exists():
        lacks = "its folds are not judged" if finished else "no fold is finished"
        raise UserError(f"{folder.place}: {lacks}; finish the run with run-cv --resume.")
    return FinishedFolds(folder, settings, finished)


def keeps_models(found: FinishedFolds) -> bool:
    """Whether the folds' detectors can be loaded again; see `Detector.keeps_model`."""
    records = (read_json(found.folder.fold(fold) / "fold.json") for fold in found.numbers)
    return all(record.get("keeps_model", True) for record in records)


def open_run(place: str | Path, cache: str | Path, display: Display) -> RunEvidence:
    """Look at a run and read it; see `finished_folds` and `gather_evidence`."""
    return gather_evidence(finished_folds(place), cache, display)


def gather_evidence(found: FinishedFolds, cache: str | Path, display: Display) -> RunEvidence:
    """Read a run; what the cache lacks of its pictures and features is made again, which needs a connection to Ray."""
    folder, settings, finished = found.folder, found.settings, found.numbers
    manifest, pictures = read_parquet(folder.manifest), read_parquet(folder.pictures)
    splits = {fold: read_parquet(folder.fold(fold) / "split.parquet") for fold in finished}
    scores = pa.concat_tables(
        _with_trained(read_parquet(folder.fold(fold) / "scores.parquet"), splits[fold], pictures) for fold in finished
    )
    inputs = prepare_inputs(settings, manifest, fingerprint(manifest), cache, display)
    thresholds = run_thresholds(folder, _first_strategy(settings), "image")
    return RunEvidence(folder, settings, manifest, pictures, splits, scores, thresholds, inputs)


def fold_maps(run: RunEvidence) -> Iterator[FoldMaps]:
    """Maps of each fold's evaluation pictures in turns and views that trained."""
    masked = run.masked
    for fold in run.splits:
        scores = run.scores.filter(pc.and_(pc.equal(run.scores["fold"], fold), run.scores["trained"]))
        if not scores.num_rows:
            continue
        if not (path := run.folder.fold(fold) / "maps.parquet").exists():
            # Of a detector that gives none.
            continue
        table = read_parquet(path)
        place = {image_id: row for row, image_id in enumerate(table["image_id"].to_pylist())}
        image_ids = scores["image_id"].to_pylist()
        maps = table["map"].combine_chunks().to_numpy_ndarray()[[place[image_id] for image_id in image_ids]]
        # Those of tiles are finer than the prepared pictures, beside whose masks they are laid.
        maps = shrink_map(maps, run.inputs.preparation.size)
        grid = (maps.shape[1], maps.shape[2])
        row_of, foregrounds, defects = _masks(run.inputs.shards.folder, grid)
        rows = [row_of[image_id] for image_id in image_ids]
        yield FoldMaps(
            fold=fold,
            image_ids=np.array(image_ids),
            objects=np.array(scores["object_id"].to_pylist()),
            labels=np.array(scores["label"].to_pylist(), np.int64),
            scores=np.array(scores["score"].to_pylist(), np.float64),
            maps=np.asarray(maps, np.float32),
            foregrounds=foregrounds[rows],
            masked=np.array([image_id in masked for image_id in image_ids]),
            defects=defects[rows] > 0,
        )


def spatial_means(run: RunEvidence, image_ids: Sequence[str]) -> np.ndarray:
    """(n, C) means over positions of the deepest stored features."""
    store = FeatureStore.open(local(run.inputs.stores[0]))
    return store.means(image_ids, store.layers[-1])


def activations_of(inputs: Inputs, image_ids: Sequence[str]) -> Activations:
    """The strongest activations in the deepest stored features."""
    store = FeatureStore.open(local(inputs.stores[0]))
    portions = (image_ids[start : start + _PORTION] for start in range(0, len(image_ids), _PORTION))
    return join_activations([activations(store.read(portion, store.layers[-1])) for portion in portions])


def near_duplicates(run: RunEvidence) -> tuple[pa.Table, bool]:
    """Near-duplicate pairs of different objects among all pictures as they are, and whether their poses are known.

    Columns are `one`, `other`, `cosine`, `hash_distance` and `agreement`, see `diagnostics.alignment.confirm_pairs`.
    """
    plain = run.plain()
    image_ids, objects = plain["image_id"].to_pylist(), plain["object_id"].to_pylist()
    views = shared_views(plain["view"].to_pylist(), objects)
    pooled = np.concatenate([pooled_positions(maps) for maps in _features(run, image_ids)])
    greys = np.concatenate(
        [small_greys(run.inputs.shards.read(portion, ["picture"])["picture"]) for portion in _portions(image_ids)]
    )
    seed = run.settings.seed
    signatures, hashes = feature_signatures(pooled, views, seed=seed), picture_hashes(greys, views, seed=seed)
    pairs, cosine, distance = near_pairs(signatures, hashes)
    kept = candidates(pairs, cosine, objects)
    deviations = _confirmed(run, image_ids, objects, pairs[kept])
    kept, deviations = kept[deviations >= LEAST_DEVIATIONS], deviations[deviations >= LEAST_DEVIATIONS]
    names = np.array(image_ids, object)
    table = pa.table(
        {
            "one": pa.array(names[pairs[kept, 0]], pa.string()),
            "other": pa.array(names[pairs[kept, 1]], pa.string()),
            "cosine": cosine[kept],
            "hash_distance": distance[kept],
            "agreement": deviations,
        }
    )
    return table, poses_known(views)


def _confirmed(run: RunEvidence, image_ids: Sequence[str], objects: Sequence[str], pairs: np.ndarray) -> np.ndarray:
    """`confirm_pairs`, with pictures read only where there are pairs to look at."""
    if not len(pairs):
        return np.empty(0)
    greys = [aligned_greys(run.inputs.shards.read(portion, ["picture"])["picture"]) for portion in _portions(image_ids)]
    return confirm_pairs(np.concatenate(greys), pairs, objects, seed=run.settings.seed)


def complexity_table(run: RunEvidence) -> pa.Table:
    """Complexity and background statistics of all scored pictures."""
    image_ids = sorted(set(run.scores["image_id"].to_pylist()))
    shards = run.inputs.shards
    columns = ["picture", "foreground"] if shards.has_foregrounds else ["picture"]
    tables = []
    for portion in _portions(image_ids):
        stored = shards.read(portion, columns)
        tables.append(picture_complexity(portion, stored["picture"], stored.get("foreground")))
    return pa.concat_tables(tables)


def _portions(image_ids: Sequence[str]) -> Iterator[list[str]]:
    for start in range(0, len(image_ids), _PORTION):
        yield list(image_ids[start : start + _PORTION])


def _features(run: RunEvidence, image_ids: Sequence[str]) -> Iterator[np.ndarray]:
    store = FeatureStore.open(local(run.inputs.stores[0]))
    for portion in _portions(image_ids):
        yield store.read(portion, store.layers[-1])


@lru_cache(maxsize=1)
def _masks(folder: Path, grid: tuple[int, int]) -> tuple[dict[str, int], np.ndarray, np.ndarray]:
    """Row of every prepared picture in `folder`, and all foregrounds and defects on the maps' grid.

    Every fold and several diagnoses look at them, and reading them takes longer than all else they do.
    """
    shards = PictureShards.open(folder)
    parts: dict[str, list[np.ndarray]] = {"foreground": [], "defect": []}
    for portion in _portions(shards.image_ids):
        for name, masks in shards.read(portion, list(parts)).items():
            parts[name].append(masks_on_grid(masks, grid))
    rows = {image_id: row for row, image_id in enumerate(shards.image_ids)}
    return rows, np.concatenate(parts["foreground"]), np.concatenate(parts["defect"])


def _with_trained(scores: pa.Table, split: pa.Table, pictures: pa.Table) -> pa.Table:
    """The scores with a column `trained`.

    Where fewer than half of the evaluation pictures show a view that trains, views are names of pictures rather than
    poses, and only turns are compared.
    """
    pose = {
        image_id: (rotation % 360, view)
        for image_id, rotation, view in zip(
            *(pictures[key].to_pylist() for key in ("image_id", "rotation", "view")), strict=True
        )
    }
    trains = pc.equal(split["partition"], "train")
    trained = [pose[image_id] for image_id in split.filter(trains)["image_id"].to_pylist()]
    turns, views = {turn for turn, _ in trained}, {view for _, view in trained}
    judged = [pose[image_id] for image_id in scores["image_id"].to_pylist()]
    seen = [view in views for _, view in judged]
    if 2 * sum(seen) < len(seen):
        seen = [True] * len(seen)
    known = [ok and turn in turns for ok, (turn, _) in zip(seen, judged, strict=True)]
    return scores.append_column("trained", pa.array(known, pa.bool_()))


def run_thresholds(folder: RunFolder, strategy: str, level: str, column: str = "threshold") -> dict[int, float]:
    """By fold, the threshold that `strategy` chose at a level; folds without one are absent.

    Arguments:
        column: `threshold`, or `low_threshold`, below which parts are accepted where a person looks between the two.
    """
    metrics = read_parquet(folder.metrics).to_pylist()
    return {
        int(row["fold"]): float(row[column])
        for row in metrics
        if row["strategy"] == strategy and row["level"] == level and row.get(column) is not None
    }
