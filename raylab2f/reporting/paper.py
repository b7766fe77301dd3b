"""What a report shows of a run, for a paper: figures as SVG and PDF, tables as CSV and LaTeX."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from raylab2f.files.atomic import atomic_path

__all__ = ["write_paper_files"]

Rows = Sequence[Mapping[str, Any]]

_GOOD, _BAD, _LINE = "#2b6cb0", "#c2410c", "#1f5fa8"
# A column of most journals, in inches.
_SIZE = (3.4, 2.4)
# Of a name beside a figure.
_MOST_LETTERS = 24
_FORMATS = ("svg", "pdf")
_PART_COLUMNS = ("kind", "part", "rate", "mean", "low", "high", "objects")
_BIN_COLUMNS = ("from", "to", "probability", "share", "low", "high", "parts")
_FOLD_COLUMNS = ("fold", "escape_rate", "overkill_rate", "auroc", "threshold", "epochs", "loss", "seconds")
_SPECIAL = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
_SPECIAL |= {character: f"\\{character}" for character in "&%$#_{}"}


def write_paper_files(run: Mapping[str, Any], folder: Path) -> list[str]:
    """Write the files into a folder.

    Arguments:
        run: of the content of a report, see docs/report.md.

    Returns:
        Their names.
    """
    names = []
    for name, draw in _drawings(run):
        figure = Figure(figsize=_SIZE, layout="constrained")
        FigureCanvasAgg(figure)
        draw(figure.subplots())
        for kind in _FORMATS:
            names.append(f"{name}.{kind}")
            # Letters stay letters, and the same run gives the same file.
            metadata = {"Date": None} if kind == "svg" else {"CreationDate": None}
            with atomic_path(folder / names[-1]) as temporary:
                figure.savefig(temporary, format=kind, metadata=metadata)
    for name, headings, rows in _tables(run):
        for kind, text in (("csv", _csv(headings, rows)), ("tex", _latex(headings, rows))):
            names.append(f"{name}.{kind}")
            with atomic_path(folder / names[-1]) as temporary:
                temporary.write_text(text, encoding="utf-8", errors="backslashreplace")
    return names


def _drawings(run: Mapping[str, Any]) -> Iterator[tuple[str, Callable[[Any], None]]]:
    yield "scores", lambda axes: _scores(axes, run["thresholds"])
    curves = {kind: [row for row in run["curves"] if row["curve"] == kind] for kind in ("roc", "precision-recall")}
    if curves["roc"]:
        yield "roc", lambda axes: _curve(axes, curves["roc"], "false-alarm rate", "recall")
        yield "precision-recall", lambda axes: _curve(axes, curves["precision-recall"], "recall", "precision")
    recalls = [row for row in run["parts"] if row["rate"] == "recall"]
    if recalls:
        yield "recall", lambda axes: _recall(axes, recalls)
    if run["reliability"]:
        yield "reliability", lambda axes: _reliability(axes, run["reliability"])
    if run["losses"]:
        yield "losses", lambda axes: _losses(axes, run["losses"])


def _scores(axes: Any, thresholds: Mapping[str, Any]) -> None:
    bins = thresholds["histogram"]
    edges = [*(row["low"] for row in bins), bins[-1]["high"]]
    for name, colour in (("good", _GOOD), ("defective", _BAD)):
        axes.stairs([row[name] for row in bins], edges, color=colour, fill=True, alpha=0.35)
        axes.stairs([row[name] for row in bins], edges, color=colour, label=name)
    for threshold in thresholds["by_fold"]:
        if threshold is not None:
            axes.axvline(threshold, color="black", linewidth=0.4, alpha=0.6)
    axes.set(xlabel="score", ylabel="share of the class", xlim=(edges[0], edges[-1]))
    axes.legend(frameon=False)


def _curve(axes: Any, rows: Rows, x: str, y: str) -> None:
    known = [row for row in rows if row["y"] is not None]
    banded = [row for row in known if row["low"] is not None]
    axes.fill_between(*([row[name] for row in banded] for name in ("x", "low", "high")), color=_LINE, alpha=0.2, lw=0)
    axes.plot([row["x"] for row in known], [row["y"] for row in known], color=_LINE)
    axes.set(xlabel=x, ylabel=y, xlim=(0, 1), ylim=(0, 1.01))


def _recall(axes: Any, rows: Rows) -> None:
    for place, row in enumerate(reversed(rows)):
        if row["low"] is not None:
            axes.plot([row["low"], row["high"]], [place, place], color=_BAD, alpha=0.6)
        axes.plot(row["mean"], place, "o", color=_BAD)
    axes.set(xlabel="recall", xlim=(0, 1.02))
    axes.set_yticks(range(len(rows)), [_short(row["part"]) for row in reversed(rows)], parse_math=False)


def _short(name: str) -> str:
    # A name of a sentence's length would leave no room for the axes; tables have it whole.
    return name if len(name) <= _MOST_LETTERS else f"{name[: _MOST_LETTERS - 1]}…"


def _reliability(axes: Any, rows: Rows) -> None:
    axes.plot([0, 1], [0, 1], color="black", linewidth=0.5)
    for row in rows:
        axes.plot([row["probability"]] * 2, [row["low"], row["high"]], color=_LINE, alpha=0.4)
    axes.plot([row["probability"] for row in rows], [row["share"] for row in rows], "o", color=_LINE, markersize=3)
    axes.set(xlabel="probability of being defective", ylabel="share defective", xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))


def _losses(axes: Any, rows: Rows) -> None:
    for fold in dict.fromkeys(row["fold"] for row in rows):
        own = [row for row in rows if row["fold"] == fold]
        axes.plot([row["epoch"] for row in own], [row["loss"] for row in own], color=_LINE, alpha=0.6, linewidth=0.8)
    if all(row["loss"] > 0 for row in rows):
        axes.set_yscale("log")
    axes.set(xlabel="epoch", ylabel="loss")


def _tables(run: Mapping[str, Any]) -> Iterator[tuple[str, Sequence[str], list[list[Any]]]]:
    groups = [(run["strategy"], run["figures"]), *((o["strategy"], o["rows"]) for o in run["other_strategies"])]
    figures = [(strategy, row) for strategy, rows in groups for row in rows]
    yield (
        "figures",
        ("threshold", "level", "metric", "mean", "low", "high"),
        [[strategy, run["level"], *(row[n] for n in ("metric", "mean", "low", "high"))] for strategy, row in figures],
    )
    if run["parts"]:
        yield "defects", _PART_COLUMNS, [[row[name] for name in _PART_COLUMNS] for row in run["parts"]]
    if run["reliability"]:
        yield "reliability", _BIN_COLUMNS, [[row[name] for name in _BIN_COLUMNS] for row in run["reliability"]]
    yield "folds", _FOLD_COLUMNS, [[row[name] for name in _FOLD_COLUMNS] for row in run["fold_rows"]]


def _csv(headings: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerows([headings, *([_inert(cell) for cell in row] for row in rows)])
    return file.getvalue()


def _inert(cell: Any) -> Any:
    # A spreadsheet would run what begins like a formula, as names of defects may.
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(("=", "+", "-", "@", "\t", "\r")) else cell


def _latex(headings: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A table of the package booktabs."""
    columns = [[row[place] for row in rows] for place in range(len(headings))]
    numbers = [all(cell is None or isinstance(cell, (int, float)) for cell in column) for column in columns]
    lines = [f"\\begin{{tabular}}{{{''.join('r' if number else 'l' for number in numbers)}}}", "\\toprule"]
    lines += [" & ".join(map(_escaped, headings)) + " \\\\", "\\midrule"]
    lines += [" & ".join(map(_escaped, row)) + " \\\\" for row in rows]
    return "\n".join([*lines, "\\bottomrule", "\\end{tabular}", ""])


def _escaped(value: Any) -> str:
    if value is None:
        return ""
    text = f"{value:.3f}" if isinstance(value, float) else " ".join(str(value).split())
    return "".join(_SPECIAL.get(character, character) for character in text)
