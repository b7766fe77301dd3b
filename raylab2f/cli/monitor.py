"""`raylab2f monitor`: has the world changed since the evaluation, and are accepted parts still good?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from raylab2f import api
from raylab2f.cli.composition import command
from raylab2f.cli.json_output import put_json
from raylab2f.cli.lines import print_lines
from raylab2f.errors import UserError
from raylab2f.options.declaration import Option
from raylab2f.options.evaluation import JsonOption
from raylab2f.options.models import ModelOption
from raylab2f.options.monitoring import Auditing, Watching
from raylab2f.reporting.printing import plain_console

if TYPE_CHECKING:
    from raylab2f.evaluation.monitoring.outcome import Monitoring

__all__ = ["monitor"]

#: With --fail-on-alarm.
ALARMED = 6


@command
def monitor(
    *,
    model: ModelOption,
    auditing: Auditing,
    judged: Annotated[
        tuple[str, ...],
        Option("Folders of predict, or tables of judged pictures, oldest first.", kind="path", positional=True),
    ] = (),
    fail_on_alarm: Annotated[bool, Option("Exit code 6 if there is an alarm.")] = False,
    watching: Watching,
    out: Annotated[
        str | None, Option("Folder for monitor.html, .json, .parquet and .prom (gauges).", kind="path")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Compare what a model judged with its evaluation; or audit the parts that it accepted (--audit)."""
    auditing.check()
    console = plain_console()
    if auditing.audit is not None:
        _audit(model, auditing, judged, watching.seed, as_json, console)
        return
    found = api.monitor(model, judged, **vars(watching), out=out).found
    if not put_json(found.to_dict(), None, printed=as_json):
        _print(found, console, out)
    if fail_on_alarm and found.alarmed:
        raise typer.Exit(ALARMED)


def _audit(model: str, auditing: Auditing, judged: tuple[str, ...], seed: int, as_json: bool, console: Console) -> None:
    from raylab2f.models.folder import read_record
    from raylab2f.workflows.line import audit_line, plan_line_audit

    assert auditing.audit is not None
    plan = Path(auditing.audit)
    # Whose verdicts these are: a name with a slip would not be seen otherwise.
    read_record(model)
    if auditing.answers is not None:
        bound = audit_line(plan, auditing.answers, confidence=auditing.confidence)
        if not put_json(vars(bound), None, printed=as_json):
            print_lines(console, bound.statement)
        return
    if not judged:
        raise UserError("JUDGED: name the predictions of which accepted parts are to be looked at again.")
    assert auditing.limit is not None
    wanted = plan_line_audit(
        judged, plan, limit=auditing.limit, expected=auditing.expected, confidence=auditing.confidence, seed=seed
    )
    print_lines(console, f"look at {wanted.num_rows:,} accepted parts again: {plan}")
    print_lines(console, f"then: raylab2f monitor {model} --audit {plan} --answers ANSWERS.csv (object_id, label)")


def _print(found: Monitoring, console: Console, out: str | None) -> None:
    for signal in found.signals:
        word = "alarm" if signal.alarm else "warning" if signal.warning else "no alarm"
        where = f" ({signal.condition})" if signal.condition else ""
        print_lines(console, f"{word}: {signal.signal}{where}: {signal.statement}")
    for note in found.notes:
        print_lines(console, note)
    for table, reasons in found.left_out.items():
        for reason, count in reasons.items():
            if count:
                print_lines(console, f"{count:,} rows of the {table} table {reason} were left out")
    if out is not None:
        print_lines(console, f"page: {Path(out) / 'monitor.html'}")
