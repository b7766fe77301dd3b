"""What a run reads: prepared pictures and their features, found in the cache or made."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from raylab2f.cluster.pictures.extract import extract_features
from raylab2f.cluster.pictures.foregrounds import measure_foregrounds
from raylab2f.cluster.pictures.ingest import ingest_pictures
from raylab2f.cluster.pictures.tiles import ingest_tiles
from raylab2f.detectors.base import FeatureRequest
from raylab2f.detectors.registry import config_from_dict, detector_class
from raylab2f.files.mirror import local
from raylab2f.files.parquet import read_parquet
from raylab2f.pitfalls import Caution
from raylab2f.preparation import PictureShards, Preparation, with_copies
from raylab2f.preparation.embedding import check_foregrounds
from raylab2f.preparation.lost_defects import lost_defects_note
from raylab2f.preparation.selection import view_note
from raylab2f.preparation.tile_table import TILES_FILE, hidden_note, tiles_of
from raylab2f.reporting import Display
from raylab2f.runs.folder import RunSettings

__all__ = ["Inputs", "PreparedPictures", "prepare_inputs", "prepare_pictures", "resolve_preparation"]


@dataclass(frozen=True)
class Inputs:
    """Prepared pictures of a data set and their features.

    Pictures that detectors see tile by tile are prepared as a whole, too: people look at those, and whatever is said of
    pictures rather than detectors rests on their features.

    Arguments:
        pictures: `preparation.with_copies` of the manifest.
        preparation: what was done to what detectors see.
        shards: the prepared pictures.
        pictures_place: where the shards lie, for other processes.
        stores: places of the feature stores, one per feature request.
        seen_place, seen_stores: the same of what detectors see: the same, or tiles.
        found: rows of the stores that were there before; pictures, or pictures and tiles.
        extracted: rows that were computed just now; 0 when everything was found.
        warnings: what the reader of results must know about the preparation.
    """

    pictures: pa.Table
    preparation: Preparation
    shards: PictureShards
    pictures_place: str
    stores: tuple[str, ...]
    seen_place: str
    seen_stores: tuple[str, ...]
    found: int
    extracted: int
    warnings: tuple[Caution, ...]


def prepare_inputs(
    settings: RunSettings,
    manifest: pa.Table,
    identity: str,
    cache: str | Path,
    display: Display,
    *,
    requests: tuple[FeatureRequest, ...] | None = None,
    gpus_come: bool = False,
) -> Inputs:
    """Pictures and features for a run's detector. Needs a connection to Ray only where something has to be made.

    Arguments:
        manifest: the data set; `identity` is its fingerprint.
        requests: the features wanted; `None`: those of the detector.
        gpus_come: as for `extract_features`.
    """
    config = config_from_dict(settings.detector, settings.config)
    prepared = prepare_pictures(settings, manifest, identity, cache, display)
    preparation, places = prepared.preparation, {prepared.place: prepared.preparation.whole}
    hidden = None
    if preparation.tiles is not None:
        with display.stage("prepare tiles") as progress:
            place = ingest_tiles(
                prepared.pictures,
                identity,
                preparation,
                cache,
                pixel_limit=settings.data.pixel_limit,
                progress=progress,
                warn=display.warn,
            )
        places[place] = preparation
        hidden = hidden_note(read_parquet(local(place) / TILES_FILE))
    made = []
    for place, done in places.items():
        of_what = "" if done.tiles is None else " of tiles"
        with display.stage(f"extract features{of_what} ({config.backbone})") as progress:
            extraction = extract_features(
                place,
                identity,
                done.to_dict(),
                detector_class(settings.detector).feature_requests(config) if requests is None else requests,
                cache,
                dtype=settings.feature_dtype,
                gpus_come=gpus_come,
                progress=progress,
                warn=display.warn,
            )
        made.append((place, extraction.stores, extraction.extracted))
    shards, warnings = prepared.shards, prepared.warnings
    lost = lost_defects_note(prepared.pictures, shards, settings.preparation)
    warnings += tuple(note for note in (lost, hidden) if note)
    extracted = sum(count for *_, count in made)
    return Inputs(
        pictures=prepared.pictures,
        preparation=preparation,
        shards=shards,
        pictures_place=prepared.place,
        stores=made[0][1],
        seen_place=made[-1][0],
        seen_stores=made[-1][1],
        found=sum(len(PictureShards.open(local(place)).image_ids) for place, *_ in made) - extracted,
        extracted=extracted,
        warnings=warnings,
    )


@dataclass(frozen=True)
class PreparedPictures:
    """Whole pictures of a data set, prepared; fields as in `Inputs`."""

    pictures: pa.Table
    preparation: Preparation
    shards: PictureShards
    place: str
    warnings: tuple[Caution, ...]


def prepare_pictures(
    settings: RunSettings, manifest: pa.Table, identity: str, cache: str | Path, display: Display
) -> PreparedPictures:
    """The pictures of a run alone, found in the cache or made; arguments as for `prepare_inputs`."""
    config = config_from_dict(settings.detector, settings.config)
    pictures = with_copies(manifest, settings.preparation.angles)
    preparation, warnings = resolve_preparation(settings, config.size, pictures, identity, cache, display)
    if preparation.tiles is not None:
        # What cannot be cut is told before anything is prepared.
        tiles_of(pictures, preparation)
    with display.stage("prepare pictures") as progress:
        place = ingest_pictures(
            pictures,
            identity,
            preparation.whole,
            cache,
            pixel_limit=settings.data.pixel_limit,
            progress=progress,
            warn=display.warn,
        )
    return PreparedPictures(pictures, preparation, PictureShards.open(local(place)), place, warnings)


def resolve_preparation(
    settings: RunSettings, size: tuple[int, int], pictures: pa.Table, identity: str, cache: str | Path, display: Display
) -> tuple[Preparation, tuple[Caution, ...]]:
    """What is done to every picture at a detector's `size`, and what the reader of the results must know about it.

    Arguments:
        pictures: `with_copies` of the data set whose fingerprint is `identity`.
    """
    wanted = settings.preparation
    note = view_note(pictures.filter(pc.equal(pictures["rotation"], 0.0)), wanted)
    warnings = [note] if note else []
    foregrounds = None
    if wanted.needs_foreground:
        with display.stage("measure foregrounds") as progress:
            foregrounds = measure_foregrounds(pictures, identity, cache, progress=progress)
    preparation = wanted.resolve(size, foregrounds)
    if foregrounds is not None:
        warnings += check_foregrounds(foregrounds, preparation.canvas)
    return preparation, tuple(warnings)
