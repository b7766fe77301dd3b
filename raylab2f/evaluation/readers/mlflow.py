"""Tables that were logged to MLflow: `mlflow.log_table`, or `eval_results_table.json` of `mlflow.evaluate`.

Both are what pandas writes with `orient="split"`: `{"columns": [names], "data": [rows]}`. Columns are called as in a
table of scores here, or as anomalib calls them.
"""

from __future__ import annotations

import pyarrow as pa

from raylab2f.errors import UserError
from raylab2f.evaluation.readers.anomalib import ALIASES, finish
from raylab2f.evaluation.readers.reader import Found, Reader, table_of_columns

__all__ = ["READER"]


def _recognises(found: Found) -> bool:
    content = found.content
    return (
        isinstance(content, dict)
        and set(content) <= {"columns", "data", "index"}
        and isinstance(content.get("columns"), list)
        and isinstance(content.get("data"), list)
    )


def _read(found: Found) -> pa.Table:
    names, rows = found.content["columns"], found.content["data"]
    where = f"'{found.path}'"
    names = [str(name) for name in names]
    if len(set(names)) < len(names):
        raise UserError(f"{where} has the column {max(names, key=names.count)} more than once; rename or remove one.")
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, list) or len(row) != len(names):
            raise UserError(f"{where}: row {number} under data has not the {len(names)} cells that columns names.")
    return finish(
        table_of_columns({name: [row[place] for row in rows] for place, name in enumerate(names)}, ALIASES, where),
        where,
    )


READER = Reader("mlflow", 'table that was logged to MLflow ({"columns": [...], "data": [[...]]})', _recognises, _read)
