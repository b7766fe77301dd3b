"""`raylab2f.advise`: at which size, or in which tiles, pictures keep their defects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import pyarrow as pa
from rich.console import Console

from raylab2f.api.functions import offered
from raylab2f.api.results import Result, html_list, html_table
from raylab2f.options.advising import Advising
from raylab2f.options.declaration import Option
from raylab2f.options.pictures import Pictures
from raylab2f.options.places import CacheOption, default_cache
from raylab2f.reporting.printing import plain_console

if TYPE_CHECKING:
    from raylab2f.workflows.advice import Advice

__all__ = ["ADVICE_SCHEMA", "AdviceResult", "MaskedOption", "advise"]

_MASKED = "Folder or manifest of pictures with defect masks, or a manifest's URI."
MaskedOption = Annotated[str | None, Option(_MASKED, kind="place", usual="demo", positional=True)]

ADVICE_SCHEMA = pa.schema(
    [
        *[(name, pa.int64()) for name in ("height", "width")],
        *[(name, pa.float64()) for name in ("patch_height", "patch_width")],
        ("defect_type", pa.string()),
        ("defects", pa.int64()),
        *[(name, pa.float64()) for name in ("area_median", "area_low", "long", "large", "kept")],
    ]
)


@dataclass(frozen=True, repr=False)
class AdviceResult(Result):
    """What sizes make of a data set's defects.

    Attributes:
        advice: everything that was found; `advice.suggestion` is what to do.
        table: one row for each size, and for each type of defect where there are several, in `ADVICE_SCHEMA`; `height`
            and `width` are null where pictures are as they were taken.
    """

    advice: Advice

    @property
    def table(self) -> pa.Table:
        rows = [
            vars(row)
            | dict(zip(("height", "width"), row.size or (None, None), strict=True))
            | dict(zip(("patch_height", "patch_width"), row.patch or (None, None), strict=True))
            for row in self.advice.rows
        ]
        return pa.Table.from_pylist(
            [{name: row[name] for name in ADVICE_SCHEMA.names} for row in rows], schema=ADVICE_SCHEMA
        )

    def _repr_html_(self) -> str:
        headings = ("height", "width", "defect_type", "defects", "area_median", "area_low", "kept")
        rows = [[row[name] for name in headings] for row in self.table.to_pylist()]
        shown = html_table(f"defects at each size, {self.advice.detector}", rows, headings)
        return shown + html_list("Suggested", [self.advice.suggestion.sentence])


@offered
def advise(
    *,
    data: MaskedOption = None,
    advising: Advising,
    pictures: Pictures,
    cache: CacheOption = None,
    console: Console | None = None,
) -> AdviceResult:
    """Say which size, or which tiles, keep defects above one patch of the detector, as `raylab2f advise` does.

    Arguments:
        console: where progress goes; `None`: nowhere.

    Raises:
        UserError: no defect masks, pictures that cannot be read, or an option that makes no sense.
    """
    settings, sizes, config = pictures.settings(data), advising.sizes(), advising.config()

    from raylab2f.reporting import Display
    from raylab2f.workflows.advice import advise_sizes

    advice = advise_sizes(
        settings,
        detector=advising.detector,
        config=config,
        sizes=sizes,
        keep=advising.keep,
        fit=advising.fit,
        cache=default_cache(cache),
        display=Display(console or plain_console(quiet=True)),
    )
    return AdviceResult(advice)
