"""The steps from a picture as it was taken to a picture as detectors see it, and the description that names them.

In this order: turn the picture (for rotated copies), black out the background, embed the object in the middle of a
canvas, cut it into tiles where that is asked for, bring it, or each tile, to the detector's size. Defect and foreground
masks follow every step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from raylab2f.errors import UserError
from raylab2f.files.typed_values import require_types
from raylab2f.preparation.embedding import Box, bounding_box, embed
from raylab2f.preparation.resize import FITS, resize_mask, resize_picture
from raylab2f.preparation.rotation import rotate_mask, rotate_picture
from raylab2f.preparation.tiling import Tiling

__all__ = ["Preparation", "Prepared", "arrange", "prepare", "prepare_tiles"]

# Raised whenever the same description gives other pictures than before, so that stored ones are not mistaken for them.
# 2: elongated pictures and masks are averaged along the side that shrinks though the other one grows.
# 3: all classes of a mask are marked, and ink on transparent ground whatever its colour.
_VERSION = 3


@dataclass(frozen=True)
class Preparation:
    """What happens to every picture before any detector sees it.

    Equal descriptions give equal pictures: `to_dict` is part of the address of image shards and feature stores.

    Arguments:
        size: height and width in pixels of the prepared picture.
        fit: `stretch` (as both publications do) or `pad`: keep the aspect, centre, fill with black.
        mask_background: black out all that is not foreground.
        canvas: height and width in pixels, before resizing, of the canvas on which the object's bounding box is
            centred; `None`: the picture stays whole. A canvas needs `fit` `pad`, so that objects keep their aspect.
        angles: degrees, counter-clockwise, of the turned copies that are prepared beside every picture; without 0.
        tiles: as `tiling.Tiling` writes them, such as `512x512+64`: what is prepared are tiles of the picture, each
            brought to `size`; `None`: the picture as a whole.

    Raises:
        UserError: a value is out of its range, or two do not go together.
    """

    size: tuple[int, int]
    fit: str = "stretch"
    mask_background: bool = False
    canvas: tuple[int, int] | None = None
    angles: tuple[float, ...] = ()
    tiles: str | None = None

    def __post_init__(self) -> None:
        if self.fit not in FITS:
            raise UserError(f"--fit {self.fit}: choose one of {', '.join(FITS)}.")
        if min(self.size) < 16:
            raise UserError(f"--size {self.size[0]}x{self.size[1]} is too small; give at least 16x16 pixels.")
        if self.canvas is not None and self.fit != "pad":
            raise UserError(f"--fit {self.fit}: would distort centre-embedded objects; leave it out, or say pad.")
        if (tiling := self.tiling) is not None:
            _check_tiles(tiling, self)

    @property
    def needs_foreground(self) -> bool:
        """Whether every picture must come with a foreground mask."""
        return self.mask_background or self.canvas is not None

    @property
    def tiling(self) -> Tiling | None:
        """How pictures are cut; `None`: they stay whole."""
        return None if self.tiles is None else Tiling.parse(self.tiles)

    @property
    def whole(self) -> Preparation:
        """The same of whole pictures."""
        return replace(self, tiles=None)

    def to_dict(self) -> dict[str, Any]:
        """JSON-able description, part of every store's address; what is not cut says nothing of tiles."""
        values = {
            "version": _VERSION,
            **asdict(self),
            "size": list(self.size),
            "canvas": None if self.canvas is None else list(self.canvas),
            "angles": [float(angle) for angle in self.angles],
        }
        return values if self.tiles is not None else {k: value for k, value in values.items() if k != "tiles"}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Preparation:
        """The inverse of `to_dict`.

        Raises:
            ValueError: no description, or one of other pictures than this version prepares.
        """
        given = dict(values)
        if (version := given.pop("version", None)) != _VERSION:
            raise ValueError(f"it was prepared by version {version} of the preparation, and this is {_VERSION}")
        require_types(cls, given)
        made: dict[str, Any] = {n: tuple(value) if isinstance(value, list) else value for n, value in given.items()}
        return cls(**made)


def _check_tiles(tiling: Tiling, preparation: Preparation) -> None:
    """`UserError` where tiles do not go together with the rest."""
    canvas, size = preparation.canvas, preparation.size
    if canvas is not None and not tiling.fits(canvas):
        raise UserError(
            f"--tiles {tiling}: the canvas of {canvas[0]}x{canvas[1]} pixels (--centre-embed) is smaller than a tile; "
            "give smaller tiles."
        )
    if preparation.fit == "pad" and tiling.height * size[1] != tiling.width * size[0]:
        raise UserError(
            f"--tiles {tiling}: would get black bars (--fit pad, --size {size[0]}x{size[1]}); give tiles of the same "
            f"aspect as --size, such as {2 * size[0]}x{2 * size[1]}."
        )


