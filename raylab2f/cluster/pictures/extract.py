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
from ray.exceptions import OutOfMemoryError, RayActorError
from ray.util.annotations import RayDeprecationWarning

from raylab2f.cluster.devices import device_for
from raylab2f.cluster.failures import user_errors_unwrapped
from raylab2f.cluster.session import cluster_slots, ray_session
from raylab2f.detectors.backbone_features import backbone_features, backbone_spec
from raylab2f.detectors.base import FeatureRequest
from raylab2f.features import (
    address,
    create_backbone,
    drop_damaged_parts,
    feature_ingredients,
    finish_store,
    missing_parts,
    write_part,
)
from raylab2f.features.store_writing import array_path
from raylab2f.files.atomic import STALE_SECONDS, remove_temporaries
from raylab2f.files.mirror import fetch, local, publish, repair
from raylab2f.files.places import absolute, join
from raylab2f.preparation import SHARD_ROWS, PictureShards
from raylab2f.preparation.shards import read_shard, shard_path
from raylab2f.reporting.watchdog import stacks_on_signal

__all__ = ["Extraction", "extract_features", "store_ingredients"]

_BATCH = 16
# An actor spends seconds importing torch and loading weights; fewer shards than these are not worth another one.
_SHARDS_PER_ACTOR = 2
# So often the extraction goes on after a process or a node was lost; the parts on storage are not made again.
_RESTARTS = 3


@dataclass(frozen=True)
class Extraction:
    """Where the features are, and whether anything had to be computed.

    Arguments:
        stores: one place per feature request; their files are in this machine's mirror.
        extracted: pictures that passed the backbone; 0 when everything was found.
    """

    stores: tuple[str, ...]
    extracted: int


def extract_features(
    pictures: str,
    fingerprint: str,
    preparation: dict[str, Any],
    requests: Sequence[FeatureRequest],
    cache: str | Path,
    *,
    dtype: str = "float16",
    gpus_come: bool = False,
    progress: Callable[[int, int], None] | None = None,
    warn: Callable[[str], None] | None = None,
) -> Extraction:
    """The feature stores for `requests` under `cache`; what is there already is not computed again.

    Arguments:
        pictures: the place of the shards of the dataset with this `fingerprint` and `preparation`.
        dtype: `float16` or `float32`, on disk.
        gpus_come: the cluster adds a node with a GPU if one is asked for; a cluster without GPUs is then asked.
        progress: called with pictures done and pictures in all.
        warn: called with a sentence on files that were found damaged and are made again.

    Raises:
        UserError: the weights cannot be had, or the features do not fit the type.
    """
    found = store_ingredients(requests, fingerprint, preparation, cache, dtype)
    stores = [_Store.of(request, *store, dtype, warn) for request, store in zip(requests, found, strict=True)]
    shards = PictureShards.open(local(pictures))
    todo = [store for store in stores if not store.finished]
    extracted = 0
    for attempt in range(_RESTARTS + 1):
        items = _missing_shards(todo, shards.shard_count)
        if not items:
            break
        total = extracted + sum(_shard_size(shards, item["shard"]) for item in items)
        try:
            with ray_session(), user_errors_unwrapped():
                for row in _extraction(items, pictures, todo, gpus_come).iter_rows():
                    extracted += row["count"]
                    if progress:
                        progress(extracted, total)
        except (RayActorError, OutOfMemoryError):
            if attempt == _RESTARTS:
                raise
        # The failed dataset is part of a cycle with its error. As long as it is there, so are its other actors, and
        # they keep slots that folds would wait for in vain.
        gc.collect()
        for store in todo:
            fetch(store.place)
    for store in todo:
        finish_store(store.folder, store.ingredients)
    for store in stores:
        publish(store.place)
    return Extraction(tuple(store.place for store in stores), extracted)


@dataclass(frozen=True)
class _Store:
    """A feature store as far as it is filled."""

    request: FeatureRequest
    place: str
    ingredients: dict[str, Any]
    dtype: str
    finished: bool

    @property
    def folder(self) -> Path:
        """Where this machine has the store."""
        return local(self.place)

    @classmethod
    def of(
        cls,
        request: FeatureRequest,
        place: str,
        ingredients: dict[str, Any],
        dtype: str,
        warn: Callable[[str], None] | None,
    ) -> _Store:
        remove_temporaries(local(place), STALE_SECONDS)
        damaged = repair(place, drop_damaged_parts)
        if damaged and warn:
            warn(f"{place}: {', '.join(damaged)} not as written; computed again.")
        return cls(request, place, ingredients, dtype, (local(place) / "store.json").exists())


