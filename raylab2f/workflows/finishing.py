"""What follows the last fold: pitfalls that can be seen in seconds, the verdict on limits, the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from raylab2f.diagnostics import Finding
from raylab2f.files.atomic import write_json
from raylab2f.files.mirror import publish
from raylab2f.reporting import Display, print_findings, print_summary
from raylab2f.runs.folder import RunFolder
from raylab2f.runs.text_file import text_file
from raylab2f.workflows.diagnosis import CHEAP, diagnose_run
from raylab2f.workflows.report.content import report_content, write_report

__all__ = ["finish_run"]


def finish_run(
    place: str, summary: Mapping[str, Any], *, cache: str, display: Display, mute: Sequence[str] = ()
) -> list[Finding]:
    """Write `diagnosis.json`, `acceptance.json` where limits were set, `summary.txt`, `report.html` and `report.md`.

    Arguments:
        place: folder of a run with at least one finished fold.
        summary: the content of its `summary.json`.
        cache: where its pictures and features are.
        mute: codes of findings that are marked, not shown.

    Returns:
        The findings.
    """
    found = diagnose_run(place, cache=cache, display=display, only=CHEAP, stored_only=True, mute=mute)
    with text_file(place, "summary.txt") as paper:
        print_summary(dict(summary), paper)
        print_findings([finding.to_dict(mute) for finding in found], paper)
    content = report_content([place], cache=cache, display=display)
    acceptance = content["runs"][0]["acceptance"]
    if acceptance is not None:
        write_json(RunFolder(place).path / "acceptance.json", acceptance)
        publish(place, ["acceptance.json"])
    write_report(content, place)
    if error := content["runs"][0]["limits_error"]:
        display.warn(f"{error} The limits were not judged; raylab2f accept RUN --limits FILE judges others.")
    return found
