"""`raylab2f diagnose`: which pitfalls a finished run stands in."""

from __future__ import annotations

from typing import Annotated

import typer

from raylab2f import api
from raylab2f.cli.composition import command
from raylab2f.cli.json_output import others_aside
from raylab2f.cli.lines import print_lines
from raylab2f.files.places import join
from raylab2f.options.declaration import Option
from raylab2f.options.diagnosis import Diagnosing, OnlyOption
from raylab2f.options.evaluation import MuteOption
from raylab2f.options.places import Workplace
from raylab2f.reporting.printing import plain_console

__all__ = ["diagnose"]


@command
def diagnose(
    *,
    run: Annotated[str, Option("Folder of a finished run, or its URI.", kind="place", positional=True, usual=False)],
    only: OnlyOption = (),
    as_json: Annotated[bool, Option("Print diagnosis.json instead of a table.", name="json")] = False,
    diagnosing: Diagnosing,
    mute: MuteOption = (),
    workplace: Workplace,
) -> None:
    """Look for pitfalls in a run: verdicts with figures, intervals, bounds; writes diagnosis.json and figures/ into it.

    The exit code is 0 whatever the verdicts.
    """
    # With --json, nothing but JSON goes to the standard output.
    console = plain_console(stderr=as_json)
    with others_aside(as_json):
        found = api.diagnose(run, only=only, **vars(diagnosing), **vars(workplace), mute=mute, console=console)
    if as_json:
        from raylab2f.files.mirror import fetch_file

        typer.echo(fetch_file(join(run, "diagnosis.json")).read_text(encoding="utf-8"), nl=False)
        return
    from raylab2f.reporting import print_findings

    print_findings(found.to_dicts(), console)
    print_lines(console, f"figures in {join(run, 'figures')}")
