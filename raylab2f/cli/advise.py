"""`raylab2f advise`: at which size, or in which tiles, pictures keep their defects."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console

from raylab2f import api
from raylab2f.api.advice import MaskedOption
from raylab2f.cli.composition import command
from raylab2f.cli.json_output import put_json
from raylab2f.cli.lines import print_lines
from raylab2f.options.advising import NATIVE, Advising
from raylab2f.options.evaluation import JsonOption
from raylab2f.options.pictures import Pictures
from raylab2f.options.places import CacheOption
from raylab2f.reporting.printing import plain_console
from raylab2f.reporting.whole_tables import print_table

if TYPE_CHECKING:
    from raylab2f.workflows.advice import Advice, SizeRow

__all__ = ["advise"]

_HEADINGS = ("size", "patch", "median area", "10 % below", "long", "large", "kept")


@command
def advise(
    *,
    data: MaskedOption = None,
    advising: Advising,
    pictures: Pictures,
    cache: CacheOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say at which --size, or in which tiles, pictures keep their defects, from defect masks; nothing is trained."""
    found = api.advise(
        data=data, cache=cache, console=plain_console(stderr=True), **vars(advising), **vars(pictures)
    ).advice
    if not put_json(found.to_dict(), None, printed=as_json):
        _print_advice(found, plain_console())


def _print_advice(advice: Advice, console: Console) -> None:
    print_table(
        _HEADINGS,
        [_cells(row) for row in advice.rows if row.defect_type is None],
        console,
        title=f"{advice.masked:,} defects: areas in pixels; share as long and large as a patch of {advice.detector}",
    )
    by_type: dict[str, list[SizeRow]] = {}
    for row in advice.rows:
        if row.defect_type is not None:
            by_type.setdefault(row.defect_type, []).append(row)
    if by_type:
        sizes = [_size(row) for row in next(iter(by_type.values()))]
        types = [[name, f"{rows[0].defects:,}", *(_share(row.kept) for row in rows)] for name, rows in by_type.items()]
        print_table(("type", "defects", *sizes), types, console, title="Kept, by type")
    if advice.unmasked:
        print_lines(console, f"{advice.unmasked} defective pictures without a mask that marks something were left out.")
    print_lines(console, advice.suggestion.sentence)


def _cells(row: SizeRow) -> list[str]:
    patch = "impossible" if row.patch is None else " x ".join(f"{side:.3g}" for side in row.patch)
    areas = (f"{area:,.0f}" if area >= 10 else f"{area:.2g}" for area in (row.area_median, row.area_low))
    return [_size(row), patch, *areas, *map(_share, (row.long, row.large, row.kept))]


def _size(row: SizeRow) -> str:
    if row.size is None:
        return NATIVE
    height, width = row.size
    return str(height) if height == width else f"{height}x{width}"


def _share(share: float | None) -> str:
    return "" if share is None else f"{share:.0%}"
