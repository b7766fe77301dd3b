"""Options that several commands share, and their conversion."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from raylab2f.cli.place_options import PLACE
from raylab2f.errors import UserError
from raylab2f.files.home import user_cache
from raylab2f.files.places import absolute, place_of

if TYPE_CHECKING:
    from raylab2f.runs.folder import DataSettings

__all__ = [
    "AddressOption",
    "AnomalousOption",
    "BetaOption",
    "CacheOption",
    "CategoryOption",
    "ConfidenceOption",
    "CostEscapeOption",
    "CostOverkillOption",
    "DataOption",
    "IntervalOption",
    "LayoutOption",
    "NominalOption",
    "ObjectIdOption",
    "ObjectScoreOption",
    "PixelLimitOption",
    "PrevalenceOption",
    "ReplicatesOption",
    "SkipUnreadableOption",
    "ThresholdOption",
    "ViewsOption",
    "data_settings",
    "default_cache",
    "parse_size",
    "refuse_repeats",
]

_DATA = "Pictures"
_EVALUATION = "Evaluation"
_CLUSTER = "Cluster"

DataOption = Annotated[
    str | None,
    typer.Option(
        "--data",
        **PLACE,
        help="Folder or manifest of pictures, or a manifest's URI.",
        show_default="demo",
        rich_help_panel=_DATA,
    ),
]
LayoutOption = Annotated[
    str, typer.Option("--layout", help="auto, mvtec, mtd, folder or manifest.", rich_help_panel=_DATA)
]
CategoryOption = Annotated[
    str | None, typer.Option("--category", help="One category of a folder that holds several.", rich_help_panel=_DATA)
]
NominalOption = Annotated[
    list[str],
    typer.Option("--nominal", help="Folder of good parts (layout folder); repeatable.", rich_help_panel=_DATA),
]
AnomalousOption = Annotated[
    list[str],
    typer.Option("--anomalous", help="Folder of defective parts (layout folder); repeatable.", rich_help_panel=_DATA),
]
ObjectIdOption = Annotated[
    str | None,
    typer.Option(
        "--object-id", help="Regex on image ids with a group (?P<object>...): which part.", rich_help_panel=_DATA
    ),
]
ViewsOption = Annotated[
    str | None,
    typer.Option("--views", help="Regex on image ids with a group (?P<view>...): which view.", rich_help_panel=_DATA),
]
SkipUnreadableOption = Annotated[
    bool,
    typer.Option("--skip-unreadable", help="Go on without pictures that cannot be read.", rich_help_panel=_DATA),
]
PixelLimitOption = Annotated[
    int, typer.Option("--pixel-limit", help="Refuse pictures of more pixels.", min=1, rich_help_panel=_DATA)
]
ThresholdOption = Annotated[
    list[str],
    typer.Option(
        "--threshold",
        help="Threshold strategy, such as youden, cost, target-recall:0.95, guaranteed-recall; repeatable.",
        rich_help_panel=_EVALUATION,
    ),
]
ObjectScoreOption = Annotated[
    str,
    typer.Option(
        "--object-score",
        help="A part's score from its pictures': max, mean, topk-mean:K or quantile:Q.",
        rich_help_panel=_EVALUATION,
    ),
]
CostEscapeOption = Annotated[
    float, typer.Option("--cost-escape", help="Cost of a defective part accepted.", rich_help_panel=_EVALUATION)
]
CostOverkillOption = Annotated[
    float, typer.Option("--cost-overkill", help="Cost of a good part rejected.", rich_help_panel=_EVALUATION)
]
PrevalenceOption = Annotated[
    float | None,
    typer.Option("--prevalence", help="The factory's share of defective parts.", rich_help_panel=_EVALUATION),
]
BetaOption = Annotated[float, typer.Option("--beta", help="Of F-beta.", rich_help_panel=_EVALUATION)]
ConfidenceOption = Annotated[float, typer.Option("--confidence", help="Of all intervals.", rich_help_panel=_EVALUATION)]
IntervalOption = Annotated[
    str,
    typer.Option("--interval", help="Method of the interval that is shown.", rich_help_panel=_EVALUATION),
]
ReplicatesOption = Annotated[
    int, typer.Option("--replicates", min=1, help="Of the bootstrap.", rich_help_panel=_EVALUATION)
]
CacheOption = Annotated[
    str | None,
    typer.Option(
        "--cache",
        **PLACE,
        help="Folder or URI for rendered pictures, image shards and features.",
        show_default="RAYLAB2F_CACHE, else the user's cache folder",
    ),
]
AddressOption = Annotated[
    str | None,
    typer.Option(
        "--address",
        help="Of a Ray cluster, HEAD:6379.",
        show_default="RAY_ADDRESS, else one on this machine, for this command only",
        rich_help_panel=_CLUSTER,
    ),
]


def data_settings(
    data: str | None,
    layout: str,
    category: str | None,
    nominal: Sequence[str],
    anomalous: Sequence[str],
    object_id: str | None,
    views: str | None,
    skip_unreadable: bool,
    pixel_limit: int,
) -> DataSettings:
    """The options' values as settings, which hold in whatever folder a process works."""
    from raylab2f.runs.folder import DataSettings

    return DataSettings(
        data=None if data is None else absolute(data),
        layout=layout,
        category=category,
        nominal=tuple(nominal),
        anomalous=tuple(anomalous),
        object_id=object_id,
        views=views,
        skip_unreadable=skip_unreadable,
        pixel_limit=pixel_limit,
    )


def default_cache(given: str | None) -> str:
    """The place of the cache: the option, else the environment variable, else the user's cache folder."""
    return place_of(given or os.environ.get("RAYLAB2F_CACHE") or user_cache("--cache or RAYLAB2F_CACHE"))


def parse_size(text: str, option: str = "--size") -> tuple[int, int]:
    """`160` or `HEIGHTxWIDTH` as (height, width)."""
    parts = text.lower().split("x")
    if len(parts) > 2 or not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise UserError(f"{option} {text}: give one number of pixels, or HEIGHTxWIDTH.")
    return int(parts[0]), int(parts[-1])


def refuse_repeats(option: str, values: Sequence[Any]) -> None:
    """`UserError` if an option that may be repeated has a value twice: two runs would share a folder."""
    for value in values:
        if values.count(value) > 1:
            raise UserError(f"{option} {value} is given twice; give it once.")
