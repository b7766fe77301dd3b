"""What a run came to, as its folder records it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from raylab2f.files.strangers import read_json
from raylab2f.workflows.evidence import finished_folds
from raylab2f.workflows.report.content import REPORT_FILES

__all__ = ["recorded_outcome"]


def recorded_outcome(place: str | Path) -> dict[str, Any]:
    """`run`, its place; `summary`, `findings` and `acceptance`, the contents of its files, `acceptance` `None` where no
    limits were set; `page`, the name of its report, `None` where there is none.

    Raises:
        UserError: there is no run, or none of its folds is finished.
    """
    folder = finished_folds(place).folder
    findings = folder.path / "diagnosis.json"
    acceptance = folder.path / "acceptance.json"
    return {
        "run": folder.place,
        "summary": read_json(folder.summary),
        "findings": read_json(findings)["findings"] if findings.is_file() else [],
        "acceptance": read_json(acceptance) if acceptance.is_file() else None,
        "page": REPORT_FILES[0] if (folder.path / REPORT_FILES[0]).is_file() else None,
    }
