"""Tables of judged pictures, as `predict` writes them or another program does, brought together."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from raylab2f.errors import UserError, first_line
from raylab2f.files.tables import read_table

__all__ = ["read_judged"]

# What the columns of `predict` are called where lines are watched.
_NAMES = {"verdict": "decision", "strangeness": "familiarity"}
_NEEDED = ("image_id", "score")
# Only `predict --watch` writes it.
_WATCHED = "milliseconds"
_OTHERS = ("object_id", "verdict", "decision", "strangeness", "familiarity", "day", "condition", _WATCHED)
_SUFFIXES = (".parquet", ".jsonl", ".csv")


def read_judged(sources: Sequence[str]) -> pa.Table:
    """All rows of all sources, in their order.

    Arguments:
        sources: files (Parquet, CSV, TSV, JSON lines), or folders in which `predict` left `pictures.*`.

    Returns:
        A table of text with `image_id`, `score`, and of `object_id`, `decision`, `familiarity`, `day` and `condition`
        those that any source has; without `object_id` where no picture's part is known. Of a picture that `predict
        --watch` judged several times on a day, for its file had changed, the last row.

    Raises:
        UserError: a source is no such table or folder, or lacks `image_id` or `score`.
    """
    tables = [_renamed(_last_of_each(_read(path))) for source in sources for path in _files(source)]
    found = pa.concat_tables(tables, promote_options="default")
    if "object_id" not in found.column_names or found["object_id"].null_count == found.num_rows:
        return found.drop_columns([name for name in ("object_id",) if name in found.column_names])
    # A picture of which nobody knows what part it shows stands for a part of its own.
    return found.set_column(
        found.column_names.index("object_id"), "object_id", pc.coalesce(found["object_id"], found["image_id"])
    )


def _files(source: str) -> Iterator[Path]:
    path = Path(source)
    if not path.is_dir():
        yield path
        return
    found = [path / f"pictures{suffix}" for suffix in _SUFFIXES if (path / f"pictures{suffix}").is_file()]
    if len(found) != 1:
        what = "no pictures.csv, .jsonl or .parquet" if not found else " and ".join(one.name for one in found)
        raise UserError(f"{source} holds {what}; name the file of judged pictures that is meant.")
    yield from found


def _read(path: Path) -> pa.Table:
    if path.suffix.lower() != ".jsonl":
        return read_table(path, _NEEDED, _OTHERS, what="table of judged pictures")
    rows = []
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, start=1):
                row = json.loads(line) if line.strip() else None
                if isinstance(row, dict):
                    rows.append({name: _text(row.get(name)) for name in (*_NEEDED, *_OTHERS) if name in row})
                elif row is not None:
                    raise UserError(f"{path}: line {number} is no JSON object; write one a picture.")
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read as JSON lines ({first_line(error)}); mend or leave it out.") from error
    names = [name for name in (*_NEEDED, *_OTHERS) if any(name in row for row in rows)]
    if missing := [name for name in _NEEDED if name not in names]:
        raise UserError(f"{path} names no {' and no '.join(missing)} in any line; write one JSON object a picture.")
    return pa.table({name: pa.array([row.get(name) for row in rows], pa.string()) for name in names})


def _last_of_each(table: pa.Table) -> pa.Table:
    """Of what a watched folder's file says of a picture on a day, the last."""
    if _WATCHED not in table.column_names:
        return table
    names = [name for name in ("image_id", "object_id", "day") if name in table.column_names]
    rows = zip(*(table[name].to_pylist() for name in names), strict=True)
    last = {row: place for place, row in enumerate(rows)}
    return table.drop_columns([_WATCHED]).take(sorted(last.values()))


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _renamed(table: pa.Table) -> pa.Table:
    kept: dict[str, pa.ChunkedArray] = {}
    for name in (*_NEEDED, *_OTHERS):
        if name in table.column_names:
            column = table[name]
            is_text = pa.types.is_string(column.type)
            kept.setdefault(_NAMES.get(name, name), column if is_text else column.cast(pa.string()))
    return pa.table(kept)
