"""Ray Data runs the frozen backbone over the image shards, once for all folds, detectors and runs."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import ray.data
import torch
from ray.data import ActorPoolStrategy
from ray.exceptions import RayActorError
from ray.util.annotations import RayDeprecationWarning
from torch.nn import functional

from raylab2f.cluster.failures import user_errors_unwrapped
from raylab2f.cluster.session import cluster_slots, ray_session
from raylab2f.detectors.base import FeatureRequest
from raylab2f.features import (
    Backbone,
    BackboneSpec,
    address,
    create_backbone,
    drop_damaged_parts,
    feature_ingredients,
    finish_store,
    missing_parts,
    write_part,
)
from raylab2f.preparation import SHARD_ROWS, PictureShards
from raylab2f.preparation.shards import read_shard, shard_path

__all__ = ["Extraction", "backbone_features", "extract_features"]

_BATCH = 16
# An actor spends seconds importing torch and loading weights; fewer shards than these are not worth another one.
_SHARDS_PER_ACTOR = 2
# So often the extraction goes on after a process or a node was lost; the parts on storage are not made again.
_RESTARTS = 3


@dataclass(frozen=True)
class Extraction:
    """Where the features are, and whether anything had to be computed.

    Arguments:
        stores: one folder per feature request.
        extracted: pictures that passed the backbone; 0 when everything was found.
    """

    stores: tuple[Path, ...]
    extracted: int


def extract_features(
    shards: PictureShards,
    fingerprint: str,
    preparation: dict[str, Any],
    requests: Sequence[FeatureRequest],
    cache: Path,
    *,
    dtype: str = "float16",
    progress: Callable[[int, int], None] | None = None,
    warn: Callable[[str], None] | None = None,
) -> Extraction:
    """The feature stores for `requests` under `cache`; what is there already is not computed again.

    Arguments:
        shards: the prepared pictures of the dataset with this `fingerprint` and `preparation`.
        dtype: `float16` or `float32`, on disk.
        progress: called with pictures done and pictures in all.
        warn: called with a sentence on files that were found damaged and are made again.

    Raises:
        UserError: the weights cannot be had, or the features do not fit the type.
    """
    stores = [_Store.of(request, fingerprint, preparation, cache / "features", dtype, warn) for request in requests]
    todo = [store for store in stores if not store.finished]
    extracted = 0
    for attempt in range(_RESTARTS + 1):
        items = _missing_shards(todo, shards.shard_count)
        if not items:
            break
        total = extracted + sum(_shard_size(shards, item["shard"]) for item in items)
        try:
            with ray_session(), user_errors_unwrapped():
                for row in _extraction(items, shards, todo).iter_rows():
                    extracted += row["count"]
                    if progress:
                        progress(extracted, total)
        except RayActorError:
            if attempt == _RESTARTS:
                raise
        # The failed dataset is part of a cycle with its error. As long as it is there, so are its other actors, and
        # they keep slots that folds would wait for in vain.
        gc.collect()
    for store in todo:
        finish_store(store.folder, store.ingredients)
    return Extraction(tuple(store.folder for store in stores), extracted)


@dataclass(frozen=True)
class _Store:
    """A feature store as far as it is filled."""

    request: FeatureRequest
    folder: Path
    ingredients: dict[str, Any]
    dtype: str
    finished: bool

    @classmethod
    def of(
        cls,
        request: FeatureRequest,
        dataset: str,
        preparation: dict[str, Any],
        root: Path,
        dtype: str,
        warn: Callable[[str], None] | None,
    ) -> _Store:
        digest = create_backbone(_spec(request)).weights_digest
        ingredients = feature_ingredients(
            dataset=dataset,
            preparation=preparation,
            backbone=request.backbone,
            weights_digest=digest,
            layers=request.layers,
            size=request.size,
            dtype=dtype,
        )
        folder = root / address(ingredients)
        damaged = drop_damaged_parts(folder)
        if damaged and warn:
            warn(f"{folder}: {', '.join(damaged)} not as written; computed again.")
        return cls(request, folder, ingredients, dtype, (folder / "store.json").exists())


def _missing_shards(stores: list[_Store], shard_count: int) -> list[dict[str, Any]]:
    """Per shard that some store lacks: its number, and the numbers of those stores."""
    missing = [set(missing_parts(store.folder, shard_count)) for store in stores]
    return [
        {"shard": shard, "stores": [number for number, parts in enumerate(missing) if shard in parts]}
        for shard in sorted(set().union(*missing))
    ]


def _extraction(items: list[dict[str, Any]], shards: PictureShards, stores: list[_Store]) -> ray.data.Dataset:
    """The lazy dataset whose rows appear as shards are done: one actor per GPU, or per processor slot."""
    cpus, gpus = cluster_slots()
    actors = min(gpus or cpus, -(-len(items) // _SHARDS_PER_ACTOR))
    # Ray would restart a lost actor only while the process that made its arguments lives, and says so on the terminal
    # each time; without restarts `extract_features` goes on with what is missing. Ray 2.60 has no other name for it.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RayDeprecationWarning)
        return ray.data.from_items(items, override_num_blocks=len(items)).map(
            _Extractor,  # type: ignore[arg-type]  # Ray annotates functions only
            fn_constructor_args=(shards, stores),
            compute=ActorPoolStrategy(size=actors),
            num_cpus=1,
            num_gpus=1 if gpus else 0,
            max_restarts=0,
        )


class _Extractor:
    """An actor that holds the backbones and writes the features of one shard after another."""

    def __init__(self, shards: PictureShards, stores: list[_Store]) -> None:
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.shards = shards
        self.stores = stores
        specs = {_spec(store.request) for store in stores}
        self.backbones = {spec: create_backbone(spec).to(self.device) for spec in specs}

    def __call__(self, item: dict[str, Any]) -> dict[str, Any]:
        shard = int(item["shard"])
        pictures = torch.from_numpy(read_shard(shard_path(self.shards.folder, shard), ["picture"])["picture"])
        image_ids = self.shards.image_ids[shard * SHARD_ROWS : shard * SHARD_ROWS + len(pictures)]
        for number in item["stores"]:
            store = self.stores[int(number)]
            write_part(
                store.folder, shard, image_ids, store.request.layers, self._features(pictures, store), store.dtype
            )
        return {"count": len(pictures)}

    def _features(self, pictures: torch.Tensor, store: _Store) -> list[np.ndarray]:
        """One (n, C, H, W) float32 array per layer."""
        backbone = self.backbones[_spec(store.request)]
        batches = [
            backbone_features(backbone, batch.to(self.device), store.request.size) for batch in pictures.split(_BATCH)
        ]
        return [torch.cat([map_.cpu() for map_ in layer]).numpy() for layer in zip(*batches, strict=True)]


@torch.inference_mode()
def backbone_features(backbone: Backbone, pictures: torch.Tensor, size: tuple[int, int]) -> list[torch.Tensor]:
    """Features of prepared pictures (n, H, W, 3), uint8, at the `size` of a feature request: (n, C, h, w) float32."""
    prepared = backbone.preprocess(pictures)
    if prepared.shape[-2:] != size:
        prepared = functional.interpolate(prepared, size, mode="bilinear", antialias=True)
    return [feature.float() for feature in backbone(prepared)]


def _spec(request: FeatureRequest) -> BackboneSpec:
    return BackboneSpec(request.backbone, request.weights, request.layers)


def _shard_size(shards: PictureShards, shard: int) -> int:
    return min(SHARD_ROWS, len(shards.image_ids) - shard * SHARD_ROWS)
