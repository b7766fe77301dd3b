"""The `raylab2f` program and how its errors reach the user."""

from __future__ import annotations

import sys

import typer
from rich.console import Console
from rich.markup import escape

from raylab2f import __version__
from raylab2f.cli.cluster import cluster_app
from raylab2f.cli.compare import compare_runs
from raylab2f.cli.datasets import datasets_app
from raylab2f.cli.diagnose import diagnose
from raylab2f.cli.evaluate import evaluate_scores
from raylab2f.cli.jobs import jobs_app, submit
from raylab2f.cli.plan_samples import plan_samples
from raylab2f.cli.run_cv import run_cv
from raylab2f.cli.segment import segment
from raylab2f.errors import UserError

__all__ = ["app", "main", "run_program"]

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="How many defective parts does a vision model let through, how many good ones does it throw away, and how "
    "sure is that?",
)
app.command("run-cv")(run_cv)
app.command("evaluate")(evaluate_scores)
app.command("compare")(compare_runs)
app.command("diagnose")(diagnose)
app.command("plan-samples")(plan_samples)
app.command("segment")(segment)
app.command("submit")(submit)
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
) -> None:
    pass


def main() -> None:
    """The `raylab2f` program."""
    run_program(app)


def run_program(program: typer.Typer) -> None:
    """Run a program; a `UserError` ends it with its sentence and code 2, an interruption with code 130."""
    console = Console(stderr=True)
    try:
        program()
    except UserError as error:
        console.print(f"[bold red]error:[/] {escape(str(error))}", highlight=False, soft_wrap=True)
        sys.exit(2)
    except KeyboardInterrupt:
        console.print(
            "interrupted; what was finished is kept: the same command goes on from there (run-cv with --resume)",
            highlight=False,
        )
        sys.exit(130)
