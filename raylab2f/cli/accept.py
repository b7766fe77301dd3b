"""`raylab2f accept`: may the model decide? Limits, and whether the data show that they are kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape

from raylab2f import api
from raylab2f.cli.composition import command
from raylab2f.cli.json_output import put_json
from raylab2f.cli.lines import print_lines
from raylab2f.options.declaration import Option
from raylab2f.options.evaluation import JsonOption, PrevalenceOption, ReplicatesOption
from raylab2f.options.limits import Limits
from raylab2f.options.score_files import ScoreFiles
from raylab2f.reporting.printing import plain_console
from raylab2f.reporting.whole_tables import print_table

if TYPE_CHECKING:
    from raylab2f.evaluation.acceptance.agreement import AgreementRow
    from raylab2f.evaluation.acceptance.outcome import Acceptance
    from raylab2f.evaluation.acceptance.repeats import RepeatAgreement
    from raylab2f.evaluation.acceptance.verdict import LimitVerdict, MoreParts

__all__ = ["accept"]

#: By verdict; 2 is a mistake of the user.
_EXIT_CODES = {"shown": 0, "refuted": 3, "not yet shown": 4}
_STYLES = {"shown": "bold green", "refuted": "bold red", "not yet shown": "bold yellow"}
_SAME = "as the run was judged"
_SCORES = "A run's folder, or a table of scores (Parquet, CSV, or its URI) as for evaluate."
_ScoresOption = Annotated[str, Option(_SCORES, kind="place", positional=True)]


@command
def accept(
    scores: _ScoresOption,
    limits: Limits,
    files: ScoreFiles,
    at: Annotated[
        tuple[float, ...],
        Option(
            "The scores are of one finished model with this threshold, on parts that nothing else has seen; twice, low "
            "and high, where a person looks between."
        ),
    ] = (),
    strategy: Annotated[
        str | None, Option("By which folds choose thresholds.", usual="the limits' or the run's, else youden")
    ] = None,
    object_score: Annotated[str | None, Option("A part's score from its pictures'.", usual=_SAME)] = None,
    prevalence: PrevalenceOption = None,
    cost_escape: Annotated[float | None, Option("Cost of a defective part accepted.", usual=_SAME)] = None,
    cost_overkill: Annotated[float | None, Option("Cost of a good part rejected.", usual=_SAME)] = None,
    cost_review: Annotated[float | None, Option("Cost of a part that a person looks at.", usual=_SAME)] = None,
    by: Annotated[tuple[str, ...], Option("Rates of parts by condition or view may be limited, too; repeatable.")] = (),
    replicates: ReplicatesOption = 10_000,
    seed: Annotated[int, Option("Of the bootstrap.", minimum=0)] = 0,
    out: Annotated[str | None, Option("File, or its URI, for the verdict as JSON.", kind="place")] = None,
    as_json: JsonOption = False,
) -> None:
    """Say whether limits on wrong decisions are kept: exit code 0 shown, 3 refuted, 4 not yet shown."""
    result = api.accept(
        scores,
        **vars(limits),
        **vars(files),
        at=at,
        strategy=strategy,
        object_score=object_score,
        prevalence=prevalence,
        cost_escape=cost_escape,
        cost_overkill=cost_overkill,
        cost_review=cost_review,
        by=by,
        replicates=replicates,
        seed=seed,
    )
    if not put_json(result.acceptance.to_dict(), out, printed=as_json):
        _print_acceptance(result.acceptance, plain_console())
    raise typer.Exit(_EXIT_CODES[result.acceptance.verdict])


def _print_acceptance(acceptance: Acceptance, console: Console) -> None:
    headings = ("limit", "level", "seen", "at most", "at least", "confidence", "verdict")
    print_table(headings, [_cells(row) for row in acceptance.limits], console, left=(0, 1, 6))
    for row in acceptance.limits:
        if row.more is not None:
            print_lines(console, f"{row.limit.text}: {_wanted(row.more)}")
    title = f"Attribute agreement (AIAG MSA), {acceptance.level} level, 95 % intervals"
    rows = [_agreement_cells(row) for row in acceptance.agreement]
    print_table(("", "seen", "interval", "class"), rows, console, title=title, left=(0, 3))
    if acceptance.repeats is not None:
        print_lines(console, _repeats(acceptance.repeats))
    print_lines(console, _evidence(acceptance))
    for warning in acceptance.warnings:
        said = escape(f"{warning} ({warning.code})")
        console.print(f"[bold yellow]warning:[/] {said}", highlight=False, soft_wrap=True)
    if acceptance.limits_before is False:
        console.print(
            "The limits were set later than the run, and may have been chosen by its outcome.", highlight=False
        )
    style = _STYLES[acceptance.verdict]
    console.print(f"[{style}]{acceptance.verdict}[/]: {_sentence(acceptance)}", highlight=False, soft_wrap=True)


def _cells(row: LimitVerdict) -> list[str]:
    limit = row.limit
    numbers = (row.estimate, row.high, row.low)
    return [limit.text, limit.level, *map(_number, numbers), f"{100 * limit.confidence:g}%", row.verdict]


def _agreement_cells(row: AgreementRow) -> list[str]:
    ends = "" if row.low is None or row.high is None else f"{row.low:.3f} to {row.high:.3f}"
    return [row.name, _number(row.estimate), ends, row.judged or "not decided"]


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"


def _wanted(more: MoreParts) -> str:
    seen = (
        "the rate looks no better than the limit, so more parts are not expected to show it"
        if more.as_seen is None
        else f"about {more.as_seen:,} more {more.kind} parts would show it if the rate is what it looks like"
    )
    if more.without_errors is None:
        return f"{seen}."
    return f"{seen}; {more.without_errors:,} more without a further error, beside the {more.judged:,} judged."


def _repeats(repeats: RepeatAgreement) -> str:
    from raylab2f.evaluation.acceptance.repeats import ENOUGH_RUNS

    said = (
        f"Agreement with itself: {repeats.alike:,} of {repeats.parts:,} parts that were seen again are decided alike "
        f"every time, {repeats.estimate:.3f} ({repeats.low:.3f} to {repeats.high:.3f})."
    )
    if repeats.grey_zone is not None:
        low, high = repeats.grey_zone
        names = ", ".join(str(part["object_id"]) for part in repeats.grey_parts[:3])
        said += f" The others score from {low:.4g} to {high:.4g}, the grey zone: {names}"
        said += " and others." if repeats.parts - repeats.alike > 3 else "."
    if repeats.runs[0] < ENOUGH_RUNS:
        said += f" MSA asks for {ENOUGH_RUNS} runs of each part; here the fewest are {repeats.runs[0]}."
    return said


def _evidence(acceptance: Acceptance) -> str:
    objects = acceptance.settings["objects"]
    parts = f"{objects['defective']:,} defective and {objects['good']:,} good parts"
    settings = acceptance.settings
    if acceptance.evidence == "finished model":
        fixed = f"threshold {settings['threshold']:g}"
        if "low_threshold" in settings:
            fixed = f"accepting below {settings['low_threshold']:g}, rejecting from {settings['threshold']:g}"
        return f"Evidence: one finished model, {fixed}, on {parts}; exact bounds."
    return (
        f"Evidence: a procedure, {settings['folds']} folds over {parts}, each with a model and a threshold of its own "
        f"({', '.join(settings['strategies'])}); what is judged is this way of making models, and no single one."
    )


def _sentence(acceptance: Acceptance) -> str:
    count = len(acceptance.limits)
    those = {
        "shown": "every limit is kept",
        "refuted": "a limit is not kept",
        "not yet shown": "the data do not say that every limit is kept, nor that one is not",
    }[acceptance.verdict]
    return f"{those} ({count} limit{'' if count == 1 else 's'})."
