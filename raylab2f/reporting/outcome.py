"""How a run ended, on one screen: verdict, key figures, what weakens them, and where to look further."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape

from raylab2f.pitfalls import PITFALLS
from raylab2f.reporting.page.sentences import figure_text, outcome_sentence
from raylab2f.reporting.tables import describe_run, print_muted, print_remarks
from raylab2f.reporting.whole_tables import print_table

__all__ = ["VERDICT_SENTENCES", "print_outcome", "print_verdict"]

#: What a verdict says, beside a style for the terminal.
VERDICT_SENTENCES = {
    "shown": ("every limit is kept", "bold green"),
    "refuted": ("a limit is not kept", "bold red"),
    "not yet shown": ("the data do not say that every limit is kept, nor that one is not", "bold yellow"),
}

_SHOWN = ("escape_rate", "overkill_rate", "review_rate", "recall", "auroc", "balanced_accuracy")
_MOST_WEAKNESSES, _MOST_LETTERS = 8, 150


def print_outcome(
    summary: Mapping[str, Any],
    findings: Sequence[Mapping[str, Any]],
    acceptance: Mapping[str, Any] | None,
    console: Console,
) -> None:
    """Print what a run came to, in fewer than 40 lines of a console that is 100 columns wide.

    Arguments:
        summary: the content of `summary.json`.
        findings: as in `diagnosis.json`.
        acceptance: the content of `acceptance.json`; `None` where no limits were set.
    """
    strategy = summary["settings"]["strategies"][0]
    found = {(e["strategy"], e["level"], e["metric"]): e for e in summary["estimates"]}
    levels = [level for level in ("object", "image") if any(key[1] == level for key in found)]
    rows = []
    for metric in _SHOWN:
        cells = [found.get((strategy, level, metric)) or found.get(("any", level, metric)) for level in levels]
        if any(cells):
            rows.append([metric.replace("_", " "), *(_cell(cell) for cell in cells)])
    title = f"{describe_run(summary)}: threshold {strategy}"
    print_table(["", *(f"{level} level" for level in levels)], rows, console, title=title)
    print_remarks(summary, console)
    for line in _weaknesses(summary, findings):
        console.print(line, highlight=False, soft_wrap=True)
    print_muted(summary["muted"], "warning", console)
    print_muted([finding for finding in findings if finding["muted"]], "finding", console)
    print_verdict(summary, acceptance, console)


def print_verdict(summary: Mapping[str, Any], acceptance: Mapping[str, Any] | None, console: Console) -> None:
    """Print the verdict and what it means for 1,000 parts."""
    strategy = summary["settings"]["strategies"][0]
    found = {(e["strategy"], e["level"], e["metric"]): e for e in summary["estimates"]}
    for level in ("object", "image"):
        escape_rate, overkill_rate = (found.get((strategy, level, name)) for name in ("escape_rate", "overkill_rate"))
        if escape_rate and overkill_rate and escape_rate["mean"] is not None and overkill_rate["mean"] is not None:
            prevalence = summary["settings"]["prevalence"]
            sentence = outcome_sentence(_row(escape_rate), _row(overkill_rate), prevalence)
            console.print(sentence, highlight=False, markup=False, soft_wrap=True)
            break
    if acceptance is None:
        console.print("No limits were set; run-cv --limits FILE asks whether they are kept.", highlight=False)
        return
    words, style = VERDICT_SENTENCES[acceptance["verdict"]]
    later = "" if acceptance["limits_before"] else " The limits were set later than the run."
    console.print(f"[{style}]{acceptance['verdict']}[/]: {words}.{later}", highlight=False, soft_wrap=True)


def _weaknesses(summary: Mapping[str, Any], findings: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """One line each, the worst first."""
    lines = []
    for verdict, style in (("fail", "bold red"), ("warn", "yellow")):
        for finding in findings:
            if finding["verdict"] == verdict and not finding["muted"]:
                code = " ".join(filter(None, (finding["code"], PITFALLS.get(finding["code"], finding["name"]))))
                lines.append(f"[{style}]{verdict}[/] {escape(code)}: {escape(_short(finding['why']))}")
    lines += [
        f"[bold yellow]warning {warning['code']}:[/] {escape(_short(warning['text']))}"
        for warning in summary["warnings"]
    ]
    yield from lines[:_MOST_WEAKNESSES]
    if len(lines) > _MOST_WEAKNESSES:
        yield f"and {len(lines) - _MOST_WEAKNESSES} more"


def _short(text: str) -> str:
    return text if len(text) <= _MOST_LETTERS else text[: _MOST_LETTERS - 2].rsplit(" ", 1)[0] + " …"


def _row(estimate: Mapping[str, Any]) -> Mapping[str, Any]:
    ends = estimate["interval"] or {"low": None, "high": None}
    return {"mean": estimate["mean"], "low": ends["low"], "high": ends["high"]}


def _cell(estimate: Mapping[str, Any] | None) -> str:
    return "" if estimate is None or estimate["mean"] is None else figure_text(_row(estimate))
