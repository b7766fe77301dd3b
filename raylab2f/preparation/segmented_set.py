"""A segmented data set on disk: what is written for each picture, how it is found again, and the manifests over it.

```
foregrounds/            masks (0 and 255) of the pictures' size
blanked/                pictures with their background blacked out
embedded/pictures/      objects cut out by their bounding box and centred on one canvas
embedded/blanked/       the same with their background blacked out
embedded/foregrounds/, embedded/defects/     masks that followed
manifest.parquet        the pictures as they were, with their new foregrounds
blanked.parquet, embedded.parquet, embedded-blanked.parquet     each a data set of its own
segments.parquet        what was found in each picture (`SEGMENTS_SCHEMA`)
failures.parquet        pictures without a mask, and why (`FAILURES_SCHEMA`)
records/                one JSON per picture and stage: from what it was made; what has it need not be made again
```
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import cv2
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from raylab2f.datasets.manifest import MANIFEST_SCHEMA, write_manifest
from raylab2f.errors import UserError
from raylab2f.files.atomic import atomic_path, write_json, write_parquet
from raylab2f.files.strangers import read_json
from raylab2f.preparation.embedding import Box, bounding_box, embed
from raylab2f.preparation.segmentation import NothingDetectedError, Segmenter

__all__ = [
    "FAILURES_SCHEMA",
    "SEGMENTS_SCHEMA",
    "embed_picture",
    "find_record",
    "foreground_file",
    "ingredients_digest",
    "segment_picture",
    "write_tables",
]

SEGMENTS_SCHEMA = pa.schema(
    [
        ("image_id", pa.string()),
        ("score", pa.float64()),  # how sure the method is, where it tells
        ("share", pa.float64()),  # of the picture that is foreground
        ("top", pa.int32()),  # the foreground's bounding box, in pixels
        ("left", pa.int32()),
        ("height", pa.int32()),
        ("width", pa.int32()),
        ("iou", pa.float64()),  # intersection over union with the foreground that came with the data, if one did
        ("note", pa.string()),
    ]
)
FAILURES_SCHEMA = pa.schema([("image_id", pa.string()), ("reason", pa.string())])

_FORMAT = 1
# Masks and blanked pictures compress well at once; more effort costs far more time than it saves room.
_PNG_EFFORT = [cv2.IMWRITE_PNG_COMPRESSION, 1]


def ingredients_digest(row: Mapping[str, Any], stage: Mapping[str, Any]) -> str:
    """Names all that one picture's outputs depend on: its files' content and how the stage was done.

    Arguments:
        row: of the manifest.
        stage: JSON-able description of the method and its parameters.
    """
    files = {name: row[name] for name in ("sha256", "mask_sha256", "foreground_sha256")}
    text = json.dumps({"format": _FORMAT, "files": files, "stage": dict(stage)}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def find_record(folder: Path, stage: str, image_id: str, digest: str) -> dict[str, Any] | None:
    """The record of a picture that was made from the same ingredients and whose outputs are there; else `None`."""
    try:
        record = read_json(_record_path(folder, stage, image_id))
        whole = record["ingredients"] == digest and all((folder / name).is_file() for name in record["files"])
    except (OSError, ValueError, KeyError, TypeError, UserError):
        return None
    return record if whole else None


def foreground_file(folder: Path, image_id: str) -> Path:
    """Where a picture's new foreground mask lies."""
    return folder / "foregrounds" / _output_name(image_id)


def segment_picture(
    folder: Path,
    image_id: str,
    picture: NDArray[np.uint8],
    segmenter: Segmenter,
    digest: str,
    *,
    truth: NDArray[np.bool_] | None = None,
) -> None:
    """Write one picture's foreground mask, blanked picture and record; of a failure the record alone.

    Arguments:
        picture: (H, W, 3) RGB.
        truth: (H, W), the foreground that came with the data; compared, not used.

    Raises:
        UserError: the folder cannot be written.
    """
    record: dict[str, Any] = {"image_id": image_id, "ingredients": digest, "files": {}, "failure": None}
    try:
        segment = segmenter(picture)
        box = bounding_box(segment.mask)
        if box is None:
            raise NothingDetectedError("nothing detected: the mask is empty")
    except NothingDetectedError as error:
        record["failure"] = str(error)
    else:
        mask = segment.mask
        note = segment.note or ("the mask covers the whole picture" if mask.all() else None)
        record |= {"score": segment.score, "note": note, "share": float(mask.mean()), "box": vars(box)}
        record["iou"] = None if truth is None else float((mask & truth).sum() / (mask | truth).sum())
        name = _output_name(image_id)
        _write_png(folder, f"foregrounds/{name}", _as_grey(mask), record)
        _write_png(folder, f"blanked/{name}", picture * mask[..., None], record)
    _write_record(folder, "segment", record)


