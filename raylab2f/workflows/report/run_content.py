"""What a page says of one run, gathered from its folder; the shape is documented in docs/report.md."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from raylab2f.diagnostics import MENDS
from raylab2f.errors import UserError
from raylab2f.evaluation.acceptance.limits import LimitSet
from raylab2f.evaluation.outcomes.curve_bands import curve_bands
from raylab2f.evaluation.outcomes.parts import BREAKDOWNS
from raylab2f.evaluation.outcomes.score_histogram import level_scores, score_histogram
from raylab2f.evaluation.outcomes.wrong_parts import judged_parts
from raylab2f.evaluation.scores import prepare_scores
from raylab2f.files.parquet import read_parquet
from raylab2f.files.strangers import read_json
from raylab2f.pitfalls import PITFALLS
from raylab2f.reporting import Display
from raylab2f.reporting.page.images import figure_uri
from raylab2f.runs.folder import RunFolder
from raylab2f.workflows.evidence import FinishedFolds, finished_folds, run_thresholds
from raylab2f.workflows.report.detection import detection_content
from raylab2f.workflows.report.operating import middle_pair, operating_points, point_replicates, review_points
from raylab2f.workflows.report.parts import part_cards
from raylab2f.workflows.report.verdict import acceptance_of_run

__all__ = ["run_content"]

_KEY_METRICS = (
    "escape_rate",
    "overkill_rate",
    "review_rate",
    "auroc",
    "average_precision",
    "balanced_accuracy",
    "precision",
    "f1",
)
_FOLD_METRICS = ("escape_rate", "overkill_rate", "auroc")
_THRESHOLDS = ("threshold", "low_threshold")
_FIGURES = {
    "background": "maps.png",
    "silhouette": "silhouette.png",
    "variance": "variance.png",
    "invariance": "dose_response.png",
    "threshold": "threshold.png",
}
_MOST_EPOCHS = 120


def run_content(
    place: str,
    *,
    cache: str | None,
    display: Display,
    picture_bytes: int = 0,
    limits: Callable[[LimitSet], LimitSet] = lambda recorded: recorded,
    name: str | None = None,
) -> dict[str, Any]:
    """Everything a page shows of a run.

    Arguments:
        place: the run's folder or its URI.
        cache: where its prepared pictures are; what is missing there is made again. `None`: no pictures are wanted.
        picture_bytes: pictures of parts take at most so much.
        limits: what is judged, of those that the run was begun with.
        name: of the run, among others.

    Raises:
        UserError: there is no run, or none of its folds is finished.
    """
    found = finished_folds(place)
    summary = read_json(found.folder.summary)
    rules = summary["settings"]
    scores = pa.concat_tables(read_parquet(found.folder.fold(k) / "scores.parquet") for k in found.numbers)
    checked = prepare_scores(scores)
    level = "object" if any(row["level"] == "object" for row in summary["estimates"]) else "image"
    strategy = rules["strategies"][0]
    thresholds = [run_thresholds(found.folder, strategy, level, name) for name in _THRESHOLDS]
    metrics = read_parquet(found.folder.metrics).to_pylist()
    records = [read_json(found.folder.fold(k) / "fold.json") for k in found.numbers]
    with display.stage("report: thresholds and curves"):
        judged = level_scores(checked, level, rules["object_score"])
        curves = curve_bands(scores, levels=(level,), object_score=rules["object_score"], seed=summary["seed"])
        operating = operating_points(scores, summary, level, judged[0], judged[1])
        pairs = review_points(scores, summary, level, operating)
    with display.stage("report: sizes"):
        pod = detection_content(found.folder.place, scores, summary, level)
    acceptance, limits_error = None, None
    with display.stage("report: limits"):
        try:
            acceptance = acceptance_of_run(found.settings, scores, summary, limits)
        except UserError as error:
            limits_error = str(error)
    with display.stage("report: parts"):
        high, low = (run_thresholds(found.folder, strategy, "object", name) for name in _THRESHOLDS)
        listed = judged_parts(checked, high, rules["object_score"], low)
        cards = part_cards(found, scores, listed, cache=cache, display=display, picture_bytes=picture_bytes)
    return {
        "name": name or found.folder.name,
        "detector": summary["detector"],
        "preset": summary["preset"],
        "dataset": summary["dataset"],
        "objects": summary["objects"],
        "folds": summary["folds"] | {"failed": _failed(found)},
        "level": level,
        "strategy": strategy,
        "rules": rules,
        "seed": summary["seed"],
        "acceptance": acceptance,
        "limits_error": limits_error,
        "figures": _figures(summary, level, strategy),
        "other_strategies": [
            {"strategy": other, "rows": _figures(summary, level, other)} for other in rules["strategies"][1:]
        ],
        "weaknesses": _weaknesses(found.folder, summary),
        "thresholds": {
            "by_fold": sorted({chosen[k] for chosen in thresholds for k in found.numbers if k in chosen}),
            "histogram": score_histogram(judged[0], judged[1]).to_pylist(),
            "points": operating,
            "pairs": pairs,
            "begin": middle_pair(*reversed(thresholds)),
            "replicates": point_replicates(summary),
            "optimism": _optimism(summary, level, strategy),
            "scale": _scale_gap(*judged, summary, level),
        },
        "curves": curves.to_pylist(),
        "pod": pod,
        "parts": _parts(summary, level, strategy),
        "reliability": summary.get("reliability", {}).get("levels", {}).get(level, {}).get("bins", []),
        "pixels": _rows(summary, "any", "pixel"),
        "cards": cards,
        "fold_rows": [_fold_row(record, metrics, level, strategy) for record in records],
        # Of several runs on one page; see `report_content`.
        "learning_curve": None,
        "losses": [row for record in records for row in _losses(record)],
        "baseline": list(summary.get("baseline", ())),
        "shortcuts": [row for row in summary["shortcuts"] if row["level"] == level],
        "record": read_json(found.folder.path / "run.json"),
    }


def _failed(found: FinishedFolds) -> list[dict[str, Any]]:
    """Folds without a result, and why."""
    failed = []
    for number in range(found.settings.folds):
        if number in found.numbers:
            continue
        path = found.folder.fold(number) / "error.json"
        reason = "it was not trained"
        if path.is_file():
            reason = str(read_json(path).get("message", "no reason is recorded"))
        failed.append({"fold": number, "reason": reason})
    return failed


def _rows(summary: Mapping[str, Any], strategy: str, level: str) -> list[dict[str, Any]]:
    """Estimates of one strategy, or of those that need none, as flat rows."""
    return [
        {
            "metric": row["metric"],
            "mean": row["mean"],
            "low": None if row["interval"] is None else row["interval"]["low"],
            "high": None if row["interval"] is None else row["interval"]["high"],
        }
        for row in summary["estimates"]
        if row["level"] == level and row["strategy"] in (strategy, "any") and row["mean"] is not None
    ]


def _figures(summary: Mapping[str, Any], level: str, strategy: str) -> list[dict[str, Any]]:
    found = {row["metric"]: row for row in _rows(summary, strategy, level)}
    wanted = [*_KEY_METRICS, "expected_cost", "cost_at_prevalence"]
    return [found[metric] for metric in wanted if metric in found]


def _parts(summary: Mapping[str, Any], level: str, strategy: str) -> list[dict[str, Any]]:
    """Rates of defect types, conditions and views, the worst first."""
    rows = []
    for row in _rows(summary, strategy, level):
        rate, _, part = row["metric"].partition("[")
        if part:
            kind, _, value = part[:-1].partition("=")
            if kind not in BREAKDOWNS:
                # Of a defect type, in whose name there may be anything.
                kind, value = "defect type", part[:-1]
            rows.append(
                row | {"rate": rate, "kind": kind, "part": value} | {"objects": summary["objects"].get(row["metric"])}
            )
    return sorted(rows, key=lambda row: (row["kind"], row["rate"] != "recall", row["mean"]))


def _weaknesses(folder: RunFolder, summary: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Failed diagnoses, then those that warn, then cautions; each with what is known of figure, picture and mend."""
    findings: list[dict[str, Any]] = []
    record = folder.path / "diagnosis.json"
    if record.is_file():
        findings = [f for f in read_json(record)["findings"] if f["verdict"] in ("fail", "warn") and not f["muted"]]
    rows = []
    for finding in sorted(findings, key=lambda f: f["verdict"] != "fail"):
        name = finding["name"].partition("[")[0]
        picture = folder.path / "figures" / _FIGURES.get(name, "")
        figure = finding["figure"]
        rows.append(
            {
                "code": finding["code"],
                "title": PITFALLS.get(finding["code"], finding["name"]),
                "severity": finding["verdict"],
                "text": finding["why"],
                "about": finding["name"],
                "figure": None if figure is None else {"value": figure["value"], **figure["interval"]},
                "bound": finding["bound"],
                "mend": MENDS.get(name),
                "picture": figure_uri(picture) if name in _FIGURES and picture.is_file() else None,
            }
        )
    cautions = [
        {
            "code": caution["code"],
            "title": PITFALLS.get(caution["code"], caution["code"]),
            "severity": "caution",
            "text": caution["text"],
            **dict.fromkeys(("about", "figure", "bound", "mend", "picture")),
        }
        for caution in summary["warnings"]
    ]
    return rows + cautions


