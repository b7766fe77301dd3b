"""`raylab2f datasets`: what is known, how to get it, what a folder looks like to us."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from raylab2f.cli.composition import command
from raylab2f.cli.lines import print_lines
from raylab2f.errors import UserError
from raylab2f.files.places import name_of, parent_of
from raylab2f.options.declaration import Option
from raylab2f.options.pictures import Pictures
from raylab2f.reporting.printing import plain_console
from raylab2f.reporting.whole_tables import print_table

__all__ = ["datasets_app"]

datasets_app = typer.Typer(no_args_is_help=True, help="Known data sets, downloads, manifests.")


@datasets_app.command("list")
def list_datasets() -> None:
    """List the data sets that `download` knows."""
    from raylab2f.datasets.catalogue import CATALOGUE

    headings = ("name", "what", "licence", "layout")
    rows = [(name, entry.description, entry.licence, entry.layout) for name, entry in CATALOGUE.items()]
    print_table(headings, rows, plain_console(), left=range(len(headings)), box=False)


@datasets_app.command("download")
@command
def download(
    name: Annotated[str, Option("As in `datasets list`.", positional=True)],
    out: Annotated[Path, Option("Folder to put it in.", kind="path")] = Path("data"),
) -> None:
    """Download and unpack a data set; says what to do by hand where its licence asks for a form."""
    from raylab2f.datasets.catalogue import CATALOGUE
    from raylab2f.datasets.download import download_dataset
    from raylab2f.reporting import Display

    if name not in CATALOGUE:
        raise UserError(f"{name}: no such data set is known; choose one of {', '.join(CATALOGUE)}.")
    console = plain_console()
    with Display(console).stage(f"download {name}") as progress:
        folder = download_dataset(CATALOGUE[name], out, progress=progress)
    print_lines(console, f"{name} is in {folder}")


@datasets_app.command("manifest")
@command
def manifest(
    data: Annotated[str, Option("Folder of pictures, or a manifest or its URI.", kind="place", positional=True)],
    pictures: Pictures,
    out: Annotated[str | None, Option("Write the manifest here (Parquet).", kind="place")] = None,
) -> None:
    """Read a folder as `run-cv` would, say what is in it, and write its manifest if asked."""
    from raylab2f.datasets import load_dataset
    from raylab2f.datasets.manifest import fingerprint, write_manifest
    from raylab2f.files.mirror import local, publish
    from raylab2f.reporting import Display

    console = plain_console()
    display = Display(console)
    with display.stage("read pictures") as progress:
        dataset = load_dataset(data, progress=progress, **vars(pictures))
    rows = dataset.manifest.to_pylist()
    lines = []
    for kind, count in sorted(Counter(row["defect_type"] for row in rows).items()):
        own = [row for row in rows if row["defect_type"] == kind]
        objects = len({row["object_id"] for row in own})
        lines.append((kind, str(count), str(objects), str(sum(row["mask_path"] is not None for row in own))))
    title = f"{dataset.name}, fingerprint {fingerprint(dataset.manifest)}"
    print_table(("defect type", "pictures", "objects", "masks"), lines, console, title=title)
    for image_id, reason in dataset.skipped:
        display.warn(f"{image_id} left out: {reason}")
    for warning in dataset.warnings:
        display.warn(warning)
    if out is not None:
        write_manifest(local(out), dataset.manifest)
        publish(parent_of(out), [name_of(out)])
        display.say(f"manifest written to {out}")
