"""What a run came to, on the terminal: on one screen, in full, hardly at all, or as JSON."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import typer
from rich.console import Console

from raylab2f.cli.lines import print_lines
from raylab2f.errors import UserError
from raylab2f.files.places import join
from raylab2f.options.declaration import Option
from raylab2f.reporting.printing import plain_console

__all__ = ["Telling"]


@dataclass(frozen=True)
class Telling:
    """How much is said of a run's outcome."""

    verbose: Annotated[bool, Option("All tables, not only what fits on a screen.", passing=True)] = False
    quiet: Annotated[bool, Option("Only the verdict and the page's path.", passing=True)] = False
    as_json: Annotated[bool, Option("Print JSON instead.", name="json", passing=True)] = False

    def console(self) -> Console:
        """Where everything else goes: with --json nothing but JSON goes to the standard output, with --quiet nowhere
        but warnings do.

        Raises:
            UserError: more than one way of telling is asked for.
        """
        asked = [name for name, on in (("verbose", self.verbose), ("quiet", self.quiet), ("json", self.as_json)) if on]
        if len(asked) > 1:
            raise UserError(f"--{asked[0]} and --{asked[1]}: choose one of them.")
        return plain_console(stderr=self.as_json, quiet=self.quiet)

    def show(self, *places: str, rankings: Sequence[dict[str, Any]] = ()) -> None:
        """Tell what the runs in these folders came to.

        Arguments:
            rankings: of the runs, as `workflows.ranking.rank_runs` gives them; they are part of the JSON.

        Raises:
            UserError: there is no run, or none of its folds is finished.
        """
        from raylab2f.workflows.run_outcome import recorded_outcome

        outcomes = [recorded_outcome(place) for place in places]
        if self.as_json:
            told = {"runs": outcomes} | ({"rankings": list(rankings)} if rankings else {})
            typer.echo(json.dumps(told, indent=2, allow_nan=False))
            return
        for outcome in outcomes:
            self._print(outcome, plain_console())

    def _print(self, outcome: dict[str, Any], console: Console) -> None:
        from raylab2f.reporting import print_findings, print_summary
        from raylab2f.reporting.outcome import print_outcome, print_verdict

        summary, findings, acceptance = outcome["summary"], outcome["findings"], outcome["acceptance"]
        if self.verbose:
            print_summary(summary, console)
            print_findings(findings, console)
        if self.verbose or self.quiet:
            print_verdict(summary, acceptance, console)
        else:
            print_outcome(summary, findings, acceptance, console)
        place = outcome["run"]
        if outcome["page"]:
            print_lines(console, f"page: {join(place, outcome['page'])}")
        if not self.quiet:
            more = "" if self.verbose else f"raylab2f show {shlex.quote(place)} --verbose has all tables; "
            line = f"results in {place}; {more}raylab2f diagnose {shlex.quote(place)} looks closer"
            print_lines(console, line)
