"""Centre-embedding: an object's bounding box, cut out and put in the middle of a canvas.

Hönel & Nordqvist (2025): with every object in the same place, a detector need not learn where objects lie. The canvas
is the smallest one that holds every object of a data set, found in a first pass over the foreground masks
(`FOREGROUND_SCHEMA`), or one that the user gives.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from raylab2f.datasets.entries import first_few
from raylab2f.errors import UserError
from raylab2f.pitfalls import Caution

__all__ = ["FOREGROUND_SCHEMA", "Box", "bounding_box", "check_foregrounds", "embed", "smallest_canvas"]

#: One row for each prepared picture: the bounding box of its foreground in pixels, after rotation, and the share of the
#: picture that the foreground takes. Height and width are 0 where the mask is empty.
FOREGROUND_SCHEMA = pa.schema(
    [("image_id", pa.string()), ("height", pa.int32()), ("width", pa.int32()), ("share", pa.float64())]
)


@dataclass(frozen=True)
class Box:
    """Pixels from (top, left), `height` and `width` of them."""

    top: int
    left: int
    height: int
    width: int


def bounding_box(mask: NDArray[np.bool_]) -> Box | None:
    """The smallest box with all true pixels of a (H, W) mask, whether they hang together or not; `None` if empty."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return None
    top, left = int(rows[0]), int(columns[0])
    return Box(top, left, int(rows[-1]) - top + 1, int(columns[-1]) - left + 1)


def embed(array: NDArray[Any], box: Box, canvas: tuple[int, int]) -> NDArray[Any]:
    """The box's content, centred on a canvas of zeros of the given height and width; nothing is scaled.

    Raises:
        UserError: the box is larger than the canvas.
    """
    if box.height > canvas[0] or box.width > canvas[1]:
        raise UserError(
            f"An object of {box.height}x{box.width} pixels does not fit on the canvas of {canvas[0]}x{canvas[1]}; "
            "choose a larger --centre-embed, or auto."
        )
    result = np.zeros((*canvas, *array.shape[2:]), array.dtype)
    top, left = (canvas[0] - box.height) // 2, (canvas[1] - box.width) // 2
    result[top : top + box.height, left : left + box.width] = array[
        box.top : box.top + box.height, box.left : box.left + box.width
    ]
    return result


def smallest_canvas(foregrounds: pa.Table) -> tuple[int, int]:
    """Height and width of the smallest canvas that holds every object of a table of `FOREGROUND_SCHEMA`."""
    return int(pc.max(foregrounds["height"]).as_py()), int(pc.max(foregrounds["width"]).as_py())


def check_foregrounds(foregrounds: pa.Table, canvas: tuple[int, int] | None) -> list[Caution]:
    """Whether pictures can be blacked out and embedded by these foregrounds.

    Arguments:
        foregrounds: table of `FOREGROUND_SCHEMA`.
        canvas: height and width that must hold every object; `None`: nothing is embedded.

    Returns:
        Warnings, one sentence each.

    Raises:
        UserError: lists the pictures whose mask is empty, or whose object the canvas cannot hold.
    """
    rows = foregrounds.to_pylist()
    empty = [row["image_id"] for row in rows if row["height"] == 0]
    if empty:
        raise UserError(
            f"{len(empty)} foreground masks are empty, which would leave nothing of their pictures: "
            f"{first_few(empty, 10)}; mend the masks, or leave the pictures out."
        )
    if canvas is not None:
        _refuse_too_large(rows, canvas)
    full = [row["image_id"] for row in rows if row["share"] == 1]
    if not full:
        return []
    sentence = f"{len(full)} foreground masks cover the whole picture, so nothing is removed there: {first_few(full)}."
    return [Caution("RL213", sentence)]


def _refuse_too_large(rows: Sequence[dict[str, Any]], canvas: tuple[int, int]) -> None:
    large = [row for row in rows if row["height"] > canvas[0] or row["width"] > canvas[1]]
    if large:
        needed = max(row["height"] for row in rows), max(row["width"] for row in rows)
        listed = first_few([f"{row['image_id']} ({row['height']}x{row['width']})" for row in large], 10)
        raise UserError(
            f"--centre-embed {canvas[0]}x{canvas[1]}: the canvas is too small for {len(large)} objects: {listed}; "
            f"give at least {needed[0]}x{needed[1]}, or auto."
        )
