"""What a run's folder holds of its diagnoses: `diagnosis.json`, and each finding's evidence below `diagnosis/`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from raylab2f.diagnostics import Finding
from raylab2f.files.atomic import write_json, write_parquet
from raylab2f.files.mirror import publish
from raylab2f.workflows.evidence import RunEvidence

__all__ = ["DIAGNOSIS_VERSION", "record_findings"]

DIAGNOSIS_VERSION = 2


def record_findings(run: RunEvidence, findings: Sequence[Finding], mute: Sequence[str], order: Sequence[str]) -> None:
    """Add findings to what is recorded of the run's diagnoses, in place of earlier ones of the same names.

    Arguments:
        mute: codes; findings of these are marked.
        order: names of diagnoses in the order in which they stand; others, those of other packages, follow by name.
    """
    path = run.folder.path / "diagnosis.json"
    kept: dict[str, Any] = {}
    if path.exists():
        before = json.loads(path.read_text(encoding="utf-8"))
        if before.get("version") == DIAGNOSIS_VERSION:
            kept = {finding["name"]: finding for finding in before["findings"]}
    for finding in findings:
        kept[finding.name] = finding.to_dict(mute)
        if finding.evidence.num_rows:
            # A condition may be called anything.
            file = f"{quote(finding.name, safe='[]=')}.parquet"
            write_parquet(run.folder.path / "diagnosis" / file, finding.evidence)
    others = sorted({key.partition("[")[0] for key in kept} - set(order))
    ordered = [kept[key] for name in (*order, *others) for key in sorted(kept) if key.partition("[")[0] == name]
    write_json(
        path,
        {
            "version": DIAGNOSIS_VERSION,
            "detector": run.settings.detector,
            "folds": len(run.splits),
            "threshold": run.strategy,
            "findings": ordered,
        },
    )
    publish(run.folder.place, ["figures/*", "diagnosis/*", path.name])
