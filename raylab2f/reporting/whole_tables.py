"""Tables of which nothing is cut off, and no number or path is broken, however narrow the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

__all__ = ["print_table"]

# Space beside a cell, and the line between two.
_AROUND = 3
_INDENT = "  "


def print_table(
    headings: Sequence[str],
    rows: Iterable[Sequence[str | Text]],
    console: Console,
    *,
    title: str = "",
    left: Sequence[int] = (0,),
    box: bool = True,
) -> None:
    """Print a table, or, where its words do not fit beside each other, a few lines for each row.

    Arguments:
        headings: of the columns, plain text.
        rows: cells, a `str` being plain text.
        title: above it, plain text.
        left: columns that are set to the left; the others are figures, set to the right.
        box: lines around the cells.
    """
    cells = [[Text(cell) if isinstance(cell, str) else cell for cell in row] for row in rows]
    if title:
        console.print(Text(title, style="italic"), soft_wrap=True)
    columns = [[Text(heading), *(row[place] for row in cells)] for place, heading in enumerate(headings)]
    widths = _widths(columns, console.width - 1)
    if widths is None:
        _print_records(headings, cells, console)
        return
    table = Table() if box else Table(box=None)
    for place, heading in enumerate(headings):
        table.add_column(
            Text(heading),
            justify="left" if place in left else "right",
            width=widths[place],
        )
    for row in cells:
        table.add_row(*row)
    console.print(table)


def _widths(columns: Sequence[Sequence[Text]], room: int) -> list[int] | None:
    """How wide each column is, so that lines break between words only; `None` if that is not possible.

    rich itself narrows the widest column first, also below its longest word.
    """
    least = [_longest_word(column) for column in columns]
    widths = [max(cell.cell_len for cell in column) for column in columns]
    while (over := sum(width + _AROUND for width in widths) - room) > 0:
        slack = [width - at_least for width, at_least in zip(widths, least, strict=True)]
        place = slack.index(max(slack))
        if slack[place] <= 0:
            return None
        widths[place] -= min(over, max(1, slack[place] // 2))
    return widths


def _longest_word(column: Iterable[Text]) -> int:
    return max((Text(word).cell_len for cell in column for word in cell.plain.split()), default=0)


def _print_records(headings: Sequence[str], rows: Sequence[Sequence[Text]], console: Console) -> None:
    """A line for each cell of a row that is not empty, with its heading; those after the first indented."""
    for row in rows:
        for place, (heading, cell) in enumerate(zip(headings, row, strict=True)):
            if cell.plain:
                indent = _INDENT if place else ""
                name = f"{indent}{heading}: " if heading else indent
                console.print(Text.assemble(name, cell), soft_wrap=True)
