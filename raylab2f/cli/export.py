"""`raylab2f export`: a finalised model as a file of another runtime, with a certificate."""

from __future__ import annotations

from typing import Annotated

from raylab2f import api
from raylab2f.cli.composition import command
from raylab2f.cli.lines import print_lines
from raylab2f.options.declaration import Option
from raylab2f.options.exporting import Exporting
from raylab2f.options.models import ModelOption
from raylab2f.reporting.printing import plain_console

__all__ = ["export"]


@command
def export(
    *,
    model: ModelOption,
    out: Annotated[
        str | None,
        Option("Folder for the file and its certificate.", kind="path", usual="exports/FORMAT-PRECISION of the model"),
    ] = None,
    exporting: Exporting,
) -> None:
    """Write a model for another runtime; the file is kept only if it decides as the model does."""
    console = plain_console()
    exported = api.export(model, **vars(exporting), out=out, console=console)
    found = exported.certificate["findings"]
    flips = found["flips"]
    what = "parts" if found["level"] == "object" else "pictures"
    lines = [
        f"file: {exported.path}",
        f"scores differ by {found['score_difference']['largest']:.2g} at most on {found['pictures']:,} pictures; "
        f"{flips['count']} of {found['decided']:,} {what} changed their verdict, {flips['outside_margin']} of them "
        "beyond the margin",
        f"certificate: {exported.path.parent / 'certificate.md'}",
    ]
    print_lines(console, *lines)
