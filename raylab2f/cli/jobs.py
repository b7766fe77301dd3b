"""`raylab2f submit` and `raylab2f jobs`: commands that run on a cluster and survive this terminal."""

from __future__ import annotations

import datetime
import shlex
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from raylab2f.cli.lines import print_lines
from raylab2f.cli.submission import check_submission
from raylab2f.errors import UserError
from raylab2f.files.places import place_of
from raylab2f.reporting.printing import plain_console
from raylab2f.reporting.stopping import exit_code
from raylab2f.reporting.whole_tables import print_table

if TYPE_CHECKING:
    from raylab2f.cluster.operations.jobs import Job, Jobs

__all__ = ["jobs_app", "submit"]

DashboardAddressOption = Annotated[
    str | None,
    typer.Option(
        "--address",
        help="The cluster's dashboard, http://HEAD:8265.",
        show_default="RAY_API_SERVER_ADDRESS, or this machine's",
    ),
]
NameArgument = Annotated[str, typer.Argument(metavar="JOB", help="As `submit` and `jobs list` name it.")]

jobs_app = typer.Typer(no_args_is_help=True, help="Jobs on a cluster: list, status, logs, stop.")


def submit(
    context: typer.Context,
    command: Annotated[
        list[str], typer.Argument(metavar="COMMAND...", help="What follows `raylab2f`, as `run-cv --folds 10 ...`.")
    ],
    address: DashboardAddressOption = None,
    follow: Annotated[bool, typer.Option("--follow", help="Show what the job prints until it ends.")] = False,
    name: Annotated[str | None, typer.Option(help="Of the job.", show_default="made up")] = None,
    python: Annotated[str, typer.Option(help="Interpreter on the head node.")] = "python",
    installed: Annotated[
        bool, typer.Option("--installed", help="Run the nodes' installed raylab2f instead of sending this one.")
    ] = False,
) -> None:
    """Run a command as a job on a Ray cluster; it goes on when this terminal closes.

    Paths are those of the cluster's nodes; results stay there. The exit code with --follow is the command's.
    """
    title, command = check_submission(command, context.find_root().command)
    from raylab2f.cluster.operations.jobs import Jobs

    console = plain_console()
    jobs = Jobs(address)
    name = jobs.submit(command, name=name, title=title, python=python, send_package=not installed)
    _say(console, f"submitted {name}")
    if follow:
        _follow(name, jobs)
    else:
        _say(console, f"follow it: {_again('logs', name, jobs, '--follow')}")


@jobs_app.command("list")
def list_jobs(address: DashboardAddressOption = None) -> None:
    """All jobs that the cluster remembers, newest first."""
    from raylab2f.cluster.operations.jobs import Jobs

    console = plain_console()
    rows = [(job.name, job.status, _moment(job.started), _duration(job), job.command) for job in Jobs(address).all()]
    if not rows:
        _say(console, "no jobs")
        return
    headings = ("job", "status", "started", "took", "command")
    print_table(headings, rows, console, left=range(len(headings)))


@jobs_app.command("status")
def job_status(
    name: Annotated[
        str, typer.Argument(metavar="JOB|PLACE", help="A job's name, or a run's folder, which needs no cluster.")
    ],
    address: DashboardAddressOption = None,
) -> None:
    """One job's state, and how far its folds are, as the run's folder says."""
    from raylab2f.runs.progress_record import progress_of_run

    console = plain_console()
    if "/" in name or (name and Path(name).is_dir()):
        for line in progress_of_run(place_of(name)):
            _say(console, line)
        return
    from raylab2f.cluster.operations.jobs import Jobs

    job = Jobs(address).status(name)
    took = _duration(job)
    _say(console, f"{job.status}{f' after {took}' if took else ''}: {job.message}")
    if out := _out_of(job.command):
        # The folder may lie where this machine does not see it.
        with suppress(UserError, OSError):
            for line in progress_of_run(out):
                _say(console, line)


def _out_of(command: str) -> str | None:
    """The run's folder that a job's command names."""
    try:
        words = shlex.split(command)
    except ValueError:
        return None
    for place, word in enumerate(words):
        if word == "--out" and place + 1 < len(words):
            return words[place + 1]
        if word.startswith("--out="):
            return word.removeprefix("--out=")
    return None


@jobs_app.command("logs")
def job_logs(
    name: NameArgument,
    address: DashboardAddressOption = None,
    follow: Annotated[bool, typer.Option("--follow", help="Go on until the job ends.")] = False,
) -> None:
    """What a job printed."""
    from raylab2f.cluster.operations.jobs import Jobs

    jobs = Jobs(address)
    if follow:
        _follow(name, jobs)
    else:
        sys.stdout.write(jobs.logs(name))


@jobs_app.command("stop")
def stop_job(name: NameArgument, address: DashboardAddressOption = None) -> None:
    """End a job; what it finished is kept, and the same command with --resume goes on from there."""
    from raylab2f.cluster.operations.jobs import Jobs

    jobs = Jobs(address)
    job = jobs.stop(name)
    console = plain_console()
    _say(console, f"{name}: {job.status}")
    if out := _out_of(job.command):
        again = ["raylab2f", "submit", *jobs.address_words]
        _say(console, f"go on with it: {shlex.join([*again, '--', 'run-cv', '--resume', '--out', out])}")


def _follow(name: str, jobs: Jobs) -> None:
    """Show a job's output to its end and exit with its code."""

    def write(text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()

    console = plain_console(stderr=True)
    try:
        job = jobs.follow(name, write)
    except KeyboardInterrupt:
        _say(console, f"the job goes on; see it again: {_again('logs', name, jobs, '--follow')}")
        _say(console, f"end it: {_again('stop', name, jobs)}")
        # Not by typer's exception, whose code means that a command of this machine was interrupted.
        sys.exit(exit_code())
    succeeded = job.status == "SUCCEEDED"
    _say(console, f"{name}: {job.status}{'' if succeeded else f': {job.message}'}")
    if not succeeded:
        sys.exit(job.exit_code or 1)


def _say(console: Console, sentence: str) -> None:
    print_lines(console, sentence)


def _again(action: str, name: str, jobs: Jobs, *options: str) -> str:
    return shlex.join(["raylab2f", "jobs", action, name, *jobs.address_words, *options])


def _moment(seconds: float | None) -> str:
    if seconds is None:
        return ""
    return datetime.datetime.fromtimestamp(seconds, tz=datetime.timezone.utc).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def _duration(job: Job) -> str:
    if job.started is None or job.ended is None:
        return ""
    return f"{job.ended - job.started:.0f} s"
