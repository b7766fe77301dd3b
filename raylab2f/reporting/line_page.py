"""A page on a line that is watched, and gauges for Prometheus."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from raylab2f.reporting.page.html import render_page

__all__ = ["gauges", "render_line"]

Row = Mapping[str, Any]

_WIDTH, _HEIGHT = 640, 150
_LEFT, _BOTTOM, _TOP = 44, 22, 20


def render_line(found: Mapping[str, Any], table: Sequence[Row]) -> str:
    """One file of HTML that loads nothing: alarms first, a sentence and a plot of the evidence for each signal.

    Arguments:
        found: `Monitoring.to_dict`, and `model`, its name.
        table: rows of `MONITORING_SCHEMA`.
    """
    by_signal: dict[tuple[str, str | None], list[Row]] = defaultdict(list)
    for row in table:
        by_signal[row["signal"], row["condition"]].append(row)
    signals = [
        {**signal, "plot": _plot(by_signal[signal["signal"], signal["condition"]], signal), "title": _title(signal)}
        for signal in found["signals"]
    ]
    signals.sort(key=lambda one: (one["alarm"] is None, one["warning"] is None))
    return render_page("line.html", found={**found, "signals": signals})


def gauges(found: Mapping[str, Any]) -> str:
    """The text format of Prometheus, such as the node exporter's textfile collector reads."""
    lines = []
    for name, what in (
        ("alarm", "1 once a signal has raised its alarm."),
        ("warning", "1 once a signal has given a warning."),
        ("log10_evidence", "Evidence that the line has changed; see log10_alarm."),
        ("log10_alarm", "Evidence at which the alarm is raised."),
        ("units", "Parts, or days, that were looked at."),
    ):
        metric = f"raylab2f_line_{name}"
        lines += [f"# HELP {metric} {what}", f"# TYPE {metric} gauge"]
        for signal in found["signals"]:
            value = signal[name]
            number = float(value is not None) if name in ("alarm", "warning") else float(value)
            labels = {"model": found["model"], "signal": signal["signal"], "condition": signal["condition"] or ""}
            text = ",".join(f'{key}="{_escaped(label)}"' for key, label in labels.items())
            shown = "+Inf" if number == float("inf") else "-Inf" if number == float("-inf") else f"{number:g}"
            lines.append(f"{metric}{{{text}}} {shown}")
    return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def _title(signal: Row) -> str:
    names = {
        "score": "Scores",
        "familiarity": "Strangeness",
        "accept": "Share accepted",
        "review": "Share for review",
        "reject": "Share rejected",
    }
    name = str(names.get(signal["signal"], signal["signal"]))
    return name if signal["condition"] is None else f"{name}, condition {signal['condition']}"


def _plot(rows: Sequence[Row], signal: Row) -> dict[str, Any] | None:
    """Points of a line of the evidence by day; `None` where there are fewer than two days."""
    known = [row for row in rows if row["day"] is not None]
    if len(known) < 2:
        return None
    bound = float(signal["log10_alarm"])
    values = [min(max(float(row["log10_evidence"]), -2.0), 2 * bound + 2) for row in known]
    low, high = min(-0.5, *values), max(bound * 1.15, *values)
    across = (_WIDTH - _LEFT - 8) / (len(values) - 1)

    def height(value: float) -> float:
        return round(_TOP + (high - value) / (high - low) * (_HEIGHT - _TOP - _BOTTOM), 1)

    points = [(round(_LEFT + number * across, 1), height(value)) for number, value in enumerate(values)]
    return {
        "width": _WIDTH,
        "height": _HEIGHT,
        "left": _LEFT,
        "points": " ".join(f"{x},{y}" for x, y in points),
        "bound": height(bound),
        "zero": height(0.0),
        "bound_text": f"{bound:.1f}",
        "first": known[0]["day"],
        "last": known[-1]["day"],
        "rows": known,
    }
