"""What results have in common: a table that pandas takes, and how a notebook shows them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

import pyarrow as pa

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Result", "html_list", "html_table", "in_words"]

_MOST_ROWS = 60


class Result(ABC):
    """A result that has one main table."""

    @property
    @abstractmethod
    def table(self) -> pa.Table:
        """The main table."""

    @abstractmethod
    def _repr_html_(self) -> str:
        """What a notebook shows."""

    def to_pandas(self) -> pd.DataFrame:
        """The main table as a data frame of pandas."""
        return self.table.to_pandas()

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.table.num_rows} rows of {', '.join(self.table.column_names)}>"


def html_table(title: str, rows: Sequence[Sequence[Any]], headings: Sequence[str]) -> str:
    """A table as HTML; cells are shown as text, whatever they hold. Of a long one the first rows."""
    head = "".join(f"<th>{escape(heading)}</th>" for heading in headings)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(in_words(cell))}</td>" for cell in row) + "</tr>" for row in rows[:_MOST_ROWS]
    )
    rest = f"<p>and {len(rows) - _MOST_ROWS} more rows</p>" if len(rows) > _MOST_ROWS else ""
    return f"<table><caption>{escape(title)}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{rest}"


def html_list(title: str, sentences: Iterable[str]) -> str:
    """Sentences as HTML, nothing where there are none."""
    items = "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences)
    return f"<p>{escape(title)}</p><ul>{items}</ul>" if items else ""


def in_words(value: Any) -> str:
    """A cell as people read it."""
    if value is None:
        return ""
    return f"{value:.3f}" if isinstance(value, float) else str(value)
