"""Ray Data scores altered pictures with the detectors of a finished run.

An actor holds the frozen backbone and one fold's detector at a time; pictures pass in small batches, so memory does not
grow with the data set. Only scores come back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import ray.data
import torch
from numpy.typing import NDArray
from ray.data import ActorPoolStrategy

from raylab2f import plugins
from raylab2f.cluster.failures import user_errors_unwrapped
from raylab2f.cluster.session import cluster_slots
from raylab2f.detectors.backbone_features import backbone_spec, stored_features
from raylab2f.detectors.base import Detector, Samples
from raylab2f.detectors.checkpoint import load_detector
from raylab2f.detectors.training import predict_batches
from raylab2f.diagnostics.alterations import alter, black_background, swap_background
from raylab2f.features import BackboneSpec, create_backbone
from raylab2f.files.mirror import fetch
from raylab2f.preparation import PictureShards
from raylab2f.runs.tiled import Tiled, reading_of
from raylab2f.seeding import numpy_generator

__all__ = ["RESCORED_SCHEMA", "AlteredPictures", "rescore"]

RESCORED_SCHEMA = pa.schema(
    [
        ("fold", pa.int32()),
        ("image_id", pa.string()),
        ("alteration", pa.string()),
        ("dose", pa.float64()),
        ("score", pa.float64()),
    ]
)
_BATCH = 32


@dataclass(frozen=True)
class AlteredPictures:
    """Pictures that one fold's detector is to score once more.

    Arguments:
        fold: its number.
        folder: the place of the fold, with its detector.
        image_ids: prepared pictures.
        alteration: a key of `diagnostics.ALTERATIONS`, `none`, `background-black` or `background-swap`.
        doses: of the alteration; one 0 where it has none.
        donors: pictures whose backgrounds may be taken, for `background-swap`.
    """

    fold: int
    folder: str
    image_ids: tuple[str, ...]
    alteration: str
    doses: tuple[float, ...] = (0.0,)
    donors: tuple[str, ...] = ()


def rescore(
    pictures: str,
    wanted: Sequence[AlteredPictures],
    *,
    seed: int,
    feature_dtype: str,
    tile_score: str = "max",
    progress: Callable[[int, int], None] | None = None,
) -> pa.Table:
    """Scores of altered pictures.

    Arguments:
        pictures: the place of the run's prepared pictures, or of their tiles: then every tile is altered for itself,
            those of a picture alike.
        wanted: those of one fold should follow one another, for an actor keeps one detector.
        seed: of the alterations' random parts, each of which depends on the picture and not on the fold or dose.
        feature_dtype: of the run's feature stores, so that an unaltered picture gets its score again.
        tile_score: from tiles to pictures, see `preparation.tiling.parse_tile_score`.
        progress: called with scores done and scores in all.

    Returns:
        Table of `RESCORED_SCHEMA`.
    """
    items = [{"number": number} for number in range(len(wanted))]
    total = sum(len(part.image_ids) * len(part.doses) for part in wanted)
    cpus, gpus = cluster_slots()
    dataset = ray.data.from_items(items, override_num_blocks=len(items)).map(
        _Rescorer,  # type: ignore[arg-type]  # Ray annotates functions only
        fn_constructor_args=(pictures, tuple(wanted), seed, feature_dtype, tile_score, plugins.trusted()),
        compute=ActorPoolStrategy(size=min(gpus or cpus, len({part.fold for part in wanted}))),
        num_cpus=1,
        num_gpus=1 if gpus else 0,
    )
    tables, done = [], 0
    with user_errors_unwrapped():
        for row in dataset.iter_rows():
            part = wanted[int(row["number"])]
            scores = np.asarray(row["scores"], np.float64).reshape(len(part.doses), len(part.image_ids))
            for dose, values in zip(part.doses, scores, strict=True):
                columns = [
                    [part.fold] * len(values),
                    list(part.image_ids),
                    [part.alteration] * len(values),
                    [float(dose)] * len(values),
                    values,
                ]
                tables.append(pa.table(columns, schema=RESCORED_SCHEMA))
            done += scores.size
            if progress:
                progress(done, total)
    order = [(key, "ascending") for key in ("fold", "alteration", "dose", "image_id")]
    return pa.concat_tables(tables).sort_by(order)


class _Rescorer:
    """An actor: backbones, and the detector of the fold it was last asked for."""

    def __init__(
        self,
        pictures: str,
        wanted: tuple[AlteredPictures, ...],
        seed: int,
        feature_dtype: str,
        tile_score: str,
        trusted: tuple[str, ...],
    ) -> None:
        plugins.trust(*trusted)
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.shards, self.wanted, self.seed = PictureShards.open(fetch(pictures)), wanted, seed
        self.reading = reading_of(self.shards, tile_score)
        self.dtype = getattr(torch, feature_dtype)
        self.detector: Detector | None = None
        self.folder = ""
        self.backbones: dict[BackboneSpec, Any] = {}

    def __call__(self, item: dict[str, Any]) -> dict[str, Any]:
        part = self.wanted[int(item["number"])]
        if part.folder != self.folder:
            folder = fetch(part.folder, ["model.json", "model.safetensors"])
            self.detector, self.folder = load_detector(folder).to(self.device), part.folder
        scores = np.empty((len(part.doses), len(part.image_ids)))
        start = 0
        for image_ids in self.reading.portions(part.image_ids, _BATCH):
            owners = [image_id for image_id in image_ids for _ in self.reading.rows([image_id])]
            rows = self.reading.rows(image_ids)
            altered, positions = self._altered(part, owners, rows), self.reading.positions(rows)
            for number, pictures in enumerate(altered):
                own = self.reading.scores(image_ids, self._score(pictures, positions))
                scores[number, start : start + len(image_ids)] = own
            start += len(image_ids)
        return {"number": item["number"], "scores": scores.ravel()}

    def _altered(
        self, part: AlteredPictures, image_ids: Sequence[str], rows: Sequence[str]
    ) -> Iterator[NDArray[np.uint8]]:
        """The pictures (n, H, W, 3) that shards have as `rows`, at each dose; `image_ids` are whose they are."""
        backgrounds = part.alteration.startswith("background")
        stored = self.shards.read(rows, ["picture", "foreground"] if backgrounds else ["picture"])
        pictures = stored["picture"]
        if part.alteration == "none":
            yield pictures
        elif not backgrounds:
            for dose in part.doses:
                yield np.stack(
                    [
                        alter(picture, part.alteration, dose, self._generator(part.alteration, image_id))
                        for picture, image_id in zip(pictures, image_ids, strict=True)
                    ]
                )
        elif part.alteration == "background-black":
            yield np.stack(
                [black_background(p, f.astype(bool)) for p, f in zip(pictures, stored["foreground"], strict=True)]
            )
        else:
            chosen = [
                part.donors[int(self._generator(part.alteration, image_id).integers(len(part.donors)))]
                for image_id in image_ids
            ]
            if isinstance(self.reading, Tiled):
                places = zip(rows, image_ids, chosen, strict=True)
                chosen = [self.reading.like(row, image_id, donor) for row, image_id, donor in places]
            donors = self.shards.read(chosen, ["picture", "foreground"])
            yield np.stack(
                [
                    swap_background(picture, foreground.astype(bool), donor, hole.astype(bool))
                    for picture, foreground, donor, hole in zip(
                        pictures, stored["foreground"], donors["picture"], donors["foreground"], strict=True
                    )
                ]
            )

    def _generator(self, alteration: str, image_id: str) -> np.random.Generator:
        return numpy_generator(self.seed, "alter", alteration, image_id)

    @torch.inference_mode()
    def _score(self, pictures: NDArray[np.uint8], positions: torch.Tensor | None) -> NDArray[np.float64]:
        assert self.detector is not None
        tensor = torch.from_numpy(pictures).to(self.device)
        requests = type(self.detector).feature_requests(self.detector.config)
        specs = [backbone_spec(request) for request in requests]
        for spec in specs:
            if spec not in self.backbones:
                self.backbones[spec] = create_backbone(spec).to(self.device)
        features = stored_features([self.backbones[spec] for spec in specs], requests, tensor, self.dtype)
        samples = Samples([], tensor) if self.detector.reads_pictures else Samples(features)
        samples.positions = positions
        ((scores, _),) = predict_batches(self.detector, samples, len(pictures))
        return scores.double().numpy()
