"""`raylab2f segment`: a foreground mask for every picture, and the pictures freed of their background."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Console

from raylab2f.cli.options import (
    AddressOption,
    AnomalousOption,
    CacheOption,
    CategoryOption,
    LayoutOption,
    NominalOption,
    ObjectIdOption,
    PixelLimitOption,
    SkipUnreadableOption,
    ViewsOption,
    data_settings,
    default_cache,
    parse_size,
)
from raylab2f.cli.place_options import PATH, PLACE
from raylab2f.errors import UserError

__all__ = ["segment"]

_NETWORKS = "Grounded SAM"


def segment(
    data: Annotated[
        str | None,
        typer.Argument(**PLACE, help="Folder or manifest of pictures, or a manifest's URI.", show_default="demo"),
    ] = None,
    out: Annotated[Path, typer.Option("--out", **PATH, help="Folder for masks, pictures and manifests.")] = Path(
        "segmented"
    ),
    method: Annotated[
        Literal["contrast", "grounded-sam"],
        typer.Option(help="contrast: one object on a calm background; grounded-sam: what --prompt names."),
    ] = "contrast",
    centre_embed: Annotated[
        str, typer.Option(help="Canvas for centred objects: HEIGHTxWIDTH, or auto for the smallest that holds all.")
    ] = "auto",
    prompt: Annotated[str | None, typer.Option(help="The object in plain words.", rich_help_panel=_NETWORKS)] = None,
    detector: Annotated[
        str | None, typer.Option(help="Grounding DINO: hub name or folder.", rich_help_panel=_NETWORKS)
    ] = None,
    segmenter: Annotated[
        str | None, typer.Option(help="SAM or SAM 2: hub name or folder.", rich_help_panel=_NETWORKS)
    ] = None,
    box_threshold: Annotated[
        float, typer.Option(min=0, max=1, help="Least score of a box.", rich_help_panel=_NETWORKS)
    ] = 0.25,
    text_threshold: Annotated[
        float, typer.Option(min=0, max=1, help="Least score of a word.", rich_help_panel=_NETWORKS)
    ] = 0.25,
    nms_threshold: Annotated[
        float, typer.Option(min=0, max=1, help="Overlap above which the lesser box goes.", rich_help_panel=_NETWORKS)
    ] = 0.8,
    layout: LayoutOption = "auto",
    category: CategoryOption = None,
    nominal: NominalOption = [],
    anomalous: AnomalousOption = [],
    object_id: ObjectIdOption = None,
    views: ViewsOption = None,
    skip_unreadable: SkipUnreadableOption = False,
    pixel_limit: PixelLimitOption = 100_000_000,
    cache: CacheOption = None,
    address: AddressOption = None,
) -> None:
    """Find the object in every picture; write masks, blacked-out and centred pictures. Run again to go on."""
    if method == "grounded-sam" and not prompt:
        raise UserError('--method grounded-sam needs --prompt, such as --prompt "the metal part in the centre".')
    if method == "contrast" and (prompt or detector or segmenter):
        raise UserError("--prompt, --detector and --segmenter belong to --method grounded-sam; add it.")
    canvas: Any = centre_embed if centre_embed == "auto" else parse_size(centre_embed, "--centre-embed")

    from raylab2f.cluster.pictures.segment import segment_dataset
    from raylab2f.preparation.grounded_sam import GroundedSamConfig
    from raylab2f.reporting import Display
    from raylab2f.runs.data import open_dataset

    chosen: Any = "contrast"
    if method == "grounded-sam":
        names: dict[str, Any] = {
            name: value for name, value in (("detector", detector), ("segmenter", segmenter)) if value
        }
        thresholds: dict[str, Any] = {
            "box_threshold": box_threshold,
            "text_threshold": text_threshold,
            "nms_threshold": nms_threshold,
        }
        chosen = GroundedSamConfig(prompt=str(prompt), **names, **thresholds)
    settings = data_settings(data, layout, category, nominal, anomalous, object_id, views, skip_unreadable, pixel_limit)
    display = Display(Console())
    dataset = open_dataset(settings, default_cache(cache), display)
    result = segment_dataset(
        dataset.manifest, out, chosen, canvas=canvas, pixel_limit=pixel_limit, display=display, address=address
    )
    _report(result.records, result.made, display, out)


def _report(records: dict[str, dict[str, Any]], made: int, display: Any, out: Path) -> None:
    failed = sum(record["failure"] is not None for record in records.values())
    found = [record for record in records.values() if record["failure"] is None]
    kept = f", {len(records) - made} of them before" if made < len(records) else ""
    display.say(f"{len(found)} of {len(records)} pictures segmented{kept}")
    if failed:
        display.warn(f"{failed} pictures have no mask and are left out; {out / 'failures.parquet'} says why.")
    notes = sorted({record["note"] for record in found if record["note"]})
    for note in notes:
        display.warn(f"{sum(record['note'] == note for record in found)} pictures: {note}.")
    overlaps = [record["iou"] for record in found if record["iou"] is not None]
    if overlaps:
        mean = sum(overlaps) / len(overlaps)
        display.say(
            f"intersection over union with the foregrounds of the data: mean {mean:.3f}, least {min(overlaps):.3f} "
            f"({len(overlaps)} pictures)"
        )
    display.say(f"data sets in {out}: manifest, blanked, embedded and embedded-blanked (.parquet), each fit for --data")
