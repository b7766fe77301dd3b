"""Figures from plain arrays, as matplotlib `Figure`s; nothing is shown, `save` writes a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from raylab2f.files.atomic import atomic_path

__all__ = [
    "Panel",
    "dose_response_figure",
    "map_figure",
    "outcome_figure",
    "roc_figure",
    "save",
    "silhouette_figure",
    "variance_figure",
]

_GOOD, _BAD = "#3b6fb6", "#c0392b"
_DPI = 130


@dataclass(frozen=True)
class Panel:
    """One picture beside its map.

    Arguments:
        picture: (H, W, 3) uint8.
        defect: (H, W) bool, the ground truth; empty where there is none.
        map: (h, w) anomaly map.
        title: above it.
    """

    picture: NDArray[np.uint8]
    defect: NDArray[np.bool_]
    map: NDArray[np.floating]
    title: str


def save(figure: Figure, path: Path) -> None:
    """Write a PNG file."""
    FigureCanvasAgg(figure)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=_DPI, format="png")


def roc_figure(folds: Sequence[tuple[NDArray[Any], NDArray[Any], float | None]], title: str) -> Figure:
    """ROC curves of the folds, their mean, and a histogram of the scores.

    Arguments:
        folds: scores (n,), labels (n,) and threshold of each fold's inference partition.
    """
    figure = Figure(figsize=(9, 4), layout="constrained")
    roc, histogram = figure.subplots(1, 2)
    grid = np.linspace(0, 1, 201)
    curves, areas = [], []
    for scores, labels, threshold in folds:
        fpr, tpr = _roc(scores, labels)
        curves.append(np.interp(grid, fpr, tpr))
        areas.append(float(((tpr[1:] + tpr[:-1]) / 2 * np.diff(fpr)).sum()))
        roc.plot(fpr, tpr, color=_GOOD, alpha=0.25, linewidth=1)
        if threshold is not None:
            flagged = scores >= threshold
            roc.plot(flagged[labels == 0].mean(), flagged[labels == 1].mean(), "o", color=_BAD, markersize=3)
    roc.plot(grid, np.mean(curves, axis=0), color=_GOOD, linewidth=2, label=f"mean AUROC {np.mean(areas):.3f}")
    roc.plot([0, 1], [0, 1], color="grey", linewidth=0.8, linestyle="--")
    roc.set(xlabel="false-alarm rate", ylabel="recall", title=title, aspect="equal")
    roc.legend(loc="lower right", frameon=False)
    # Every fold's detector has its own scale: scores are shown in standard deviations of its good ones.
    scaled: dict[int, list[NDArray[Any]]] = {0: [], 1: []}
    limits = []
    for scores, labels, threshold in folds:
        good = scores[labels == 0]
        centre, scale = float(good.mean()), float(good.std()) or 1.0
        for label, values in scaled.items():
            values.append((scores[labels == label] - centre) / scale)
        if threshold is not None:
            limits.append((threshold - centre) / scale)
    joined = {label: np.concatenate(values) for label, values in scaled.items()}
    low, high = np.quantile(np.concatenate(list(joined.values())), [0.005, 0.98])
    bins = np.linspace(low, high, 41).tolist()
    for label, colour, name in ((0, _GOOD, "good"), (1, _BAD, "defective")):
        histogram.hist(joined[label].clip(low, high), bins, color=colour, alpha=0.55, label=name, density=True)
    for number, limit in enumerate(limits):
        histogram.axvline(limit, color="black", linewidth=0.7, alpha=0.6, label=None if number else "thresholds")
    histogram.set(xlabel="score, standard deviations of good ones", ylabel="density", title="scores")
    histogram.legend(frameon=False)
    return figure


def map_figure(panels: Sequence[Panel], title: str) -> Figure:
    """Pictures with ground truth above, the same with their anomaly maps below."""
    figure = Figure(figsize=(1.8 * max(len(panels), 2), 4.4), layout="constrained")
    figure.suptitle(title)
    axes = figure.subplots(2, len(panels), squeeze=False)
    low = min(float(panel.map.min()) for panel in panels)
    high = max(float(panel.map.max()) for panel in panels)
    for column, panel in enumerate(panels):
        height, width = panel.picture.shape[:2]
        for row in (0, 1):
            axis = axes[row, column]
            axis.imshow(panel.picture)
            axis.set_axis_off()
            if panel.defect.any():
                axis.contour(panel.defect.astype(float), [0.5], colors=["#39ff14"], linewidths=0.9)
        axes[0, column].set_title(panel.title, fontsize=7)
        extent = (-0.5, width - 0.5, height - 0.5, -0.5)
        axes[1, column].imshow(
            panel.map, extent=extent, cmap="inferno", alpha=0.6, interpolation="bilinear", vmin=low, vmax=high
        )
    return figure


def silhouette_figure(averages: Mapping[str, NDArray[np.floating]]) -> Figure:
    """Mean and spread of maps and foregrounds over good pictures: `map_mean`, `foreground_mean`, ..., each (h, w)."""
    figure = Figure(figsize=(9, 2.6), layout="constrained")
    for axis, (name, values) in zip(figure.subplots(1, len(averages)), averages.items(), strict=True):
        image = axis.imshow(values, cmap="inferno")
        figure.colorbar(image, ax=axis, shrink=0.7)
        axis.set_title(name.replace("_", ", "))
        axis.set_axis_off()
    return figure


def variance_figure(
    found: Mapping[str, tuple[NDArray[np.floating], NDArray[np.floating], NDArray[np.floating]]],
    numbers: Mapping[str, float],
) -> Figure:
    """Where the strongest activations lie and how strong they are, a row a preparation (the paper's Figure 5).

    Arguments:
        found: by preparation, (h, w) each: share of the maxima at a position; mean and standard deviation over
            pictures of the strongest activation there.
        numbers: by preparation, the variance of places.
    """
    figure = Figure(figsize=(8, 2.3 * len(found)), layout="constrained")
    axes = figure.subplots(len(found), 3, squeeze=False)
    heads = ("share of maxima", "mean strongest activation", "standard deviation")
    for row, (name, panels) in zip(axes, found.items(), strict=True):
        for axis, head, values in zip(row, heads, panels, strict=True):
            image = axis.imshow(values, cmap="viridis")
            figure.colorbar(image, ax=axis, shrink=0.8)
            axis.set(xticks=[], yticks=[])
            axis.set_title(head, fontsize=8)
        row[0].set_ylabel(f"{name}\nvariance {numbers[name]:.2f}", fontsize=8)
    return figure


def dose_response_figure(rows: Sequence[Mapping[str, Any]]) -> Figure:
    """False alarms against dose, a panel an alteration; rows of `diagnostics.invariance.dose_responses`."""
    names = list(dict.fromkeys(row["alteration"] for row in sorted(rows, key=lambda row: row["alteration"])))
    columns = min(4, len(names))
    lines = -(-len(names) // columns)
    figure = Figure(figsize=(3 * columns, 2.5 * lines), layout="constrained")
    axes = figure.subplots(lines, columns, squeeze=False).ravel()
    for axis, name in zip(axes, names, strict=False):
        part = sorted((row for row in rows if row["alteration"] == name), key=lambda row: row["dose"])
        place = np.arange(len(part))
        plain = part[0]["false_alarms"] - part[0]["increase"]
        value = np.array([row["false_alarms"] for row in part])
        low = np.clip([plain + row["low"] for row in part], 0, 1)
        high = np.clip([plain + row["high"] for row in part], 0, 1)
        axis.fill_between(place, low, high, color=_BAD, alpha=0.15, linewidth=0)
        axis.plot(place, value, "o-", color=_BAD, markersize=3)
        axis.axhline(plain, color=_GOOD, linewidth=1, linestyle="--")
        axis.set_xticks(place, [f"{row['dose']:g}" for row in part], fontsize=7)
        axis.set(ylim=(-0.02, 1.02))
        axis.set_title(name, fontsize=9)
        axis.set_xlabel(part[0]["unit"], fontsize=7)
    for axis in axes[len(names) :]:
        axis.set_axis_off()
    axes[0].set_ylabel("false-alarm rate")
    return figure


def outcome_figure(
    position: NDArray[np.floating], recall: NDArray[np.floating], specificity: NDArray[np.floating]
) -> Figure:
    """Recall and specificity (folds, points) as functions of the threshold's position (points,)."""
    figure = Figure(figsize=(5.5, 3.6), layout="constrained")
    axis = figure.subplots()
    for curves, colour, name in ((recall, _BAD, "recall"), (specificity, _GOOD, "specificity")):
        for curve in curves:
            axis.plot(position, curve, color=colour, alpha=0.25, linewidth=0.8)
        axis.plot(position, np.nanmean(curves, axis=0), color=colour, linewidth=2, label=name)
    axis.set(xlabel="threshold, standard deviations of good scores", ylabel="rate")
    axis.legend(frameon=False)
    return figure


def _roc(scores: NDArray[Any], labels: NDArray[Any]) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    last = np.append(ranked[1:] != ranked[:-1], True)
    tp, fp = np.cumsum(labels[order] == 1)[last], np.cumsum(labels[order] == 0)[last]
    return np.append(0, fp / max(fp[-1], 1)), np.append(0, tp / max(tp[-1], 1))
