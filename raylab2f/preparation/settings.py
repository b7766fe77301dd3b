"""What a user asks to be done to the pictures, before a data set says what that means for it."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import pyarrow as pa

from raylab2f.errors import UserError
from raylab2f.preparation.embedding import smallest_canvas
from raylab2f.preparation.pipeline import Preparation
from raylab2f.preparation.tiling import Tiling, parse_tile_score

__all__ = ["PreparationSettings"]


@dataclass(frozen=True)
class PreparationSettings:
    """Steps of the preparation, in the order in which they are taken; the defaults change nothing but the size.

    Arguments:
        keep_views: which views are kept (see `views.kept_views`); `None`: all. Chooses among prepared pictures, so it
            is not part of a store's address, and fold plans are those of the unrestricted data.
        keep_views_for: `training`, `evaluation` (choosing the threshold and judging) or `both`.
        train_angles: degrees, counter-clockwise, by which training pictures are turned, each to a picture of its own; 0
            is the picture as it is. Kept within [0, 360), so that one turn is one picture however it is written.
        eval_angles: likewise for the pictures that choose the threshold and are judged.
        mask_background: black out all that is not foreground.
        centre_embed: height and width of the canvas on which objects are centred; `auto`: the smallest one that
            holds every object of the data set; `None`: pictures stay whole.
        fit: `stretch`, or `pad`, which keeps the aspect and is a must with `centre_embed`.
        tiles: such as `512x512+64`: pictures are cut into tiles of so many pixels, which the detector sees one by one;
            `None`: they stay whole.
        tile_score: a picture's score from those of its tiles: `max`, or the mean of the highest few, such as `top3`.
            No part of a store's address.
        per_position: train one detector for each position of tiles, rather than one for all. Likewise.

    Raises:
        UserError: a value that cannot be.
    """

    keep_views: str | None = None
    keep_views_for: Literal["training", "evaluation", "both"] = "both"
    train_angles: tuple[float, ...] = (0.0,)
    eval_angles: tuple[float, ...] = (0.0,)
    mask_background: bool = False
    centre_embed: Literal["auto"] | tuple[int, int] | None = None
    fit: Literal["stretch", "pad"] = "stretch"
    tiles: str | None = None
    tile_score: str = "max"
    per_position: bool = False

    def __post_init__(self) -> None:
        if self.keep_views_for not in ("training", "evaluation", "both"):
            raise UserError(f"--keep-views-for {self.keep_views_for}: choose one of training, evaluation, both.")
        for name in ("train_angles", "eval_angles"):
            object.__setattr__(self, name, _turns(getattr(self, name), f"--{name.replace('_', '-')}"))
        if isinstance(self.centre_embed, str) and self.centre_embed != "auto":
            raise UserError(f"--centre-embed {self.centre_embed}: give HEIGHTxWIDTH in pixels, or auto.")
        if self.tiles is not None:
            object.__setattr__(self, "tiles", str(Tiling.parse(self.tiles)))
        highest = parse_tile_score(self.tile_score)
        if self.tiles is None and highest > 1:
            raise UserError(f"--tile-score {self.tile_score}: there are no tiles; give --tiles, or leave it out.")
        if self.tiles is None and self.per_position:
            raise UserError("--per-position: there are no tiles; give --tiles, or leave it out.")

    @property
    def angles(self) -> tuple[float, ...]:
        """Of the turned copies that are needed beside the pictures as they are, ascending."""
        return tuple(sorted({*self.train_angles, *self.eval_angles} - {0.0}))

    @property
    def needs_foreground(self) -> bool:
        """Whether every picture must come with a foreground mask."""
        return self.mask_background or self.centre_embed is not None

    @property
    def whole(self) -> PreparationSettings:
        """The same of whole pictures."""
        return replace(self, tiles=None, tile_score="max", per_position=False)

    def resolve(self, size: tuple[int, int], foregrounds: pa.Table | None = None) -> Preparation:
        """The preparation of one data set for one detector.

        Arguments:
            size: height and width in pixels that the detector asks for.
            foregrounds: table of `embedding.FOREGROUND_SCHEMA` of all prepared pictures; needed for `auto`.
        """
        canvas = self.centre_embed
        if canvas == "auto":
            if foregrounds is None:
                raise ValueError("the smallest canvas is found in the table of foregrounds")
            canvas = smallest_canvas(foregrounds)
        return Preparation(size, self.fit, self.mask_background, canvas, self.angles, self.tiles)

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        values = asdict(self)
        return {key: list(value) if isinstance(value, tuple) else value for key, value in values.items()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> PreparationSettings:
        """The inverse of `to_dict`."""
        plain: dict[str, Any] = {k: tuple(value) if isinstance(value, list) else value for k, value in values.items()}
        return cls(**plain)


def _turns(angles: tuple[float, ...], option: str) -> tuple[float, ...]:
    """The angles within [0, 360)."""
    if not all(map(math.isfinite, angles)):
        raise UserError(f"{option}: angles are finite numbers of degrees.")
    # Rounded, for -0.3 and 359.7 differ in their last digits; rounding may give 360 once more.
    turns = tuple(round(float(angle) % 360, 9) % 360 for angle in angles)
    if not turns or len(set(turns)) < len(turns):
        raise UserError(f"{option}: give at least one angle, and none twice (360 degrees are a full turn).")
    return turns
