"""Results as tables on the terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.text import Text

from raylab2f.pitfalls import PITFALLS
from raylab2f.reporting.reliability import print_reliability
from raylab2f.reporting.whole_tables import print_table

__all__ = [
    "describe_run",
    "print_findings",
    "print_forecasts",
    "print_muted",
    "print_remarks",
    "print_summary",
]

_COLOURS = {"pass": "green", "warn": "yellow", "fail": "bold red", "skip": "dim"}

_SHOWN = (
    "auroc",
    "average_precision",
    "balanced_accuracy",
    "accuracy",
    "precision",
    "recall",
    "specificity",
    "f1",
    "escape_rate",
    "overkill_rate",
)

# Beside those, of strategies of two thresholds.
_REVIEWED = (
    "review_rate",
    "review_rate_at_prevalence",
    "automatic_escape_rate",
    "automatic_overkill_rate",
    "expected_cost",
    "cost_at_prevalence",
)

_PART_RATES = ("recall", "overkill_rate")

_PARTITIONS = {"train": "trains", "threshold": "chooses the threshold", "inference": "is judged"}

_SHORTCUTS = {
    "threshold-on-inference": "a threshold chosen on the judged pictures",
    "split-by-picture": "a split by picture",
    "best-epoch-on-inference": "the epoch that is best on the judged pictures",
}


def print_summary(summary: dict[str, Any], console: Console) -> None:
    """Print the estimates of a `summary.json`: metrics down, levels across, a table per threshold strategy."""
    confidence = _confidence(summary)
    estimates = {(e["strategy"], e["level"], e["metric"]): e for e in summary["estimates"]}
    strategies = list(dict.fromkeys(e["strategy"] for e in summary["estimates"] if e["level"] != "pixel"))
    free = [s for s in strategies if s == "any"]
    judged = {e["level"] for e in summary["estimates"]}
    levels = [level for level in ("image", "object") if level in judged]
    for strategy in [s for s in strategies if s != "any"] or free:
        rows = []
        reviews = any((strategy, level, "review_rate") in estimates for level in levels)
        for metric in (*_SHOWN, *_REVIEWED) if reviews else _SHOWN:
            cells = [
                _cell(estimates.get((strategy, level, metric)) or estimates.get(("any", level, metric)))
                for level in levels
            ]
            if any(cells):
                rows.append([metric, *cells])
        headings = ["metric", *(f"{level} level ({confidence:.0%} interval)" for level in levels)]
        print_table(headings, rows, console, title=f"{describe_run(summary)}: threshold {strategy}")
        _print_parts(summary, strategy, console)
    _print_pixel_level(summary, console)
    print_reliability(summary, console)
    print_remarks(summary, console)
    for warning in summary["warnings"]:
        line = f"[bold yellow]warning {warning['code']}:[/] {escape(warning['text'])}"
        console.print(line, highlight=False, soft_wrap=True)
    print_muted(summary["muted"], "warning", console)


def print_remarks(summary: Mapping[str, Any], console: Console) -> None:
    """Print what shortcuts would have claimed, and what the nearest neighbour reaches: one line each."""
    _print_shortcuts(summary, console)
    _print_baseline(summary, console)


def print_muted(entries: Iterable[Mapping[str, Any]], what: str, console: Console) -> None:
    """Print how much the user silenced, in one line; `entries` are warnings or findings, with their codes."""
    codes = Counter(entry["code"] for entry in entries)
    if codes:
        counted = ", ".join(f"{code} ({count})" if count > 1 else code for code, count in sorted(codes.items()))
        plural = "s" if codes.total() > 1 else ""
        console.print(f"muted: {codes.total()} {what}{plural}: {counted}", highlight=False, markup=False)


def _print_parts(summary: dict[str, Any], strategy: str, console: Console) -> None:
    """Rates of each defect type, condition and view; nothing where all defects are of one type, which is told above."""
    rows = [e for e in summary["estimates"] if e["strategy"] == strategy and e["metric"].endswith("]")]
    parts = list(dict.fromkeys(e["metric"].partition("[")[2][:-1] for e in rows))
    if not parts or (len(parts) == 1 and "=" not in parts[0]):
        return
    levels = list(dict.fromkeys(e["level"] for e in rows))
    headings = ["pictures of", *(f"{level} level {rate}" for level in levels for rate in _PART_RATES)]
    lines = []
    found = {(e["level"], e["metric"]): e for e in rows}
    for part in parts:
        cells = [_cell(found.get((level, f"{rate}[{part}]"))) for level in levels for rate in _PART_RATES]
        lines.append([part, *cells])
    print_table(headings, lines, console, title=f"{describe_run(summary)}: threshold {strategy}, part by part")


def _print_pixel_level(summary: dict[str, Any], console: Console) -> None:
    """Where the maps say the defects are; nothing where no picture has a mask."""
    rows = [e for e in summary["estimates"] if e["level"] == "pixel"]
    if not rows:
        return
    headings = ["metric", f"pixel level ({_confidence(summary):.0%} interval)"]
    lines = [[row["metric"], _cell(row)] for row in rows]
    print_table(headings, lines, console, title=f"{describe_run(summary)}: anomaly maps")


def _print_shortcuts(summary: Mapping[str, Any], console: Console) -> None:
    """What shortcuts would have claimed, for pictures: one line each."""
    for row in summary["shortcuts"]:
        if f"{row['claimed']:.3f}" == f"{row['honest']:.3f}":
            continue
        if row["level"] == "image" and row["metric"] in ("balanced_accuracy", "auroc"):
            strategy = "" if row["strategy"] == "any" else f" ({row['strategy']})"
            console.print(
                f"{_SHORTCUTS[row['shortcut']]} would have claimed a {row['metric']}{strategy} of {row['claimed']:.3f} "
                f"instead of {row['honest']:.3f}",
                highlight=False,
                markup=False,
                soft_wrap=True,
            )


def _print_baseline(summary: Mapping[str, Any], console: Console) -> None:
    """What nobody has to train reaches on the same features; nothing in summaries from before it was asked."""
    for row in summary.get("baseline", ()):
        own = f"{row['level']} {row['metric']} {_span(row['mean'], row['low'], row['high'])}"
        gap = _span(row["difference"], row["difference_low"], row["difference_high"], "+.3f")
        console.print(
            f"{row['name']} on the same features: {own}; {summary['detector'] or 'the detector'} minus it: {gap}",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )


def print_findings(findings: list[dict[str, Any]], console: Console) -> None:
    """Print verdicts, each with its code, its bound and why, and which pages tell more; `findings` as in
    `diagnosis.json`.
    """
    shown = [finding for finding in findings if not finding["muted"]]
    rows: list[list[str | Text]] = []
    for finding in shown:
        why = Text(" ".join((finding["why"], *finding["seen_on"])))
        if finding["bound"]:
            why.append(f" {finding['bound']}", style="dim")
        name = " ".join(filter(None, (finding["code"], finding["name"])))
        verdict = Text(finding["verdict"], style=_COLOURS[finding["verdict"]])
        rows.append([name, verdict, _figure(finding["figure"]), why])
    headings = ("pitfall", "verdict", "figure (95 % interval)", "why")
    print_table(headings, rows, console, title="diagnosis", left=range(len(headings)))
    print_muted([finding for finding in findings if finding["muted"]], "finding", console)
    codes = dict.fromkeys(f["code"] for f in shown if f["verdict"] in ("warn", "fail"))
    pages = [f"docs/pitfalls/{code}.md" for code in codes if code in PITFALLS]
    if pages:
        console.print(f"how to mend it: {', '.join(pages)}", highlight=False, markup=False, soft_wrap=True)


def _figure(figure: dict[str, Any] | None) -> str:
    if figure is None or figure["value"] is None:
        return ""
    ends = figure["interval"]
    if ends["low"] is None:
        return f"{figure['value']:.3g}"
    return f"{figure['value']:.2f} ({ends['low']:.2f} to {ends['high']:.2f})"


def describe_run(summary: Mapping[str, Any]) -> str:
    """What was evaluated: detector, preset, data, folds, as far as known."""
    folds, dataset = summary["folds"], summary["dataset"]
    detector = f"{summary['detector']} ({summary['preset']})" if summary["detector"] else "scores"
    on = f" on {dataset['name']}" if dataset else ""
    return f"{detector}{on}, {folds['finished']} of {folds['planned']} folds"


def _cell(estimate: dict[str, Any] | None) -> str:
    if estimate is None or estimate["mean"] is None:
        return ""
    interval = estimate["interval"] or {"low": None, "high": None}
    return _span(estimate["mean"], interval["low"], interval["high"])


def _span(value: float, low: float | None, high: float | None, style: str = ".3f") -> str:
    """A figure with its interval, where there is one."""
    return f"{value:{style}}" if low is None else f"{value:{style}} ({low:{style}} to {high:{style}})"


def _confidence(summary: dict[str, Any]) -> float:
    return next((e["interval"]["confidence"] for e in summary["estimates"] if e["interval"]), 0.95)


def print_forecasts(forecasts: Sequence[Mapping[str, Any]], console: Console) -> None:
    """Print what runs would take.

    Arguments:
        forecasts: the fields of `raylab2f.workflows.forecast.Forecast`, and `seconds`, of each run.
    """
    for row in forecasts:
        done = f", {row['finished']} of them finished" if row["finished"] else ""
        cores = "1 core" if row["cpus"] == 1 else f"{row['cpus']} cores"
        slots = cores + (f", {row['gpus']:g} GPUs" if row["gpus"] else "")
        lines = (
            ("pictures, turned copies included", f"{row['pictures']:,}"),
            ("folds", f"{row['folds']}{done}"),
            *((f"{what}, a fold", _partition(row["partitions"][name])) for name, what in _PARTITIONS.items()),
            ("folds at a time", f"{row['parallel']}, each with {slots}"),
            ("memory of a fold's pictures and features, per worker", _size(row["fold_bytes"])),
            ("storage: prepared pictures, at most", _size(row["shard_bytes"]) or "in the cache"),
            ("storage: features", _size(row["feature_bytes"]) or "in the cache"),
            ("time: read the table, start Ray", _time(row["begin_seconds"])),
            ("time: prepare pictures", _time(row["prepare_seconds"]) or "in the cache"),
            ("time: extract features", _time(row["extract_seconds"]) or "in the cache"),
            ("time: until the first fold trains", _time(row["start_seconds"])),
            ("time: a fold", _time(row["fold_seconds"])),
            ("time: summary and diagnoses", _time(row["finish_seconds"])),
            ("time: everything, if nobody else uses the cluster", _time(row["seconds"])),
        )
        print_table(("", ""), lines, console, title=f"{row['detector']} seed {row['seed']}: nothing was run")
        for sentence in row["assumed"]:
            console.print(f"assumed: {escape(sentence)}", highlight=False, soft_wrap=True)


def _partition(sizes: Mapping[str, int]) -> str:
    said = f"{sizes['pictures']:,} pictures of {sizes['objects']:,} parts"
    return f"{said}, {sizes['anomalous_objects']:,} of them defective" if sizes["anomalous_objects"] else said


def _size(count: int) -> str:
    """As people read it; empty for nothing."""
    for unit, size in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} bytes" if count else ""


def _time(seconds: float) -> str:
    """As people read it, to two figures or so; empty for none."""
    if not seconds:
        return ""
    if seconds < 90:
        return f"{seconds:.0f} s" if seconds >= 1 else "less than 1 s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"
