"""`raylab2f.export`: a finalised model as a file of another runtime."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import pyarrow as pa
from rich.console import Console

from raylab2f.api.functions import offered
from raylab2f.api.results import Result, html_table
from raylab2f.options.declaration import Option
from raylab2f.options.exporting import Exporting
from raylab2f.options.models import ModelOption
from raylab2f.reporting.printing import plain_console

__all__ = ["Exported", "export"]


@dataclass(frozen=True, repr=False)
class Exported(Result):
    """An exported file.

    Attributes:
        path: the file that a runtime is given.
        certificate: the content of `certificate.json` beside it.
    """

    path: Path
    certificate: dict[str, Any]

    @property
    def table(self) -> pa.Table:
        """What both judged: `quantity`, `value`."""
        found = self.certificate["findings"]
        values = {
            "pictures": found["pictures"],
            "largest score difference": found["score_difference"]["largest"],
            "median score difference": found["score_difference"]["median"],
            "largest map difference": found["map_difference"]["largest"],
            "changed verdicts": found["flips"]["count"],
            "changed beyond the margin": found["flips"]["outside_margin"],
        }
        numbers = [None if value is None else float(value) for value in values.values()]
        return pa.table({"quantity": list(values), "value": pa.array(numbers, pa.float64())})

    def __fspath__(self) -> str:
        return str(self.path)

    def _repr_html_(self) -> str:
        rows = [list(row.values()) for row in self.table.to_pylist()]
        return html_table(f"export {self.path.name}", rows, self.table.column_names)


@offered
def export(
    model: ModelOption,
    exporting: Exporting,
    out: Annotated[
        str | None,
        Option("Folder for the file and its certificate.", kind="path", usual="exports/FORMAT-PRECISION of the model"),
    ] = None,
    console: Console | None = None,
) -> Exported:
    """Write a model for another runtime and let it judge again, as `raylab2f export` does.

    Arguments:
        model: its folder or URI, or what `finalise` returned.
        out: a folder, for `certificate.json` as well.
        console: where progress goes; `None`: the standard output.

    Raises:
        UserError: no such model, one that cannot be exported so, or too many verdicts that changed.
    """
    largest = exporting.largest()
    from raylab2f.models.export.formats import format_of
    from raylab2f.reporting import Display
    from raylab2f.workflows.exporting import export_folder, export_model

    wanted = format_of(exporting.format, exporting.precision)
    folder = export_folder(model, exporting.format, exporting.precision) if out is None else Path(out)
    certificate = export_model(
        model,
        kind=exporting.format,
        precision=exporting.precision,
        out=folder,
        display=Display(console or plain_console()),
        run=exporting.run,
        max_flips=exporting.max_flips,
        margin=exporting.margin,
        largest=largest,
    )
    return Exported(folder / wanted.files[0], certificate)