def store_ingredients(
    requests: Sequence[FeatureRequest], fingerprint: str, preparation: dict[str, Any], cache: str | Path, dtype: str
) -> list[tuple[str, dict[str, Any]]]:
    """The place in the cache and the ingredients of each request's store, whether it is there or not."""
    digests = {spec: create_backbone(spec).weights_digest for spec in {backbone_spec(request) for request in requests}}
    found = []
    for request in requests:
        ingredients = feature_ingredients(
            dataset=fingerprint,
            preparation=preparation,
            backbone=request.backbone,
            weights_digest=digests[backbone_spec(request)],
            layers=request.layers,
            size=request.size,
            dtype=dtype,
        )
        found.append((absolute(join(cache, "features", address(ingredients))), ingredients))
    return found


def _missing_shards(stores: list[_Store], shard_count: int) -> list[dict[str, Any]]:
    """Per shard that some store lacks: its number, and the numbers of those stores."""
    missing = [set(missing_parts(store.folder, shard_count)) for store in stores]
    return [
        {"shard": shard, "stores": [number for number, parts in enumerate(missing) if shard in parts]}
        for shard in sorted(set().union(*missing))
    ]


def _extraction(items: list[dict[str, Any]], pictures: str, stores: list[_Store], gpus_come: bool) -> ray.data.Dataset:
    """The lazy dataset whose rows appear as shards are done: one actor per GPU, or per processor slot."""
    cpus, gpus = cluster_slots()
    gpus = gpus or int(gpus_come)
    actors = min(gpus or cpus, -(-len(items) // _SHARDS_PER_ACTOR))
    # Ray would restart a lost actor only while the process that made its arguments lives, and says so on the terminal
    # each time; without restarts `extract_features` goes on with what is missing. Ray 2.60 has no other name for it.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RayDeprecationWarning)
        return ray.data.from_items(items, override_num_blocks=len(items)).map(
            _Extractor,  # type: ignore[arg-type]  # Ray annotates functions only
            fn_constructor_args=(pictures, stores, gpus > 0),
            compute=ActorPoolStrategy(size=actors),
            num_cpus=1,
            num_gpus=1 if gpus else 0,
            max_restarts=0,
        )


class _Extractor:
    """An actor that holds the backbones and writes the features of one shard after another."""

    def __init__(self, pictures: str, stores: list[_Store], has_gpu: bool) -> None:
        stacks_on_signal()
        self.device = device_for(has_gpu)
        self.pictures = pictures
        self.shards = PictureShards.open(fetch(pictures, ["shards.json"]))
        self.stores = stores
        for store in stores:
            # A mark left from before the store was found damaged would keep its parts from being written.
            fetch(store.place, ["store.json"])
        specs = {backbone_spec(store.request) for store in stores}
        self.backbones = {spec: create_backbone(spec).to(self.device) for spec in specs}

    def __call__(self, item: dict[str, Any]) -> dict[str, Any]:
        shard = int(item["shard"])
        path = shard_path(self.shards.folder, shard)
        fetch(self.pictures, ["shards.json", path.name])
        pictures = torch.from_numpy(read_shard(path, ["picture"])["picture"])
        image_ids = self.shards.image_ids[shard * SHARD_ROWS : shard * SHARD_ROWS + len(pictures)]
        for number in item["stores"]:
            store = self.stores[int(number)]
            write_part(
                store.folder, shard, image_ids, store.request.layers, self._features(pictures, store), store.dtype
            )
            arrays = [array_path(store.folder, shard, layer).name for layer in store.request.layers]
            publish(store.place, [*arrays, f"part-{shard:05d}.json"])
        return {"count": len(pictures)}

    def _features(self, pictures: torch.Tensor, store: _Store) -> list[np.ndarray]:
        """One (n, C, H, W) float32 array per layer."""
        backbone = self.backbones[backbone_spec(store.request)]
        batches = [
            backbone_features(backbone, batch.to(self.device), store.request.size) for batch in pictures.split(_BATCH)
        ]
        return [torch.cat([map_.cpu() for map_ in layer]).numpy() for layer in zip(*batches, strict=True)]


def _shard_size(shards: PictureShards, shard: int) -> int:
    return min(SHARD_ROWS, len(shards.image_ids) - shard * SHARD_ROWS)
