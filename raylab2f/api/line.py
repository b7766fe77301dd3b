"""`raylab2f.predict` and `raylab2f.monitor`: a finalised model at the line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import pyarrow as pa
from rich.console import Console

from raylab2f.api.functions import offered
from raylab2f.api.results import Result, html_list, html_table
from raylab2f.errors import UserError
from raylab2f.options.declaration import Option
from raylab2f.options.models import Keeping, ModelOption, Predicting
from raylab2f.options.monitoring import Watching
from raylab2f.reporting.printing import plain_console

if TYPE_CHECKING:
    from raylab2f.evaluation.monitoring.outcome import Monitoring

__all__ = ["LineMonitoring", "Predictions", "monitor", "predict"]


@dataclass(frozen=True, repr=False)
class Predictions(Result):
    """Verdicts on pictures.

    Attributes:
        pictures: one row a picture, as `raylab2f predict` writes them.
        parts: one row a part.
        tally: parts by verdict, and pictures that are `unreadable` or `unfamiliar`.
    """

    pictures: pa.Table
    parts: pa.Table
    tally: Mapping[str, int]

    @property
    def table(self) -> pa.Table:
        """The pictures."""
        return self.pictures

    def _repr_html_(self) -> str:
        return html_table("parts", [list(row.values()) for row in self.parts.to_pylist()], self.parts.column_names)


@offered
def predict(
    *,
    model: ModelOption,
    pictures: Annotated[tuple[str, ...], Option(kind="place", positional=True)] = (),
    predicting: Predicting,
    keeping: Keeping,
    console: Console | None = None,
) -> Predictions:
    """Judge pictures, as `raylab2f predict` does. Rows of all of them are held in memory, pictures are not.

    Arguments:
        model: its folder or URI, or what `finalise` returned.
        pictures: files, folders, patterns or manifests.
        console: where progress goes; `None`: nowhere.

    Raises:
        UserError: no such model or pictures, or an option that makes no sense.
    """
    from raylab2f.datasets.unlabelled import find_unlabelled
    from raylab2f.models.predictions import PARTS_SCHEMA, PICTURES_SCHEMA, Portion
    from raylab2f.reporting import Display
    from raylab2f.workflows.prediction import PredictionRules, predict_pictures

    if not pictures:
        raise UserError("pictures: name files, folders, a pattern or a manifest.")
    rules = PredictionRules(
        predicting.pixel_limit, predicting.unfamiliar, keeping.overlays, predicting.threads, kind=keeping.format
    )
    rows: list[dict[str, Any]] = []
    parts: list[dict[str, Any]] = []

    def hear(portion: Portion) -> None:
        rows.extend(portion.pictures)
        parts.extend(portion.parts)

    with Display(console or plain_console(quiet=True)).stage("judge pictures") as progress:
        tally: Counter[str] = predict_pictures(
            model,
            find_unlabelled(pictures, predicting.object_id, predicting.conditions),
            rules,
            out=None if keeping.out is None else Path(keeping.out),
            hear=hear,
            address=keeping.address,
            progress=progress,
        )
    return Predictions(
        pa.Table.from_pylist(rows, schema=PICTURES_SCHEMA), pa.Table.from_pylist(parts, schema=PARTS_SCHEMA), tally
    )


@dataclass(frozen=True, repr=False)
class LineMonitoring(Result):
    """Whether a line is still as it was evaluated.

    Attributes:
        found: signals with their statements, and what was left out.
    """

    found: Monitoring

    @property
    def table(self) -> pa.Table:
        """One row a signal and day, see `raylab2f.evaluation.monitoring.outcome.MONITORING_SCHEMA`."""
        return self.found.table

    @property
    def alarmed(self) -> bool:
        """Whether any signal has raised its alarm."""
        return self.found.alarmed

    def _repr_html_(self) -> str:
        title = "The line has changed." if self.alarmed else "No alarm."
        return html_list(title, [*(signal.statement for signal in self.found.signals), *self.found.notes])


@offered
def monitor(
    *,
    model: ModelOption,
    judged: Annotated[tuple[str, ...], Option(kind="path", positional=True)] = (),
    watching: Watching,
    out: Annotated[str | None, Option(kind="path")] = None,
) -> LineMonitoring:
    """Compare what a model judged with its evaluation, as `raylab2f monitor` does; for audits see
    `raylab2f.evaluation.monitoring`.

    Arguments:
        model: its folder or URI, or what `finalise` returned.
        judged: folders of `predict`, or tables of judged pictures, oldest first.
        out: a folder for the page, the outcome and gauges.

    Raises:
        UserError: no such model or tables, or an option that makes no sense.
    """
    from raylab2f.workflows.line import watch_line, write_monitoring

    if not judged:
        raise UserError("JUDGED: name folders of raylab2f predict, or tables of judged pictures.")
    found = watch_line(model, judged, **vars(watching))
    if out is not None:
        write_monitoring(found, model, Path(out))
    return LineMonitoring(found)
