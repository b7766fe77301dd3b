"""`raylab2f predict`: verdicts on pictures by a finalised model."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from raylab2f.cli.composition import command
from raylab2f.cli.lines import print_lines
from raylab2f.errors import UserError
from raylab2f.options.declaration import Option
from raylab2f.options.models import Keeping, ModelOption, Predicting
from raylab2f.reporting.printing import plain_console

__all__ = ["predict"]

#: With --fail-on-reject.
REJECTED = 5


@command
def predict(
    *,
    model: ModelOption,
    pictures: Annotated[
        tuple[str, ...],
        Option("Picture files, folders, patterns or a manifest (column path).", kind="place", positional=True),
    ] = (),
    predicting: Predicting,
    keeping: Keeping,
    watch: Annotated[
        str | None, Option("Judge what arrives in this folder, until Ctrl-C; each picture by itself.", kind="path")
    ] = None,
    fail_on_reject: Annotated[bool, Option("Exit code 5 if a part is rejected.")] = False,
) -> None:
    """Judge pictures: accept, reject or review, with score and margin, in the order of parts."""
    from raylab2f.reporting.stopping import say_how_to_go_on
    from raylab2f.workflows.prediction import PredictionRules, predict_pictures, watch_folder

    rules = PredictionRules(
        predicting.pixel_limit, predicting.unfamiliar, keeping.overlays, predicting.threads, kind=keeping.format
    )
    folder = None if keeping.out is None else Path(keeping.out)
    console = plain_console(stderr=True)
    say_how_to_go_on(lambda: _kept(folder))
    if watch is not None:
        if pictures or predicting.object_id or predicting.conditions or keeping.address:
            raise UserError(
                "--watch judges what arrives, each picture by itself, on this machine; leave PICTURES, --object-id, "
                "--conditions and --address out."
            )
        tally: Mapping[str, int] = watch_folder(
            model, Path(watch), rules, out=folder, stream=sys.stdout, say=lambda line: print_lines(console, line)
        )
    else:
        from raylab2f.datasets.unlabelled import find_unlabelled
        from raylab2f.reporting import Display

        if not pictures:
            raise UserError("PICTURES: name files, folders, a pattern or a manifest; or a folder with --watch.")
        wanted = find_unlabelled(pictures, predicting.object_id, predicting.conditions)
        with Display(console).stage("judge pictures") as progress:
            tally = predict_pictures(
                model, wanted, rules, out=folder, stream=sys.stdout, address=keeping.address, progress=progress
            )
    words = {"accept": "accepted", "review": "for review", "reject": "rejected"}
    said = [f"{tally.get(verdict, 0):,} {word}" for verdict, word in words.items()]
    said += [
        f"{tally[what]:,} picture{'s' * (tally[what] != 1)} {what}"
        for what in ("unfamiliar", "unreadable")
        if tally.get(what)
    ]
    print_lines(console, f"parts: {', '.join(said)}")
    if folder is not None:
        print_lines(console, f"rows in {folder}")
    if fail_on_reject and tally.get("reject"):
        raise typer.Exit(REJECTED)


def _kept(folder: Path | None) -> str:
    """Where the rows of a command that was stopped are."""
    if folder is None:
        return "its rows are on the standard output"
    found = sorted(folder.glob("pictures*")) if folder.is_dir() else []
    return f"its rows are in {found[0]}" if found else "no picture had been judged; the same command begins anew"