def _optimism(summary: Mapping[str, Any], level: str, strategy: str) -> dict[str, Any] | None:
    """What a threshold chosen on the judged parts would have claimed, as a balanced accuracy."""
    for row in summary["shortcuts"]:
        wanted = ("threshold-on-inference", strategy, level, "balanced_accuracy")
        if (row["shortcut"], row["strategy"], row["level"], row["metric"]) == wanted:
            return dict(row)
    return None


def _scale_gap(
    score: np.ndarray, label: np.ndarray, fold: np.ndarray, summary: Mapping[str, Any], level: str
) -> dict[str, float] | None:
    """AUROC of all folds' scores thrown together beside the folds' mean: how well one threshold can serve all folds."""
    from sklearn.metrics import roc_auc_score

    mean = next((r["mean"] for r in summary["estimates"] if r["level"] == level and r["metric"] == "auroc"), None)
    if mean is None or label.all() or not label.any() or len(np.unique(fold)) < 2:
        return None
    return {"pooled": float(roc_auc_score(label, score)), "mean": mean}


def _fold_row(
    record: Mapping[str, Any], metrics: Sequence[Mapping[str, Any]], level: str, strategy: str
) -> dict[str, Any]:
    own = {
        row["metric"]: row
        for row in metrics
        if row["fold"] == record["fold"] and row["level"] == level and row["strategy"] in (strategy, "any")
    }
    row: dict[str, Any] = {metric: own.get(metric, {}).get("value") for metric in _FOLD_METRICS}
    row["threshold"] = own.get("escape_rate", {}).get("threshold")
    history = record.get("history") or [{}]
    row |= {"fold": record["fold"], "epochs": record.get("epochs"), "seconds": record.get("seconds")}
    return row | {"loss": history[-1].get("loss"), "device": record.get("device"), "precision": record.get("precision")}


def _losses(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    history = record.get("history") or []
    step = -(-len(history) // _MOST_EPOCHS) or 1
    return [
        {"fold": record["fold"], "epoch": number + 1, "loss": entry["loss"]}
        for number, entry in enumerate(history)
        if (number % step == 0 or number == len(history) - 1) and np.isfinite(entry["loss"])
    ]
