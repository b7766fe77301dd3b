"""`raylab2f compare`: paired differences between runs on the same folds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from rich.console import Console
from rich.markup import escape

from raylab2f import api
from raylab2f.cli.composition import command
from raylab2f.cli.json_output import put_json
from raylab2f.options.comparison import Compared
from raylab2f.options.declaration import Option
from raylab2f.options.evaluation import AsEvaluated, JsonOption, ReplicatesOption
from raylab2f.reporting.printing import plain_console
from raylab2f.reporting.whole_tables import print_table

if TYPE_CHECKING:
    from raylab2f.evaluation.comparison.paired_tests import TTest
    from raylab2f.evaluation.comparison.runs import Comparison, Difference

__all__ = ["compare_runs"]

_POSTERIOR = ("A better", "equal", "B better", "folds agree")


@command
def compare_runs(
    runs: Annotated[
        tuple[str, ...],
        Option("Folders or URIs of at least two runs with the same fold plan.", kind="place", positional=True),
    ],
    compared: Compared,
    judged: AsEvaluated,
    replicates: ReplicatesOption = 10_000,
    seed: Annotated[int, Option("Of the bootstrap.", minimum=0)] = 0,
    out: Annotated[str | None, Option("File, or its URI, for the comparison as JSON.", kind="place")] = None,
    as_json: JsonOption = False,
) -> None:
    """Say which of several detectors is better, and how sure that is."""
    result = api.compare(runs, **vars(compared), **vars(judged), replicates=replicates, seed=seed)
    if not put_json(result.comparison.to_dict(), out, printed=as_json):
        _print_comparison(result.comparison, plain_console())


def _print_comparison(comparison: Comparison, console: Console) -> None:
    confidence = comparison.settings["confidence"]
    several = len(comparison.settings["strategies"]) > 1
    pairs = dict.fromkeys((row.first, row.second) for row in comparison.differences)
    headings = ("metric", "A", "B", f"A - B ({confidence:.0%} interval)", "p", "t over folds: p", *_POSTERIOR)
    for first, second in pairs:
        rows = [_cells(row, several) for row in comparison.differences if (row.first, row.second) == (first, second)]
        print_table(headings, rows, console, title=f"A = {first}, B = {second}")
    settings = comparison.settings
    console.print(
        "Interval and p: paired bootstrap over objects. t over folds: corrected resampled t. p values are adjusted "
        f"for {settings['comparisons']} comparisons (Holm). A better, equal (within {settings['rope']:g}), B better: "
        "posterior probabilities of the correlated t-test. Folds agree: how often two folds have the same sign.",
        highlight=False,
        markup=False,
    )
    for warning in comparison.warnings:
        console.print(f"[bold yellow]warning:[/] {escape(warning)}", highlight=False, soft_wrap=True)


def _cells(row: Difference, several: bool) -> list[str]:
    name = row.metric if row.level == "object" else f"{row.metric} ({row.level})"
    if several and row.strategy != "any":
        name += f", {row.strategy}"
    return [
        name,
        f"{row.first_mean:.3f}",
        f"{row.second_mean:.3f}",
        f"{row.difference:+.3f}{_ends(row.bootstrap)}",
        _p(row.bootstrap_p_holm),
        _p(row.corrected_t_p_holm),
        *(_share(value) for value in (row.first_better, row.equivalent, row.second_better, row.replicability)),
    ]


def _ends(test: TTest | None) -> str:
    return "" if test is None else f" ({test.low:+.3f} to {test.high:+.3f})"


def _p(value: float | None) -> str:
    if value is None:
        return ""
    return "<0.001" if value < 0.001 else f"{value:.3f}"


def _share(value: Any) -> str:
    return "" if value is None else f"{value:.2f}"
