"""`raylab2f report`: the page of a run, or of several side by side."""

from __future__ import annotations

from typing import Annotated

from raylab2f import api
from raylab2f.cli.composition import command
from raylab2f.cli.lines import print_lines
from raylab2f.files.places import join
from raylab2f.options.declaration import Option
from raylab2f.options.limits import Limits
from raylab2f.options.places import Workplace
from raylab2f.reporting.printing import plain_console

__all__ = ["report"]


@command
def report(
    *,
    runs: Annotated[
        tuple[str, ...],
        Option(
            "Folders of runs, or their URIs; several are compared on the same folds.", kind="place", positional=True
        ),
    ],
    out: Annotated[
        str | None, Option("Folder or URI for report.html and report.md.", kind="place", usual="the run's folder")
    ] = None,
    limits: Limits,
    workplace: Workplace,
) -> None:
    """Write report.html, one file that needs no network, and report.md: verdict, weaknesses, thresholds, parts."""
    console = plain_console()
    made = api.report(runs, **vars(limits), **vars(workplace), out=out, console=console)
    print_lines(console, f"page: {join(made.place, 'report.html')}")
