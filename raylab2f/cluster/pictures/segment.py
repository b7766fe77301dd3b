"""Ray Data segments a whole data set: one actor per GPU, or per processor slot, a few pictures at a time.

Two stages, for the canvas is known only when every object was found: find and blank, then embed. Outputs go straight
to storage; what passes through Ray are paths. A picture whose outputs were made from the same ingredients is not made
again, so the same command goes on where it was interrupted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import ray.data
from ray.data import ActorPoolStrategy

from raylab2f.cluster.failures import user_errors_unwrapped
from raylab2f.cluster.session import cluster_slots, ray_session
from raylab2f.datasets.pictures import read_mask, read_picture
from raylab2f.errors import UserError
from raylab2f.files.permissions import make_folders
from raylab2f.preparation.contrast import segment_by_contrast
from raylab2f.preparation.embedding import FOREGROUND_SCHEMA, check_foregrounds, smallest_canvas
from raylab2f.preparation.grounded_sam import GroundedSam, GroundedSamConfig, require_transformers
from raylab2f.preparation.segmentation import Segmenter
from raylab2f.preparation.segmented_set import (
    embed_picture,
    find_record,
    foreground_file,
    ingredients_digest,
    segment_picture,
    write_tables,
)
from raylab2f.reporting import Display

__all__ = ["Segmentation", "segment_dataset"]

_PICTURES_AT_ONCE = 8
# An actor spends seconds importing its libraries; fewer items than these are not worth another one.
_ITEMS_PER_ACTOR = 2


@dataclass(frozen=True)
class Segmentation:
    """What became of a data set.

    Arguments:
        records: of every picture, by `image_id`; `failure` says why there is no mask, `note` and `iou` what there is to
            say about one.
        canvas: height and width in pixels of the embedded pictures.
        made: pictures that were segmented now; the others were found.
    """

    records: dict[str, dict[str, Any]]
    canvas: tuple[int, int]
    made: int


def segment_dataset(
    manifest: pa.Table,
    out: Path,
    method: GroundedSamConfig | Literal["contrast"],
    *,
    canvas: tuple[int, int] | Literal["auto"] = "auto",
    pixel_limit: int,
    display: Display,
    address: str | None = None,
) -> Segmentation:
    """Segment every picture of a manifest and write the set that `preparation.segmented_set` describes to `out`.

    Arguments:
        manifest: with absolute paths; foregrounds that it has are compared with, not used.
        canvas: height and width for the embedded pictures; `auto`: the smallest that holds every object.
        address: of a Ray cluster; `None`: a private one. Where nothing is missing, none is started.

    Raises:
        UserError: `out` cannot be written, the networks cannot be had, no object was found in any picture, or the
            canvas is too small.
    """
    if method != "contrast":
        require_transformers()
    _require_writable(out)
    # Workers have another working directory.
    out = out.resolve()
    rows = manifest.to_pylist()
    how = {"method": "contrast"} if method == "contrast" else {"method": "grounded-sam", **asdict(method)}
    find = _Stage("segment", how, _Finder, (str(out), method, pixel_limit), on_gpu=method != "contrast")
    with ExitStack() as sessions:

        def connect() -> None:
            sessions.enter_context(ray_session(address))

        with display.stage("segment") as progress:
            made = _run(find, rows, out, connect, progress)
        records = _records(find, rows, out)
        found = [row for row in rows if records[row["image_id"]]["failure"] is None]
        size = _canvas(records, canvas, out)
        centre = _Stage("embed", {"canvas": list(size), "after": how}, _Embedder, (str(out), size, pixel_limit))
        items = [row | {"box": records[row["image_id"]]["box"]} for row in found]
        with display.stage("centre-embed") as progress:
            _run(centre, items, out, connect, progress)
    write_tables(out, manifest, records, _records(centre, found, out), size)
    return Segmentation(records, size, made)


@dataclass(frozen=True)
class _Stage:
    """What is done to every picture, by which actor."""

    name: str
    description: dict[str, Any]
    actor: Any
    arguments: tuple[Any, ...]
    on_gpu: bool = False


def _run(
    stage: _Stage,
    rows: Sequence[dict[str, Any]],
    out: Path,
    connect: Callable[[], None],
    progress: Callable[[int, int], None],
) -> int:
    """Let actors make what is missing of a stage; returns for how many pictures that was."""
    digests = [ingredients_digest(row, stage.description) for row in rows]
    missing = [
        row | {"digest": digest}
        for row, digest in zip(rows, digests, strict=True)
        if find_record(out, stage.name, row["image_id"], digest) is None
    ]
    if not missing:
        return 0
    connect()
    items = [{"rows": missing[i : i + _PICTURES_AT_ONCE]} for i in range(0, len(missing), _PICTURES_AT_ONCE)]
    cpus, gpus = cluster_slots()
    on_gpu = stage.on_gpu and gpus > 0
    dataset = ray.data.from_items(items, override_num_blocks=len(items)).map(
        stage.actor,
        fn_constructor_args=stage.arguments,
        compute=ActorPoolStrategy(size=max(1, min(gpus if on_gpu else cpus, -(-len(items) // _ITEMS_PER_ACTOR)))),
        num_cpus=1,
        num_gpus=1 if on_gpu else 0,
    )
    done = 0
    with user_errors_unwrapped():
        for row in dataset.iter_rows():
            done += row["count"]
            progress(done, len(missing))
    return done


def _records(stage: _Stage, rows: Sequence[dict[str, Any]], out: Path) -> dict[str, dict[str, Any]]:
    records = {}
    for row in rows:
        record = find_record(out, stage.name, row["image_id"], ingredients_digest(row, stage.description))
        if record is None:
            raise UserError(f"{out}: the outputs of {row['image_id']} vanished while the command ran; run it again.")
        records[row["image_id"]] = record
    return records


def _canvas(
    records: dict[str, dict[str, Any]], canvas: tuple[int, int] | Literal["auto"], out: Path
) -> tuple[int, int]:
    """Height and width of the canvas for all objects that were found; `UserError` if it cannot hold them."""
    found = [{**record, **record["box"]} for record in records.values() if record["failure"] is None]
    if not found:
        reasons = sorted({record["failure"] for record in records.values()})
        raise UserError(f"{out}: there is no object in any of the {len(records)} pictures ({'; '.join(reasons)}).")
    table = pa.Table.from_pylist(found, schema=FOREGROUND_SCHEMA)
    size = smallest_canvas(table) if canvas == "auto" else canvas
    check_foregrounds(table, size)
    return size


class _Finder:
    """An actor that holds the segmenter."""

    def __init__(self, out: str, method: GroundedSamConfig | Literal["contrast"], pixel_limit: int) -> None:
        self.out = Path(out)
        self.pixel_limit = pixel_limit
        self.segmenter: Segmenter = segment_by_contrast if method == "contrast" else _grounded_sam(method)

    def __call__(self, item: dict[str, Any]) -> dict[str, Any]:
        for row in item["rows"]:
            segment_picture(
                self.out,
                row["image_id"],
                read_picture(row["path"], self.pixel_limit),
                self.segmenter,
                row["digest"],
                truth=None if row["foreground_path"] is None else read_mask(row["foreground_path"]),
            )
        return {"count": len(item["rows"])}


class _Embedder:
    """An actor that puts found objects on the canvas."""

    def __init__(self, out: str, canvas: tuple[int, int], pixel_limit: int) -> None:
        self.out = Path(out)
        self.canvas = (int(canvas[0]), int(canvas[1]))
        self.pixel_limit = pixel_limit

    def __call__(self, item: dict[str, Any]) -> dict[str, Any]:
        for row in item["rows"]:
            embed_picture(
                self.out,
                row["image_id"],
                read_picture(row["path"], self.pixel_limit),
                read_mask(foreground_file(self.out, row["image_id"])),
                None if row["mask_path"] is None else read_mask(row["mask_path"]),
                row["box"],
                self.canvas,
                row["digest"],
            )
        return {"count": len(item["rows"])}


def _grounded_sam(config: GroundedSamConfig) -> GroundedSam:
    import torch

    return GroundedSam(config, torch.device("cuda" if torch.cuda.is_available() else "cpu"))


def _require_writable(out: Path) -> None:
    probe = out / ".writable"
    try:
        make_folders(out)
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise UserError(
            f"--out {out}: cannot be written ({error.strerror or error}); choose another folder."
        ) from error
