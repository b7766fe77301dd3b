"""A model at the line: is the world still as it was evaluated, and are accepted parts still good?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv

from raylab2f.errors import UserError
from raylab2f.evaluation.monitoring import bound_audit, monitor, plan_audit
from raylab2f.evaluation.monitoring.audit import AuditBound
from raylab2f.evaluation.monitoring.outcome import Monitoring
from raylab2f.files.atomic import atomic_path, write_json, write_parquet
from raylab2f.files.permissions import make_folders
from raylab2f.files.tables import read_table
from raylab2f.models.folder import read_evaluation, read_record
from raylab2f.models.judged import read_judged
from raylab2f.reporting.line_page import gauges, render_line

__all__ = ["MONITOR_FILES", "audit_line", "plan_line_audit", "watch_line", "write_monitoring"]

MONITOR_FILES = ("monitor.html", "monitor.json", "monitor.parquet", "monitor.prom")


def watch_line(
    model: str,
    judged: Sequence[str],
    *,
    alpha: float,
    unit: str,
    prevalence: float | None,
    reference: str | None = None,
    seed: int = 0,
) -> Monitoring:
    """Compare what was judged with the model's evaluation, or with a table that was judged before.

    Arguments:
        model: folder or URI.
        judged: files or folders of predictions.
        prevalence: share of defective parts at the line; `None`: that of the run.
        reference: judged pictures instead of the evaluation's.

    Raises:
        UserError: no model, no such tables, or the prevalence is not known.
    """
    record, found = read_record(model), read_judged(judged)
    if reference is not None:
        return monitor(read_judged([reference]), found, alpha=alpha, unit=unit, seed=seed)
    if unit == "day":
        raise UserError("--unit day compares with days; give some of the line's with --reference.")
    share = record.expected["prevalence"] if prevalence is None else prevalence
    if share is None:
        raise UserError("--prevalence: give the share of defective parts at the line; the run was evaluated without.")
    known = read_evaluation(model).rename_columns({"verdict": "decision", "strangeness": "familiarity"})
    if "object_id" not in found.column_names:
        # Pictures are compared with pictures, each decided by itself.
        alone = [record.decision.verdict(score) for score in known["score"].to_pylist()]
        known = known.drop_columns(["object_id", "decision"]).append_column("decision", pa.array(alone))
    return monitor(known, found, alpha=alpha, prevalence=share, seed=seed)


def write_monitoring(found: Monitoring, model: str, out: Path) -> None:
    """Write `MONITOR_FILES` into a folder: a page, the outcome, its table by signal and day, gauges for Prometheus."""
    make_folders(out)
    name = read_record(model).name
    values = {"model": name, **found.to_dict()}
    for file, text in (
        ("monitor.html", render_line(values, found.table.to_pylist())),
        ("monitor.prom", gauges(values)),
    ):
        with atomic_path(out / file) as temporary:
            temporary.write_text(text, encoding="utf-8", errors="backslashreplace")
    write_json(out / "monitor.json", _finite(values))
    write_parquet(out / "monitor.parquet", found.table)


def _finite(value: Any) -> Any:
    """JSON has no infinity: evidence of that size is written as `None`."""
    if isinstance(value, float) and value in (float("inf"), float("-inf")):
        return None
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, (list, tuple)) else value


def plan_line_audit(
    judged: Sequence[str], plan: Path, *, limit: float, expected: float, confidence: float, seed: int
) -> pa.Table:
    """Choose accepted parts to look at again, and write them to a CSV file; returns them.

    Raises:
        UserError: see `plan_audit`; or the file is there already.
    """
    if plan.suffix.lower() != ".csv":
        raise UserError(f"--audit {plan}: a plan is written as CSV; give a name that ends in .csv.")
    if plan.exists():
        raise UserError(f"--audit {plan} is there already; give --answers to read it, or another name to plan anew.")
    found = plan_audit(read_judged(judged), limit=limit, expected=expected, confidence=confidence, seed=seed)
    with atomic_path(plan) as temporary:
        pyarrow.csv.write_csv(found, temporary)
    return found


def audit_line(plan: Path, answers: str, *, confidence: float) -> AuditBound:
    """What the answers on a plan's parts say of all accepted ones.

    Raises:
        UserError: see `bound_audit`.
    """
    columns = ("object_id", "stratum", "stratum_parts", "stratum_selected", "judged_parts")
    planned = read_table(plan, columns, what="plan of an audit")
    return bound_audit(
        planned,
        read_table(answers, ("object_id", "label"), ("image_id",), what="table of answers"),
        confidence=confidence,
    )
