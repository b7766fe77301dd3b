"""`raylab2f.finalise` and `raylab2f.load_model`: from a run to a model that judges pictures."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import pyarrow as pa
from rich.console import Console

from raylab2f.api.functions import offered
from raylab2f.api.results import Result, html_table
from raylab2f.files.places import place_of
from raylab2f.options.declaration import Option
from raylab2f.options.models import Finalising
from raylab2f.options.places import Workplace, default_cache
from raylab2f.reporting.page.sentences import ends_of
from raylab2f.reporting.printing import plain_console

if TYPE_CHECKING:
    from raylab2f.models import Judge, ModelRecord

__all__ = ["Model", "finalise", "load_model"]


@dataclass(frozen=True, repr=False)
class Model(Result):
    """A finalised model.

    Attributes:
        place: its folder or URI.
        record: the content of its `model.json`.
    """

    place: str
    record: ModelRecord

    @property
    def table(self) -> pa.Table:
        """What is expected of it: `metric`, `mean`, `low`, `high`."""
        rows = [
            {"metric": row["metric"], "mean": row["mean"], **ends_of(row["interval"])}
            for row in self.record.expected["estimates"]
        ]
        schema = pa.schema([("metric", pa.string())] + [(name, pa.float64()) for name in ("mean", "low", "high")])
        return pa.Table.from_pylist(rows, schema=schema)

    def __fspath__(self) -> str:
        return self.place

    def _repr_html_(self) -> str:
        rows = [list(row.values()) for row in self.table.to_pylist()]
        return html_table(f"model {self.record.name}", rows, self.table.column_names)


@offered
def finalise(
    run: Annotated[str, Option(kind="place")],
    out: Annotated[str, Option(kind="place")],
    finalising: Finalising,
    workplace: Workplace,
    console: Console | None = None,
) -> Model:
    """Make of a finished run one model that judges pictures, as `raylab2f finalise` does.

    Arguments:
        run: its folder, its URI, or a run that `cross_validate` returned.
        out: a new folder for the model.
        console: where progress goes; `None`: the standard output.

    Raises:
        UserError: no such run, or an option that makes no sense.
    """
    way = finalising.way()
    from raylab2f.cluster.training.placement import FoldResources
    from raylab2f.reporting import Display
    from raylab2f.workflows.finalising import finalise_run

    place = place_of(out)
    record = finalise_run(
        run,
        place,
        way=way,
        cache=default_cache(workplace.cache, run),
        display=Display(console or plain_console()),
        resources=FoldResources(),
        fold=finalising.from_fold,
        strategy=finalising.threshold,
        carry=finalising.carry or "anchored",
        with_backbone=finalising.with_backbone,
        address=workplace.address,
    )
    return Model(place, record)


def load_model(model: str | os.PathLike[str]) -> Judge:
    """A finalised model in memory: `look` judges pictures as they were taken, `score` prepared ones. Needs no Ray.

    Arguments:
        model: its folder or URI, or what `finalise` returned.

    Raises:
        UserError: there is no model, it is not as it was written, or its backbone's weights cannot be had.
    """
    from raylab2f import models

    return models.load_model(place_of(os.fspath(model)))
