"""`raylab2f figures`: a run for a paper."""

from __future__ import annotations

from typing import Annotated

from raylab2f.cli.composition import command
from raylab2f.cli.lines import print_lines
from raylab2f.options.declaration import Option
from raylab2f.reporting.printing import plain_console

__all__ = ["figures"]


@command
def figures(
    *,
    run: Annotated[str, Option("Folder of a finished run, or its URI.", kind="place", positional=True, usual=False)],
    out: Annotated[str, Option("Folder or URI for the files.", kind="place")],
) -> None:
    """Write a run's figures as SVG and PDF and its tables as CSV and LaTeX (booktabs)."""
    from raylab2f.files.mirror import local, publish
    from raylab2f.reporting import Display
    from raylab2f.reporting.paper import write_paper_files
    from raylab2f.workflows.report.run_content import run_content

    console = plain_console()
    content = run_content(run, cache=None, display=Display(console))
    names = write_paper_files(content, local(out))
    publish(out, names)
    print_lines(console, f"{len(names)} files in {out}")
