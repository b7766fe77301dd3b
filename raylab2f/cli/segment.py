"""`raylab2f segment`: a foreground mask for every picture, and the pictures freed of their background."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from raylab2f.cli.composition import command
from raylab2f.errors import UserError
from raylab2f.options.declaration import Option
from raylab2f.options.pictures import Pictures
from raylab2f.options.places import Workplace, default_cache
from raylab2f.options.preparation import parse_size
from raylab2f.reporting.printing import plain_console

__all__ = ["segment"]

_NETWORKS = "Grounded SAM"


@dataclass(frozen=True)
class _Networks:
    """What finds the object that a sentence names."""

    prompt: Annotated[str | None, Option("The object in plain words.", panel=_NETWORKS)] = None
    detector: Annotated[str | None, Option("Grounding DINO: hub name or folder.", panel=_NETWORKS)] = None
    segmenter: Annotated[str | None, Option("SAM or SAM 2: hub name or folder.", panel=_NETWORKS)] = None
    box_threshold: Annotated[float, Option("Least score of a box.", minimum=0, maximum=1, panel=_NETWORKS)] = 0.25
    text_threshold: Annotated[float, Option("Least score of a word.", minimum=0, maximum=1, panel=_NETWORKS)] = 0.25
    nms_threshold: Annotated[
        float, Option("Overlap above which the lesser box goes.", minimum=0, maximum=1, panel=_NETWORKS)
    ] = 0.8


@command
def segment(
    *,
    data: Annotated[
        str | None,
        Option("Folder or manifest of pictures, or a manifest's URI.", kind="place", usual="demo", positional=True),
    ] = None,
    out: Annotated[Path, Option("Folder for masks, pictures and manifests.", kind="path")] = Path("segmented"),
    method: Annotated[
        Literal["contrast", "grounded-sam"],
        Option("contrast: one object on a calm background; grounded-sam: what --prompt names."),
    ] = "contrast",
    centre_embed: Annotated[
        str, Option("Canvas for centred objects: HEIGHTxWIDTH, or auto for the smallest that holds all.")
    ] = "auto",
    networks: _Networks,
    pictures: Pictures,
    workplace: Workplace,
) -> None:
    """Find the object in every picture; write masks, blacked-out and centred pictures. Run again to go on."""
    if method == "grounded-sam" and not networks.prompt:
        raise UserError('--method grounded-sam needs --prompt, such as --prompt "the metal part in the centre".')
    if method == "contrast" and (networks.prompt or networks.detector or networks.segmenter):
        raise UserError("--prompt, --detector and --segmenter belong to --method grounded-sam; add it.")
    canvas: Any = centre_embed if centre_embed == "auto" else parse_size(centre_embed, "--centre-embed")

    from raylab2f.cluster.pictures.segment import segment_dataset
    from raylab2f.preparation.grounded_sam import GroundedSamConfig
    from raylab2f.reporting import Display
    from raylab2f.runs.data import open_dataset

    chosen: Any = "contrast"
    if method == "grounded-sam":
        # Which networks there are usually is known where they are used.
        chosen = GroundedSamConfig(**{name: value for name, value in vars(networks).items() if value is not None})
    display = Display(plain_console())
    dataset = open_dataset(pictures.settings(data), default_cache(workplace.cache), display)
    result = segment_dataset(
        dataset.manifest,
        out,
        chosen,
        canvas=canvas,
        pixel_limit=pictures.pixel_limit,
        display=display,
        address=workplace.address,
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