@dataclass(frozen=True)
class Prepared:
    """A prepared picture (H, W, 3) uint8 and its masks (H, W) bool, all of `Preparation.size`."""

    picture: NDArray[np.uint8]
    foreground: NDArray[np.bool_]
    defect: NDArray[np.bool_]


def prepare(
    picture: NDArray[np.uint8],
    preparation: Preparation,
    *,
    foreground: NDArray[np.bool_] | None = None,
    defect: NDArray[np.bool_] | None = None,
    angle: float = 0.0,
) -> Prepared:
    """One picture and its masks, prepared as a whole.

    Arguments and errors as for `arrange`.
    """
    arranged = arrange(picture, preparation, foreground=foreground, defect=defect, angle=angle)
    return _finish(*arranged, preparation)


def prepare_tiles(
    picture: NDArray[np.uint8],
    preparation: Preparation,
    boxes: Sequence[Box],
    *,
    foreground: NDArray[np.bool_] | None = None,
    defect: NDArray[np.bool_] | None = None,
    angle: float = 0.0,
) -> list[Prepared]:
    """Some tiles of one picture and its masks, each prepared.

    Arguments:
        boxes: of the arranged picture; others, and errors, as for `arrange`.
    """
    whole, shown, damaged = arrange(picture, preparation, foreground=foreground, defect=defect, angle=angle)
    windows = [(slice(b.top, b.top + b.height), slice(b.left, b.left + b.width)) for b in boxes]
    return [_finish(whole[window], shown[window], damaged[window], preparation) for window in windows]


def arrange(
    picture: NDArray[np.uint8],
    preparation: Preparation,
    *,
    foreground: NDArray[np.bool_] | None = None,
    defect: NDArray[np.bool_] | None = None,
    angle: float = 0.0,
) -> tuple[NDArray[np.uint8], NDArray[np.bool_], NDArray[np.bool_]]:
    """All steps but the last: a picture, its foreground and its defect at the resolution at which they were taken.

    Arguments:
        picture: (H, W, 3) RGB.
        foreground: (H, W); `None`: all of the picture.
        defect: (H, W); `None`: nothing of it.
        angle: degrees by which this copy is turned. What the turned frame lacks in its corners is black where
            backgrounds are removed, and mirrored elsewhere, for black corners would be a feature of their own.

    Raises:
        UserError: the foreground is absent but needed, empty, or larger than the canvas; a mask of another size.
    """
    if foreground is None and preparation.needs_foreground:
        raise UserError("A picture without a foreground mask cannot be freed of its background; see raylab2f segment.")
    for name, mask in (("foreground", foreground), ("defect", defect)):
        if mask is not None and mask.shape != picture.shape[:2]:
            raise UserError(
                f"The {name} mask has {mask.shape[0]}x{mask.shape[1]} pixels, but its picture "
                f"{picture.shape[0]}x{picture.shape[1]}; give masks of the picture's size."
            )
    foreground = np.ones(picture.shape[:2], bool) if foreground is None else foreground
    defect = np.zeros(picture.shape[:2], bool) if defect is None else defect
    if angle % 360:
        grow, reflect = preparation.canvas is not None, not preparation.needs_foreground
        picture = rotate_picture(picture, angle, grow=grow, reflect=reflect)
        foreground = rotate_mask(foreground, angle, grow=grow, reflect=reflect)
        defect = rotate_mask(defect, angle, grow=grow, reflect=reflect)
    if preparation.mask_background:
        picture = picture * foreground[..., None]
    if preparation.canvas is not None:
        box = bounding_box(foreground)
        if box is None:
            raise UserError("A foreground mask is empty; mend the mask, or leave the picture out.")
        picture, foreground, defect = (embed(array, box, preparation.canvas) for array in (picture, foreground, defect))
    return picture, foreground, defect


def _finish(
    picture: NDArray[np.uint8], foreground: NDArray[np.bool_], defect: NDArray[np.bool_], preparation: Preparation
) -> Prepared:
    """Of an arranged picture, or a tile of it: brought to the detector's size."""
    size, fit = preparation.size, preparation.fit
    resized, mask = resize_picture(picture, size, fit), resize_mask(foreground, size, fit)
    if preparation.mask_background:
        # Interpolation of an enlarged picture carries the object's rim over its mask.
        resized = resized * mask[..., None]
    return Prepared(resized, mask, resize_mask(defect, size, fit))
