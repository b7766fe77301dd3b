"""`raylab2f.report`: one page about a run, or about several side by side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import Annotated, Any

import pyarrow as pa
from rich.console import Console

from raylab2f.api.functions import offered
from raylab2f.api.results import Result
from raylab2f.errors import UserError
from raylab2f.options.declaration import Option
from raylab2f.options.limits import Limits
from raylab2f.options.places import Workplace, default_cache
from raylab2f.reporting.printing import plain_console

__all__ = ["Report", "report"]

_FIGURES_SCHEMA = pa.schema(
    [("run", pa.string()), ("metric", pa.string())] + [(name, pa.float64()) for name in ("mean", "low", "high")]
)


@dataclass(frozen=True, repr=False)
class Report(Result):
    """A report; a notebook shows its page.

    Attributes:
        content: everything that the page shows, see docs/report.md.
        place: folder or URI of `report.html` and `report.md`.
    """

    content: Mapping[str, Any]
    place: str

    @property
    def html(self) -> str:
        """The page."""
        from raylab2f.reporting.page import render_html

        return render_html(self.content)

    @property
    def markdown(self) -> str:
        """The same without pictures and plots."""
        from raylab2f.reporting.page import render_markdown

        return render_markdown(self.content)

    @property
    def table(self) -> pa.Table:
        rows = [{"run": run["name"], **row} for run in self.content["runs"] for row in run["figures"]]
        return pa.Table.from_pylist(rows, schema=_FIGURES_SCHEMA)

    def _repr_html_(self) -> str:
        # In a frame of its own, so that its styles and its security policy are its own, too.
        return (
            f'<iframe srcdoc="{escape(self.html)}" title="{escape(str(self.content["title"]))}" '
            'style="width:100%;height:900px;border:1px solid #ccc" sandbox="allow-scripts allow-downloads"></iframe>'
        )


@offered
def report(
    runs: Annotated[tuple[str, ...], Option(kind="place")],
    limits: Limits,
    workplace: Workplace,
    out: Annotated[str | None, Option(kind="place")] = None,
    console: Console | None = None,
) -> Report:
    """Make the page of a run anew, or one page of several runs, as `raylab2f report` does; writes `report.html` and
    `report.md`.

    Arguments:
        runs: finished runs, in which folds may be missing: folders, URIs, or runs of a `CrossValidation`.
        out: folder for the files; `None`: the run's, which several runs do not have.
        console: where progress goes; `None`: the standard output.

    Raises:
        UserError: no such run, none of its folds is finished, or limits that make no sense.
    """
    if not runs:
        raise UserError("Give the folder of at least one run.")
    if out is None and len(runs) > 1:
        raise UserError("--out: a page of several runs belongs to none of them; give a folder for it.")

    limits.settings()  # what cannot be is told before anything is read
    from contextlib import ExitStack

    from raylab2f.cluster.session import ray_session
    from raylab2f.reporting import Display
    from raylab2f.workflows.report.content import report_content, write_report

    with ExitStack() as stack:
        if workplace.address is not None:
            stack.enter_context(ray_session(workplace.address))
        content = report_content(
            runs,
            cache=default_cache(workplace.cache, runs[0]),
            display=Display(console or plain_console()),
            limits=limits.settings,
        )
    place = out if out is not None else runs[0]
    write_report(content, place)
    return Report(content, place)
