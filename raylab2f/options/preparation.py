"""What is done to the pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from raylab2f.errors import UserError
from raylab2f.options.declaration import Option

if TYPE_CHECKING:
    from raylab2f.preparation import PreparationSettings

__all__ = ["Preparation", "parse_size"]

_PANEL = "Preparation"
# Of a number of pixels.
_MOST_DIGITS = 5


@dataclass(frozen=True)
class Preparation:
    """What is done to the pictures."""

    mask_background: Annotated[bool, Option("Black out all but the foreground masks.", panel=_PANEL)] = False
    centre_embed: Annotated[
        str | None,
        Option("Centre every object on a canvas: HEIGHTxWIDTH, or auto for the smallest that holds all.", panel=_PANEL),
    ] = None
    fit: Annotated[
        Literal["stretch", "pad"] | None,
        Option(
            "To the detector's size: stretch, or pad to keep the aspect.",
            usual="stretch; pad with --centre-embed",
            panel=_PANEL,
        ),
    ] = None
    keep_views: Annotated[
        str | None, Option("Only these views: LOW:HIGH of numeric views, or names with commas.", panel=_PANEL)
    ] = None
    keep_views_for: Annotated[
        Literal["training", "evaluation", "both"], Option("Where --keep-views holds.", panel=_PANEL)
    ] = "both"
    train_angles: Annotated[
        str,
        Option(
            "Train on pictures turned by these degrees, such as 0,90,180,270; 0 is the picture as it is.", panel=_PANEL
        ),
    ] = "0"
    eval_angles: Annotated[
        str, Option("Choose thresholds on, and judge, pictures turned by these degrees.", panel=_PANEL)
    ] = "0"

    tiles: Annotated[
        str | None,
        Option(
            "Cut pictures into tiles of HEIGHTxWIDTH, or HEIGHTxWIDTH+OVERLAP, pixels; the detector sees one by one.",
            panel=_PANEL,
        ),
    ] = None
    tile_score: Annotated[
        str, Option("A picture's score from its tiles': max, or the mean of the highest, such as top3.", panel=_PANEL)
    ] = "max"
    per_position: Annotated[
        bool,
        Option("Train one detector for each position of tiles; pictures must be of one size.", panel=_PANEL),
    ] = False

    def settings(self) -> PreparationSettings:
        """As settings; `UserError` names the option that is wrong."""
        from raylab2f.preparation import PreparationSettings

        canvas: Any = self.centre_embed
        if canvas is not None and canvas != "auto":
            canvas = parse_size(canvas, "--centre-embed")
        return PreparationSettings(
            keep_views=self.keep_views,
            keep_views_for=self.keep_views_for,
            train_angles=_angles(self.train_angles, "--train-angles"),
            eval_angles=_angles(self.eval_angles, "--eval-angles"),
            mask_background=self.mask_background,
            centre_embed=canvas,
            fit=self.fit or ("stretch" if canvas is None else "pad"),
            tiles=self.tiles,
            tile_score=self.tile_score,
            per_position=self.per_position,
        )


def parse_size(text: str, option: str = "--size") -> tuple[int, int]:
    """`160` or `HEIGHTxWIDTH` as (height, width)."""
    parts = text.lower().split("x")
    if len(parts) > 2 or not all(part.isdecimal() and len(part) <= _MOST_DIGITS and int(part) > 0 for part in parts):
        raise UserError(f"{option} {text}: give one number of pixels, or HEIGHTxWIDTH.")
    return int(parts[0]), int(parts[-1])


def _angles(text: str, option: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise UserError(f"{option} {text}: give degrees joined by commas, such as 0,90,180,270.") from error
