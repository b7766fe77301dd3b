"""anomalib's predictions: one row a picture, as CSV, Parquet or JSON.

anomalib (2.x) keeps of every picture `image_path`, `gt_label`, `pred_label` and `pred_score`, and people write these
as a table. As JSON it may be a list of records or columns by name, as pandas writes both. The label is `gt_label`;
without it, the folder that the picture lies in, as in anomalib's folders: `good` and the like, or the name of a defect.
`pred_label` is not read: it stems from a threshold that anomalib chose, by default on the pictures that it then judges.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from raylab2f.errors import UserError
from raylab2f.evaluation.readers.reader import Found, Reader, class_of_path, forward, table_of_columns
from raylab2f.evaluation.score_table import COLUMNS
from raylab2f.files.columns import plain_name
from raylab2f.files.tables import read_table

__all__ = ["ALIASES", "READER", "finish", "records"]

#: What a column is called in anomalib (its plain name) and here.
ALIASES = {
    "imagepath": "image_id",
    "imagepaths": "image_id",
    "filename": "image_id",
    "gtlabel": "label",
    "gtlabels": "label",
    "predscore": "score",
    "predscores": "score",
    "anomalyscore": "score",
    **{plain_name(name): name for name in COLUMNS},
}
_OURS = {"imagepath", "imagepaths", "gtlabel", "predscore", "predscores", "predlabel"}


def finish(table: pa.Table, where: str) -> pa.Table:
    """Names with slashes; label and defect type from the folders where the table does not say them.

    Raises:
        UserError: there are neither labels nor folders of good pictures.
    """
    if "image_id" not in table.column_names:
        return table
    names = [None if name is None else forward(name) for name in table["image_id"].to_pylist()]
    table = table.set_column(table.column_names.index("image_id"), "image_id", pa.array(names, pa.string()))
    classes = [None if name is None else class_of_path(name) for name in names]
    if "label" not in table.column_names:
        if not any(found is not None and found[0] == 0 for found in classes):
            # Left to who asks for labels: a manifest may have them.
            return table
        missing = next((name for name, found in zip(names, classes, strict=True) if found is None), None)
        if missing is not None:
            raise UserError(
                f"{where} has no column of labels, and '{missing}' lies in no folder that says whether it is good; add "
                "the column gt_label, or give a --manifest with labels."
            )
        labels = [None if found is None else str(found[0]) for found in classes]
        table = table.append_column("label", pa.array(labels, pa.string()))
    if "defect_type" not in table.column_names and any(found is not None and found[1] for found in classes):
        types = [None if found is None else found[1] for found in classes]
        # Types mean something only if folders tell good pictures from others.
        if any(found is not None and found[0] == 0 for found in classes):
            table = table.append_column("defect_type", pa.array(types, pa.string()))
    return table


def records(content: Any) -> Mapping[str, list[Any]] | None:
    """Columns of a list of records, or of columns by name as pandas writes them; `None` for anything else."""
    if isinstance(content, list) and content and all(isinstance(row, dict) for row in content):
        names = dict.fromkeys(name for row in content for name in row)
        return {name: [row.get(name) for row in content] for name in names}
    if isinstance(content, dict) and content:
        by_row = [cells for cells in content.values() if isinstance(cells, dict)]
        rows = list(by_row[0]) if by_row else []
        # Cells belong together by the names of their rows, in whatever order each column lists them.
        if any(cells.keys() != set(rows) for cells in by_row) or (by_row and len(by_row) < len(content)):
            return None
        columns = {
            name: [cells[row] for row in rows] if isinstance(cells, dict) else cells
            for name, cells in content.items()
            if isinstance(cells, (dict, list))
        }
        if len(columns) == len(content) and len({len(cells) for cells in columns.values()}) == 1:
            return columns
    return None


def _recognises(found: Found) -> bool:
    if found.kind == "table":
        return bool(found.columns & _OURS) and bool(found.columns & {"predscore", "predscores", "anomalyscore"})
    if found.kind == "json":
        columns = records(found.content)
        return columns is not None and any(ALIASES.get(plain_name(name)) == "score" for name in columns)
    return False


def _read(found: Found) -> pa.Table:
    where = f"'{found.path}'"
    if found.kind == "json":
        columns = records(found.content) or {}
    else:
        table = read_table(
            found.path, ("image_path", "pred_score"), list(ALIASES), what="file of anomalib's predictions"
        )
        columns = table.to_pydict() if len(set(table.column_names)) == table.num_columns else _twice(table, where)
    return finish(table_of_columns(columns, ALIASES, where), where)


def _twice(table: pa.Table, where: str) -> dict[str, list[Any]]:
    name = next(name for name in table.column_names if table.column_names.count(name) > 1)
    raise UserError(f"{where} has the column {name} more than once; rename or remove one.")


READER = Reader(
    "anomalib",
    "table of anomalib's predictions (image_path, gt_label, pred_score; CSV, Parquet or JSON)",
    _recognises,
    _read,
)
