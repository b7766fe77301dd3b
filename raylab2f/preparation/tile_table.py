"""The tiles of a data set: which picture each is cut from and where it lies there, kept beside the shards of tiles."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from raylab2f.datasets.entries import first_few
from raylab2f.errors import UserError
from raylab2f.files.parquet import read_parquet
from raylab2f.pitfalls import Caution
from raylab2f.preparation.embedding import Box
from raylab2f.preparation.pipeline import Preparation
from raylab2f.preparation.tiling import MOST_TILES, Tiling

__all__ = [
    "TILES_FILE",
    "TILES_SCHEMA",
    "TileTable",
    "frame_of",
    "hidden_note",
    "in_view",
    "require_one_frame",
    "tile_id",
    "tiles_of",
]

#: In the folder of the shards of tiles.
TILES_FILE = "tiles.parquet"
#: One row a tile, by picture and place; all tiles of a data set, whether detectors see them or not.
TILES_SCHEMA = pa.schema(
    [
        ("tile_id", pa.string()),
        ("image_id", pa.string()),  # of the prepared picture: of a turned copy, where it is cut from one
        ("top", pa.int32()),  # in pixels of the picture after it was turned and centred
        ("left", pa.int32()),
        ("frame_height", pa.int32()),  # of that picture
        ("frame_width", pa.int32()),
        ("kept", pa.bool_()),  # false: all background, so that no detector sees it
        ("hides", pa.bool_()),  # not kept, though it shows some of a known defect, which no kept tile does
    ]
)


def tile_id(image_id: str, top: int, left: int) -> str:
    """The id of a tile, such as `part7/front.png@tile00448-00000`: by its upper left pixel."""
    return f"{image_id}@tile{top:05d}-{left:05d}"


def frame_of(height: int, width: int, angle: float, preparation: Preparation) -> tuple[int, int]:
    """Height and width of a picture before it is cut: turned by `angle` degrees, and centred where that is asked."""
    if preparation.canvas is not None:
        return preparation.canvas
    return (width, height) if angle % 180 == 90 else (height, width)


def in_view(
    boxes: Sequence[Box], frame: tuple[int, int], preparation: Preparation
) -> tuple[tuple[Box, ...], tuple[int, int]]:
    """Tiles and frame in the picture as it is viewed as a whole: within black bars where it is fitted by padding."""
    if preparation.fit != "pad":
        return tuple(boxes), frame
    factor = min(side / own for side, own in zip(preparation.size, frame, strict=True))
    height, width = (max(own, round(side / factor)) for side, own in zip(preparation.size, frame, strict=True))
    down, right = (height - frame[0]) // 2, (width - frame[1]) // 2
    return tuple(Box(b.top + down, b.left + right, b.height, b.width) for b in boxes), (height, width)


def tiles_of(pictures: pa.Table, preparation: Preparation) -> pa.Table:
    """All tiles of all prepared pictures, a table of `TILES_SCHEMA` in which every tile is kept.

    Arguments:
        pictures: `with_copies` of a data set.
        preparation: with tiles.

    Raises:
        UserError: a picture is smaller than a tile, or has too many.
    """
    tiling = _tiling(preparation)
    columns: dict[str, list[Any]] = {name: [] for name in TILES_SCHEMA.names}
    needed = ["image_id", "height", "width", "rotation"]
    for row in pictures.select(needed).sort_by("image_id").to_pylist():
        image_id = row["image_id"]
        frame = frame_of(row["height"], row["width"], row["rotation"], preparation)
        if not tiling.fits(frame):
            raise UserError(
                f"--tiles {tiling}: {image_id} has {frame[0]}x{frame[1]} pixels, less than a tile; give smaller tiles, "
                "or leave the picture out."
            )
        if tiling.count(frame) > MOST_TILES:
            raise UserError(
                f"--tiles {tiling}: {image_id} would be cut into {tiling.count(frame):,} tiles; give larger tiles, or "
                "a smaller overlap."
            )
        for box in tiling.boxes(frame):
            values = (tile_id(image_id, box.top, box.left), image_id, box.top, box.left, *frame, True, False)
            for column, value in zip(columns.values(), values, strict=True):
                column.append(value)
    return pa.table(columns, schema=TILES_SCHEMA)


def require_one_frame(pictures: pa.Table, preparation: Preparation) -> None:
    """`UserError` where tiles of the same number lie elsewhere in some of the pictures, for these are of other sizes.

    Arguments:
        pictures: `with_copies` of a data set.
    """
    rows = pictures.select(["image_id", "height", "width", "rotation"]).to_pylist()
    frames = {frame_of(row["height"], row["width"], row["rotation"], preparation): row["image_id"] for row in rows}
    if len(frames) > 1:
        (one, first), (other, second) = list(frames.items())[:2]
        raise UserError(
            f"--per-position: pictures must be of one size, but {first} has {one[0]}x{one[1]} pixels and {second} "
            f"{other[0]}x{other[1]}; leave the option out, or centre the objects (--centre-embed)."
        )


def _tiling(preparation: Preparation) -> Tiling:
    if (tiling := preparation.tiling) is None:
        raise ValueError("these pictures are not cut into tiles")
    return tiling


def hidden_note(table: pa.Table) -> Caution | None:
    """What the reader of results must know of defects that lie in tiles which no detector sees; `None`: there are none.

    Arguments:
        table: of `TILES_SCHEMA`.
    """
    hiding = sorted(set(table.filter(pc.field("hides"))["image_id"].to_pylist()))
    if not hiding:
        return None
    return Caution(
        "RL223",
        f"{len(hiding)} pictures have a defect, or some of one, outside their foreground mask in tiles that no "
        f"detector sees, and count as defective all the same: {first_few(hiding)}; mend the foreground masks, or "
        "read the pictures without them.",
    )


@dataclass(frozen=True)
class TileTable:
    """The kept tiles of pictures.

    Arguments:
        tiling: how they are cut.
        tiles: by picture, the ids of its tiles, row by row; at least one.
        boxes: by picture, where they lie.
        frames: by picture, its height and width.
    """

    tiling: Tiling
    tiles: Mapping[str, tuple[str, ...]]
    boxes: Mapping[str, tuple[Box, ...]]
    frames: Mapping[str, tuple[int, int]]

    @classmethod
    def of(cls, table: pa.Table, preparation: Preparation) -> TileTable:
        """From a table of `TILES_SCHEMA`."""
        tiling = _tiling(preparation)
        tiles: dict[str, list[str]] = {}
        boxes: dict[str, list[Box]] = {}
        frames: dict[str, tuple[int, int]] = {}
        for row in table.filter(pc.field("kept")).to_pylist():
            image_id = row["image_id"]
            tiles.setdefault(image_id, []).append(row["tile_id"])
            boxes.setdefault(image_id, []).append(Box(row["top"], row["left"], tiling.height, tiling.width))
            frames[image_id] = (row["frame_height"], row["frame_width"])
        return cls(tiling, {k: tuple(v) for k, v in tiles.items()}, {k: tuple(v) for k, v in boxes.items()}, frames)

    @classmethod
    def open(cls, folder: Path, preparation: Preparation) -> TileTable:
        """That of the shards in `folder`; `UserError` where there is none of ours."""
        try:
            table = read_parquet(folder / TILES_FILE)
            if table.schema.names != TILES_SCHEMA.names:
                raise ValueError("other columns")
            return cls.of(table.cast(TILES_SCHEMA), preparation)
        except (OSError, ValueError, pa.ArrowException) as error:
            raise UserError(f"{folder / TILES_FILE} is damaged; delete its folder, it will be made again.") from error

    @cached_property
    def positions(self) -> dict[str, int]:
        """Of every tile its number among all tiles of its picture, kept or not, row by row from 0."""
        numbers = {
            frame: {(box.top, box.left): number for number, box in enumerate(self.tiling.boxes(frame))}
            for frame in set(self.frames.values())
        }
        return {
            tile: numbers[self.frames[image_id]][box.top, box.left]
            for image_id, tiles in self.tiles.items()
            for tile, box in zip(tiles, self.boxes[image_id], strict=True)
        }

    def expand(self, image_ids: Sequence[str]) -> list[str]:
        """The ids of all tiles of the pictures, in their order."""
        return [tile for image_id in image_ids for tile in self.tiles[image_id]]

    def counts(self, image_ids: Sequence[str]) -> list[int]:
        """How many tiles each picture has."""
        return [len(self.tiles[image_id]) for image_id in image_ids]

    def portions(self, image_ids: Sequence[str], most: int) -> Iterator[list[str]]:
        """The pictures in order, so many at a time that they have at most `most` tiles together, or one alone."""
        held: list[str] = []
        count = 0
        for image_id in image_ids:
            own = len(self.tiles[image_id])
            if held and count + own > most:
                yield held
                held, count = [], 0
            held, count = [*held, image_id], count + own
        if held:
            yield held