def embed_picture(
    folder: Path,
    image_id: str,
    picture: NDArray[np.uint8],
    foreground: NDArray[np.bool_],
    defect: NDArray[np.bool_] | None,
    box: Mapping[str, int],
    canvas: tuple[int, int],
    digest: str,
) -> None:
    """Write one picture's centre-embedded outputs and their record.

    Arguments:
        picture: (H, W, 3) RGB; the masks are (H, W).
        box: top, left, height and width of the foreground's bounding box.
        canvas: height and width in pixels.

    Raises:
        UserError: the folder cannot be written.
    """
    record: dict[str, Any] = {"image_id": image_id, "ingredients": digest, "files": {}}
    outputs = {"pictures": picture, "blanked": picture * foreground[..., None], "foregrounds": _as_grey(foreground)}
    if defect is not None:
        outputs["defects"] = _as_grey(defect)
    for kind, array in outputs.items():
        _write_png(folder, f"embedded/{kind}/{_output_name(image_id)}", embed(array, Box(**box), canvas), record)
    _write_record(folder, "embed", record)


def write_tables(
    folder: Path,
    manifest: pa.Table,
    segmented: Mapping[str, dict[str, Any]],
    embedded: Mapping[str, dict[str, Any]],
    canvas: tuple[int, int],
) -> None:
    """Write the manifests, `segments.parquet` and `failures.parquet`.

    Arguments:
        manifest: of the data set, with absolute paths.
        segmented: record of every picture, by `image_id`.
        embedded: record of every picture in which an object was found.
        canvas: height and width of the embedded pictures.
    """
    rows = manifest.sort_by("image_id").to_pylist()
    found = [row for row in rows if segmented[row["image_id"]]["failure"] is None]
    failed = [{"image_id": i, "reason": r["failure"]} for i, r in sorted(segmented.items()) if r["failure"] is not None]
    write_parquet(folder / "failures.parquet", pa.Table.from_pylist(failed, schema=FAILURES_SCHEMA))
    segments = [{**(record := segmented[row["image_id"]]), **record["box"]} for row in found]
    write_parquet(folder / "segments.parquet", pa.Table.from_pylist(segments, schema=SEGMENTS_SCHEMA))
    variants: dict[str, list[dict[str, Any]]] = {name: [] for name in ("manifest", "blanked")}
    variants |= {name: [] for name in ("embedded", "embedded-blanked")}
    size = {"height": canvas[0], "width": canvas[1]}
    for row in found:
        image_id, name = row["image_id"], _output_name(row["image_id"])
        own, centred = segmented[image_id]["files"], embedded[image_id]["files"]
        plain = row | _file("foreground_path", "foreground_sha256", f"foregrounds/{name}", own)
        variants["manifest"].append(plain)
        variants["blanked"].append(plain | _file("path", "sha256", f"blanked/{name}", own))
        middle = row | size | _file("foreground_path", "foreground_sha256", f"embedded/foregrounds/{name}", centred)
        if row["mask_path"] is not None:
            middle |= _file("mask_path", "mask_sha256", f"embedded/defects/{name}", centred)
        for variant, kind in (("embedded", "pictures"), ("embedded-blanked", "blanked")):
            variants[variant].append(middle | _file("path", "sha256", f"embedded/{kind}/{name}", centred))
    for variant, content in variants.items():
        write_manifest(folder / f"{variant}.parquet", pa.Table.from_pylist(content, schema=MANIFEST_SCHEMA))


def _file(path_column: str, digest_column: str, name: str, files: Mapping[str, str]) -> dict[str, str]:
    return {path_column: name, digest_column: files[name]}


def _output_name(image_id: str) -> str:
    """A file name below a folder, a different one for every image id, whatever stands in it."""
    parts = [quote(part, safe=" ") for part in image_id.split("/")]
    return "/".join(part.replace(".", "%2E") if part in (".", "..") else part or "%" for part in parts) + ".png"


def _record_path(folder: Path, stage: str, image_id: str) -> Path:
    return folder / "records" / stage / f"{_output_name(image_id)}.json"


def _as_grey(mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    return mask.astype(np.uint8) * np.uint8(255)


def _write_png(folder: Path, name: str, array: NDArray[np.uint8], record: dict[str, Any]) -> None:
    """Write a grey or RGB picture and note its checksum in the record."""
    stored = array if array.ndim == 2 else array[..., ::-1]
    _, encoded = cv2.imencode(".png", stored, _PNG_EFFORT)
    content = encoded.tobytes()
    try:
        with atomic_path(folder / name) as temporary:
            temporary.write_bytes(content)
    except OSError as error:
        raise _unwritable(folder / name, error) from error
    record["files"][name] = hashlib.sha256(content).hexdigest()


def _write_record(folder: Path, stage: str, record: dict[str, Any]) -> None:
    path = _record_path(folder, stage, record["image_id"])
    try:
        write_json(path, record)
    except OSError as error:
        raise _unwritable(path, error) from error


def _unwritable(path: Path, error: OSError) -> UserError:
    return UserError(f"{path}: cannot be written ({error.strerror or error}); choose another --out or make room.")
