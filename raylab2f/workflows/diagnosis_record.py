"""What a run's folder holds of its diagnoses: `diagnosis.json`, and each finding's evidence below `diagnosis/`."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from raylab2f.diagnostics import Finding
from raylab2f.errors import UserError
from raylab2f.files.atomic import write_json, write_parquet
from raylab2f.files.mirror import local, publish
from raylab2f.files.places import file_exists, is_uri
from raylab2f.files.strangers import read_json
from raylab2f.workflows.evidence import RunEvidence

__all__ = ["DIAGNOSIS_VERSION", "record_findings", "require_recordable"]

DIAGNOSIS_VERSION = 2

# Folders in a run's that diagnoses fill.
_OWN = ("figures", "diagnosis")
_RECORD = "diagnosis.json"


def require_recordable(place: str) -> None:
    """`UserError` unless findings can be added to what a run at a local path holds of them; diagnoses take minutes."""
    folder = local(place)
    if is_uri(place) or not file_exists(str(folder / "run.json")):
        return
    for path in (folder, *(folder / name for name in _OWN)):
        # Not by pathlib, which raises where permissions forbid a look.
        if os.path.isdir(path) and not os.access(path, os.W_OK | os.X_OK):  # noqa: PTH112
            raise UserError(
                f"{path} may not be written by this user, and diagnose adds diagnosis.json and figures to the run; "
                f"copy {place} and diagnose the copy, or ask its owner for permission (chmod -R g+w)."
            )
    _earlier(folder / _RECORD)


def record_findings(run: RunEvidence, findings: Sequence[Finding], mute: Sequence[str], order: Sequence[str]) -> None:
    """Add findings to what is recorded of the run's diagnoses, in place of earlier ones of the same names.

    Arguments:
        mute: codes; findings of these are marked.
        order: names of diagnoses in the order in which they stand; others, those of other packages, follow by name.
    """
    path = run.folder.path / _RECORD
    kept = _earlier(path)
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
    publish(run.folder.place, [*(f"{name}/*" for name in _OWN), path.name])


def _earlier(path: Path) -> dict[str, Any]:
    """Findings that are recorded, by name; none where there is no record, or one of another version."""
    try:
        before = read_json(path)
        if before["version"] != DIAGNOSIS_VERSION:
            return {}
        findings = {finding["name"]: finding for finding in before["findings"]}
    except FileNotFoundError:
        return {}
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path} is no record of diagnoses; remove it, and they are made anew.") from error
    if not all(isinstance(name, str) and isinstance(finding, Mapping) for name, finding in findings.items()):
        raise UserError(f"{path} is no record of diagnoses; remove it, and they are made anew.")
    return findings
