"""The content of a report as Markdown: a card of the evaluation, for a repository or an audit."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from raylab2f.reporting.page.sentences import (
    METRIC_NAMES,
    figure_text,
    method_sentences,
    number_text,
    outcome_sentence,
    share_text,
)

__all__ = ["render_markdown"]

_VERDICTS = {
    "shown": "Shown: every limit is kept",
    "refuted": "Refuted: a limit is not kept",
    "not yet shown": "Not yet shown: the data do not decide",
}
_MOST_PARTS = 12


def render_markdown(content: Mapping[str, Any]) -> str:
    """The report without pictures and plots.

    Arguments:
        content: as `raylab2f.workflows.report.content.report_content` gathers it.
    """
    lines = [f"# {_text(content['title'])}", ""]
    if content["comparison"]:
        lines += [*_comparison(content["comparison"]), ""]
    for run in content["runs"]:
        lines += _run(run)
    lines += [f"Made {_text(content['made'])} by raylab2f {_text(content['version'])}.", ""]
    return "\n".join(lines)


def _run(run: Mapping[str, Any]) -> Iterator[str]:
    figures = {row["metric"]: row for row in run["figures"]}
    yield f"## {_text(run['name'])}"
    yield ""
    data = f" on {_text(run['dataset']['name'])}, {run['dataset']['pictures']:,} pictures" if run["dataset"] else ""
    yield (
        f"{_text(run['detector'] or 'scores')} ({_text(run['preset'] or 'no preset')}){data}; "
        f"{run['objects']['defective']:,} defective and {run['objects']['good']:,} good parts judged, "
        f"{run['folds']['finished']} of {run['folds']['planned']} folds, thresholds by {_text(run['strategy'])}."
    )
    yield ""
    yield "### Verdict"
    yield ""
    if "escape_rate" in figures and "overkill_rate" in figures:
        yield outcome_sentence(figures["escape_rate"], figures["overkill_rate"], run["rules"]["prevalence"])
        yield ""
    yield from _limits(run["acceptance"], run["limits_error"])
    if run["folds"]["failed"]:
        yield from (f"- Fold {fold['fold']} does not count: {_text(fold['reason'])}" for fold in run["folds"]["failed"])
        yield ""
    yield "### Key figures"
    yield ""
    rows = [(METRIC_NAMES.get(row["metric"], row["metric"]), figure_text(row)) for row in run["figures"]]
    yield from _table(("figure", f"{run['level']} level"), rows)
    yield "### What weakens it"
    yield ""
    for weak in run["weaknesses"]:
        mend = f" Mend: {_text(weak['mend'])}" if weak["mend"] else ""
        yield f"- **{_text(weak['code'] or weak['about'])}** {_text(weak['title'])}: {_text(weak['text'])}{mend}"
    if not run["weaknesses"]:
        yield "Nothing was found by the checks that were made."
    yield ""
    if run["parts"]:
        yield "### Which defects are found"
        yield ""
        parts = [(row["kind"], row["part"], row["rate"], figure_text(row), row["objects"]) for row in run["parts"]]
        yield from _table(("by", "which", "rate", "mean", "parts"), parts)
    yield from _detection(run["pod"], run["level"])
    yield from _worst(run["cards"])
    yield from _learning(run["learning_curve"])
    yield "### Method"
    yield ""
    yield " ".join(_text(sentence) for sentence in method_sentences(run))
    yield ""
    facts = [*(run["dataset"] or {}).items(), ("seed", run["seed"]), *run["record"].get("versions", {}).items()]
    yield from _table(("what", "value"), facts)


def _limits(acceptance: Mapping[str, Any] | None, error: str | None) -> Iterator[str]:
    if acceptance is None:
        yield "No limits were set." if error is None else f"The limits could not be judged: {_text(error)}"
        yield ""
        return
    yield f"**{_VERDICTS[acceptance['verdict']]}.** Evidence: {acceptance['evidence']}. " + (
        "The limits were recorded before anything was trained."
        if acceptance["limits_before"]
        else "The limits were set later than the run, and may have been chosen by its outcome."
    )
    yield ""
    rows = [
        (
            f"{row['metric']} at {'most' if row['at_most'] else 'least'} {row['value']:g}",
            row["level"],
            number_text(row["estimate"]),
            number_text(row["high"]),
            number_text(row["low"]),
            f"{100 * row['confidence']:g}%",
            row["verdict"],
        )
        for row in acceptance["limits"]
    ]
    yield from _table(("limit", "level", "seen", "at most", "at least", "confidence", "verdict"), rows)


def _detection(pod: Mapping[str, Any], level: str) -> Iterator[str]:
    yield "### Probability of detection by size"
    yield ""
    if pod["reason"]:
        yield _text(pod["reason"])
        yield ""
        return
    unit = f", {_text(pod['unit'])}" if pod["unit"] else ""
    yield f"Size: {_text(pod['size'])}{unit}."
    yield ""
    for row in pod["rows"]:
        yield f"- {_text(row['defect_type'] or 'All defects')}: {_text(row['sentence'])}"
    yield ""
    if len(pod["rows"]) > 1:
        columns = ("smallest", "largest", "a90", "a90_95")
        rows = [
            (
                row["defect_type"] or "all",
                f"{row['judged']:,}",
                share_text(row["found"]),
                *(number_text(row[name]) or "none" for name in columns),
            )
            for row in pod["rows"]
        ]
        parts = "parts" if level == "object" else "pictures"
        headings = ("defects", parts, "found", "smallest", "largest", "a90", "a90/95")
        yield from _table(headings, rows)


def _worst(cards: Mapping[str, Any]) -> Iterator[str]:
    for kind in ("escapes", "overkills"):
        some = cards[kind][:_MOST_PARTS]
        if some:
            yield f"### Worst {kind}"
            yield ""
            rows = [
                (card["object_id"], card["defect_type"] or "", f"{card['wrong']} of {card['folds']}") for card in some
            ]
            yield from _table(("part", "defect", "folds wrong"), rows)


def _learning(curve: Mapping[str, Any] | None) -> Iterator[str]:
    if curve is None:
        return
    yield "### Learning curve"
    yield ""
    if curve["reason"]:
        yield _text(curve["reason"])
        yield ""
        return
    rows = [
        (
            f"{row['fraction']:g}",
            f"{row['pictures']:.0f}",
            row["run"],
            METRIC_NAMES.get(row["metric"], row["metric"]),
            figure_text(row),
        )
        for row in curve["rows"]
    ]
    yield from _table(("share of the training parts", "pictures", "run", "figure", "mean"), rows)


def _comparison(comparison: Mapping[str, Any]) -> Iterator[str]:
    yield "## Comparison"
    yield ""
    if comparison["reason"]:
        yield _text(comparison["reason"])
        return
    yield "First minus second, paired on the same folds and parts."
    yield ""
    rows = [
        (
            *(row[name] for name in ("first", "second", "strategy", "level", "metric")),
            figure_text({"mean": row["difference"], "low": row["low"], "high": row["high"]}),
        )
        for row in comparison["rows"]
    ]
    yield from _table(("first", "second", "threshold", "level", "figure", "difference"), rows)


def _table(headings: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    yield f"| {' | '.join(headings)} |"
    yield f"|{'---|' * len(headings)}"
    for row in rows:
        yield f"| {' | '.join('' if cell is None else _text(cell) for cell in row)} |"
    yield ""


def _text(value: Any) -> str:
    """Text in which nothing is markup, on one line."""
    text = " ".join(str(value).split())
    return re.sub(r"([\\`*_\[\]<>|#~$])", r"\\\1", text).replace("&", "&amp;")
