"""A finished run as if it had judged the pictures of one condition or view only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc

from raylab2f.errors import UserError
from raylab2f.evaluation.outcomes.parts import check_breakdowns
from raylab2f.workflows.evidence import RunEvidence

__all__ = ["list_restrictions", "restrict"]


def list_restrictions(run: RunEvidence, by: Sequence[str]) -> list[tuple[str, str]]:
    """Columns of `BREAKDOWNS` and their values among the judged pictures of a run, in order.

    Raises:
        UserError: an unknown column, or the run's pictures have none.
    """
    check_breakdowns(by)
    found = []
    for column in dict.fromkeys(by):
        if column not in run.pictures.column_names or run.pictures[column].null_count == run.pictures.num_rows:
            raise UserError(
                f"--by {column}: the pictures of this run have none; see --views and --conditions of run-cv."
            )
        judged = pc.is_in(run.pictures["image_id"], run.scores["image_id"].combine_chunks())
        values = run.pictures.filter(judged)[column].drop_null().unique().to_pylist()
        found += [(column, str(value)) for value in sorted(values)]
    return found


def restrict(run: RunEvidence, column: str, value: str, diagnosis: str) -> RunEvidence:
    """What a diagnosis may see of a run if only pictures with this value are judged; training stays as it was.

    Thresholds were chosen on all pictures, so `threshold` and `condition`, which choose them again, keep the threshold
    partition. `variance` looks at pictures
    as they are, so for it the others are gone. `shift` holds the judged pictures against those of the same value that
    trained; against all where none did, for that is a shift.
    """
    chosen = run.pictures.filter(pc.equal(run.pictures[column], value))
    image_ids = chosen["image_id"].combine_chunks()

    def judged(table: pa.Table, spared: str) -> pa.Table:
        if diagnosis == "shift" and _trains(table, image_ids):
            spared = ""
        return table.filter(pc.or_(pc.equal(table["partition"], spared), pc.is_in(table["image_id"], image_ids)))

    return replace(
        run,
        pictures=chosen if diagnosis == "variance" else run.pictures,
        scores=judged(run.scores, "threshold" if diagnosis in ("threshold", "condition") else ""),
        splits={fold: judged(split, "train") for fold, split in run.splits.items()},
    )


def _trains(split: pa.Table, image_ids: pa.Array) -> bool:
    trained = split.filter(pc.equal(split["partition"], "train"))
    return bool(pc.any(pc.is_in(trained["image_id"], image_ids)).as_py())
