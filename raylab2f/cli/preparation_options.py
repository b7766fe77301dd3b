"""Options that say what is done to the pictures, and their conversion."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from raylab2f.cli.options import parse_size
from raylab2f.errors import UserError

if TYPE_CHECKING:
    from raylab2f.preparation import PreparationSettings

__all__ = [
    "CentreEmbedOption",
    "EvalAnglesOption",
    "FitOption",
    "KeepViewsForOption",
    "KeepViewsOption",
    "MaskBackgroundOption",
    "TrainAnglesOption",
    "preparation_settings",
]

_PREPARATION = "Preparation"

MaskBackgroundOption = Annotated[
    bool,
    typer.Option("--mask-background", help="Black out all but the foreground masks.", rich_help_panel=_PREPARATION),
]
CentreEmbedOption = Annotated[
    str | None,
    typer.Option(
        "--centre-embed",
        help="Centre every object on a canvas: HEIGHTxWIDTH, or auto for the smallest that holds all.",
        rich_help_panel=_PREPARATION,
    ),
]
FitOption = Annotated[
    Literal["stretch", "pad"] | None,
    typer.Option(
        "--fit",
        help="To the detector's size: stretch, or pad to keep the aspect.",
        show_default="stretch; pad with --centre-embed",
        rich_help_panel=_PREPARATION,
    ),
]
KeepViewsOption = Annotated[
    str | None,
    typer.Option(
        "--keep-views",
        help="Only these views: LOW:HIGH of numeric views, or names with commas.",
        rich_help_panel=_PREPARATION,
    ),
]
KeepViewsForOption = Annotated[
    Literal["training", "evaluation", "both"],
    typer.Option("--keep-views-for", help="Where --keep-views holds.", rich_help_panel=_PREPARATION),
]
TrainAnglesOption = Annotated[
    str,
    typer.Option(
        "--train-angles",
        help="Train on pictures turned by these degrees, such as 0,90,180,270; 0 is the picture as it is.",
        rich_help_panel=_PREPARATION,
    ),
]
EvalAnglesOption = Annotated[
    str,
    typer.Option(
        "--eval-angles",
        help="Choose thresholds on, and judge, pictures turned by these degrees.",
        rich_help_panel=_PREPARATION,
    ),
]


def preparation_settings(
    mask_background: bool,
    centre_embed: str | None,
    fit: Literal["stretch", "pad"] | None,
    keep_views: str | None,
    keep_views_for: Literal["training", "evaluation", "both"],
    train_angles: str,
    eval_angles: str,
) -> PreparationSettings:
    """The options' values as settings; `UserError` names the option that is wrong."""
    from raylab2f.preparation import PreparationSettings

    canvas: Any = centre_embed
    if centre_embed is not None and centre_embed != "auto":
        canvas = parse_size(centre_embed, "--centre-embed")
    return PreparationSettings(
        keep_views=keep_views,
        keep_views_for=keep_views_for,
        train_angles=_angles(train_angles, "--train-angles"),
        eval_angles=_angles(eval_angles, "--eval-angles"),
        mask_background=mask_background,
        centre_embed=canvas,
        fit=fit or ("stretch" if centre_embed is None else "pad"),
    )


def _angles(text: str, option: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise UserError(f"{option} {text}: give degrees joined by commas, such as 0,90,180,270.") from error
