"""The `raylab2f` program and how its errors reach the user."""

from __future__ import annotations

import errno
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.markup import escape

from raylab2f import __version__
from raylab2f.cli.accept import accept
from raylab2f.cli.advise import advise
from raylab2f.cli.cluster import cluster_app
from raylab2f.cli.compare import compare_runs
from raylab2f.cli.datasets import datasets_app
from raylab2f.cli.diagnose import diagnose
from raylab2f.cli.evaluate import evaluate_scores
from raylab2f.cli.export import export
from raylab2f.cli.figures import figures
from raylab2f.cli.finalise import finalise
from raylab2f.cli.jobs import jobs_app, submit
from raylab2f.cli.monitor import monitor
from raylab2f.cli.plan_samples import plan_samples
from raylab2f.cli.pod import pod
from raylab2f.cli.predict import predict
from raylab2f.cli.report import report
from raylab2f.cli.run_cv import run_cv
from raylab2f.cli.segment import segment
from raylab2f.cli.serve import serve
from raylab2f.cli.show import show
from raylab2f.errors import UserError, refused_by_system

__all__ = ["app", "main", "run_program"]

# click's, or the copy of it inside typer: whichever typer uses.
_USAGE_ERROR: Any = typer.BadParameter.__base__
# As a shell says it of a program that SIGPIPE ended.
_UNREAD = 141

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="How many defective parts does a vision model let through, how many good ones does it throw away, and how "
    "sure is that?",
)
app.command("run-cv")(run_cv)
app.command("evaluate")(evaluate_scores)
app.command("accept")(accept)
app.command("compare")(compare_runs)
app.command("diagnose")(diagnose)
app.command("show")(show)
app.command("report")(report)
app.command("figures")(figures)
app.command("finalise")(finalise)
app.command("predict")(predict)
app.command("export")(export)
app.command("monitor")(monitor)
app.command("serve")(serve)
app.command("plan-samples")(plan_samples)
app.command("pod")(pod)
app.command("advise")(advise)
app.command("segment")(segment)
# What follows the first word is of the command that is sent, with or without `--` before it.
app.command("submit", context_settings={"allow_interspersed_args": False})(submit)
app.add_typer(jobs_app, name="jobs")
app.add_typer(cluster_app, name="cluster")
app.add_typer(datasets_app, name="datasets")


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"raylab2f {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(False, "--version", callback=_print_version, is_eager=True, help="Print the version."),
    verbose: bool = typer.Option(
        False, "--verbose", help="Where a command stands when nothing has moved for minutes: every thread's stack too."
    ),
) -> None:
    if verbose:
        from raylab2f.reporting.watchdog import be_verbose

        be_verbose()


def main() -> None:
    """The `raylab2f` program."""
    run_program(app)


def run_program(program: typer.Typer) -> None:
    """Run a program; a mistake of the user ends it with one sentence and code 2, an interruption with code 130, and
    other signals to end likewise; that nobody reads on (`| head`) ends it without a word, with code 141 as most
    programs, for what it would have answered, such as `accept`, is not known.
    """
    from raylab2f.files.digests import digested_once
    from raylab2f.files.home import ensure_home
    from raylab2f.reporting.printing import plain_console, print_any_name
    from raylab2f.reporting.stopping import INTERRUPTED, exit_code, how_to_go_on, stopped_by, stopped_by_signals
    from raylab2f.reporting.watchdog import is_verbose, watched

    print_any_name()
    console = plain_console(stderr=True)
    try:
        _require_folder()
        if note := ensure_home():
            console.print(escape(note), highlight=False, soft_wrap=True)
        with stopped_by_signals(), watched(), digested_once():
            code = program(standalone_mode=False)
    except UserError as error:
        if is_verbose():
            console.print_exception()
        _say_error(console, str(error))
        sys.exit(2)
    except _USAGE_ERROR as error:
        # A group called without a command prints its help; whatever else is wrong is said like any other mistake.
        if type(error).__name__ == "NoArgsIsHelpError":
            error.show()
        else:
            _say_error(console, error.format_message().replace("\n", " "))
        sys.exit(2)
    except OSError as error:
        refused = refused_by_system(error)
        if refused is None:
            raise
        if is_verbose():
            console.print_exception()
        _say_error(console, str(refused))
        sys.exit(2)
    except KeyboardInterrupt:
        code = INTERRUPTED
    except SystemExit as ending:
        if _is_unread(ending.__context__):
            sys.exit(_UNREAD)
        # As Ray ends a process that is told to stop while it connects.
        if ending.code != signal.SIGTERM:
            raise
        stopped_by(signal.SIGTERM)
        code = INTERRUPTED
    if code == INTERRUPTED:
        code = exit_code()
        word = "interrupted" if code == INTERRUPTED else f"stopped by {signal.Signals(code - 128).name}"
        sentence = f"{word}; what was finished is kept: {how_to_go_on()}"
        # Whoever closed the terminal, or the pipe, hears nothing any more.
        with suppress(OSError):
            console.print(escape(sentence), highlight=False, soft_wrap=True)
    sys.exit(code if isinstance(code, int) else 0)


def _is_unread(error: BaseException | None) -> bool:
    """Whether an output was closed by its reader; click and rich end the program then with a code of their own."""
    return isinstance(error, OSError) and error.errno == errno.EPIPE


def _require_folder() -> None:
    """`UserError` where the current folder is gone: libraries end in messages of their own there."""
    try:
        Path.cwd()
    except FileNotFoundError:
        raise UserError("The current folder does not exist any more; change to another.") from None


def _say_error(console: Console, sentence: str) -> None:
    console.print(f"[bold red]error:[/] {escape(sentence)}", highlight=False, soft_wrap=True)
