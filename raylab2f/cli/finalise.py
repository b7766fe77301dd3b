"""`raylab2f finalise`: from a run to one model that judges pictures."""

from __future__ import annotations

from typing import Annotated

from raylab2f import api
from raylab2f.cli.composition import command
from raylab2f.cli.lines import print_lines
from raylab2f.options.declaration import Option
from raylab2f.options.models import Finalising
from raylab2f.options.places import Workplace
from raylab2f.reporting.page.sentences import outcome_sentence
from raylab2f.reporting.printing import plain_console

__all__ = ["finalise"]


@command
def finalise(
    *,
    run: Annotated[str, Option("Folder of a finished run, or its URI.", kind="place", positional=True)],
    out: Annotated[str, Option("A new folder for the model, or its URI.", kind="place")],
    finalising: Finalising,
    workplace: Workplace,
) -> None:
    """Make one model of a run: detector, threshold, what to expect of it, and what pictures it knows."""
    console = plain_console()
    model = api.finalise(run, out, **vars(finalising), **vars(workplace), console=console)
    rows = {row["metric"]: row for row in model.table.to_pylist()}
    lines = [f"model: {model.place}"]
    if {"escape_rate", "overkill_rate"} <= rows.keys():
        prevalence = model.record.expected["prevalence"]
        lines.append(outcome_sentence(rows["escape_rate"], rows["overkill_rate"], prevalence))
    lines.append(f"measured on {model.record.expected['of']}")
    print_lines(console, *lines)
