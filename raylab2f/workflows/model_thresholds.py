"""The detectors that make up a model, its threshold, and what is expected of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from raylab2f.errors import UserError
from raylab2f.evaluation import evaluate
from raylab2f.evaluation.decisions.carried import FoldScores, anchored_scale, carry_threshold
from raylab2f.evaluation.decisions.object_scores import aggregate_scores, parse_object_score
from raylab2f.evaluation.decisions.strategies import parse_strategy
from raylab2f.evaluation.decisions.thresholds import choose_threshold
from raylab2f.evaluation.decisions.two_thresholds import choose_pair
from raylab2f.evaluation.outcomes.judging import ANY_STRATEGY
from raylab2f.files.parquet import read_parquet
from raylab2f.files.strangers import read_json
from raylab2f.models.record import Decision
from raylab2f.runs.folder import RunFolder, RunSettings
from raylab2f.workflows.evidence import RunEvidence, run_thresholds

__all__ = ["Member", "decide", "expected_outcomes", "members_of", "require_carried", "strategy_of", "units_of"]


@dataclass(frozen=True)
class Member:
    """A trained detector.

    Arguments:
        fold: its number; `None`: that of a refit.
        folder: with its `model.safetensors` and `scores.parquet`.
        config, feature_shapes, positions: as its `model.json` says.
        centre, scale: of its scores, for the mean of several.
    """

    fold: int | None
    folder: Path
    config: dict[str, Any]
    feature_shapes: tuple[tuple[int, int, int], ...]
    positions: tuple[int, ...] = ()
    centre: float = 0.0
    scale: float = 1.0


def members_of(run: RunEvidence, way: str, fold: int | None, refitted: Path | None) -> list[Member]:
    """The detectors of a model; those of an ensemble with median and deviation of their scores of good pictures."""
    if refitted is not None:
        return [_member(None, refitted)]
    if way == "from-fold":
        assert fold is not None
        return [_member(fold, run.folder.fold(fold))]
    members = []
    for number in sorted(run.splits):
        scores = run.scores.filter(pc.equal(run.scores["fold"], number))
        good = np.asarray(scores.filter(pc.equal(scores["label"], 0))["score"], np.float64)
        centre = float(np.median(good))
        low, high = np.quantile(good, (0.25, 0.75))
        # Of a normal distribution the interquartile range is 1.349 deviations.
        scale = float(high - low) / 1.349
        members.append(_member(number, run.folder.fold(number), centre, scale if scale > 0 else 1.0))
    return members


def _member(fold: int | None, folder: Path, centre: float = 0.0, scale: float = 1.0) -> Member:
    described = read_json(folder / "model.json")
    shapes = tuple((int(c), int(h), int(w)) for c, h, w in described["feature_shapes"])
    positions = tuple(int(position) for position in described.get("positions", ()))
    return Member(fold, folder, described["config"], shapes, positions, centre, scale)


def strategy_of(folder: RunFolder, settings: RunSettings, strategy: str | None) -> str:
    """The strategy of a model's threshold: this one, else the run's first.

    Raises:
        UserError: the run was not evaluated by it.
    """
    known = [str(name) for name in settings.evaluation.get("strategies", ["youden"])]
    text = strategy or known[0]
    if text not in known:
        raise UserError(f"--threshold {text}: the run was not evaluated by it; choose one of {', '.join(known)}.")
    return text


def require_carried(run: RunEvidence, text: str, carry: str) -> None:
    """`UserError` where the folds' thresholds cannot be carried over to a model that is still to be trained."""
    level = _level(run, text)
    thresholds = run_thresholds(run.folder, text, level)
    if not thresholds:
        raise UserError(f"--threshold {text}: this strategy found no threshold; choose another.")
    if carry == "anchored":
        for number in thresholds:
            units, labels, scores = units_of(run.scores.filter(pc.equal(run.scores["fold"], number)), level, "max")
            # Whatever the model will say of them: there must be enough.
            anchored_scale(FoldScores(units, labels, scores, 0.0), dict(zip(units.tolist(), scores, strict=True)))


def _level(run: RunEvidence, text: str) -> Literal["object", "image"]:
    return "object" if run_thresholds(run.folder, text, "object") else "image"


def decide(
    run: RunEvidence, members: Sequence[Member], way: str, *, fold: int | None, strategy: str | None, carry: str
) -> Decision:
    """The threshold, or both, of a model.

    Raises:
        UserError: the run has no such strategy, or no threshold was found by it.
    """
    text = strategy_of(run.folder, run.settings, strategy)
    rule = str(run.settings.evaluation.get("object_score", "max"))
    level = _level(run, text)
    columns = ["threshold", "low_threshold"] if parse_strategy(text).reviews else ["threshold"]
    if way == "ensemble":
        found = _chosen_on_means(run, members, text, level, rule)
        carried = "chosen on each part's mean score over the folds that did not train on it"
    else:
        by_fold = [run_thresholds(run.folder, text, level, column) for column in columns]
        if way == "from-fold":
            assert fold is not None
            found, carried = [thresholds.get(fold) for thresholds in by_fold], None
        else:
            found = [_carried(run, members[0], thresholds, level, rule, carry) for thresholds in by_fold]
            carried = f"{carry}, from {len(by_fold[0])} folds"
    if any(value is None for value in found):
        raise UserError(f"--threshold {text}: this strategy found no threshold; choose another, or --from-fold.")
    high, *low = (float(value) for value in found if value is not None)
    return Decision(level, rule, text, high, min(low[0], high) if low else None, carried)


def _carried(
    run: RunEvidence, member: Member, thresholds: dict[int, float], level: str, rule: str, carry: str
) -> float | None:
    if not thresholds:
        return None
    folds = {}
    for number, threshold in thresholds.items():
        units, labels, scores = units_of(run.scores.filter(pc.equal(run.scores["fold"], number)), level, rule)
        folds[number] = FoldScores(units, labels, scores, threshold)
    own = read_parquet(member.folder / "scores.parquet")
    units, _, scores = units_of(own, level, rule)
    return carry_threshold(carry, folds, dict(zip(units.tolist(), scores.tolist(), strict=True)))


def _chosen_on_means(
    run: RunEvidence, members: Sequence[Member], text: str, level: str, rule: str
) -> list[float | None]:
    """Thresholds on pictures' mean calibrated scores over the folds that did not train on them."""
    tables = []
    for member in members:
        own = run.scores.filter(pc.equal(run.scores["fold"], member.fold))
        score = pc.divide(pc.subtract(own["score"], member.centre), member.scale)
        tables.append(own.select(["image_id", "object_id", "label"]).append_column("score", score))
    table = pa.concat_tables(tables).group_by(["image_id", "object_id", "label"]).aggregate([("score", "mean")])
    table = table.rename_columns(["image_id", "object_id", "label", "score"])
    _, labels, scores = units_of(table, level, rule)
    rules = {name: run.settings.evaluation.get(name) for name in ("prevalence", "cost_escape", "cost_overkill", "beta")}
    named = {"prevalence": "prevalence", "cost_escape": "escape", "cost_overkill": "overkill", "beta": "beta"}
    defaults = {named[name]: value for name, value in rules.items() if value is not None}
    if (review := run.settings.evaluation.get("cost_review")) is not None:
        defaults["review"] = review
    strategy = parse_strategy(text, defaults)
    if strategy.reviews:
        pair = choose_pair(strategy, scores, labels)
        return [pair.high, pair.low]
    weights = _shares(table, labels) if strategy.by_share and level == "image" else None
    return [choose_threshold(strategy, scores, labels, weights).threshold]


def _shares(table: pa.Table, labels: np.ndarray) -> np.ndarray:
    """(n,) 1 over the number of good pictures of the same part."""
    _, owner = np.unique(np.array(table["object_id"].to_pylist()), return_inverse=True)
    return 1 / np.maximum(np.bincount(owner, labels == 0), 1)[owner]


def units_of(table: pa.Table, level: str, rule: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Names, labels and scores of the parts of a score table, or of its pictures."""
    labels, scores = np.asarray(table["label"], np.int64), np.asarray(table["score"], np.float64)
    if level == "image":
        return np.array(table["image_id"].to_pylist()), labels, scores
    names, owner = np.unique(np.array(table["object_id"].to_pylist()), return_inverse=True)
    _, joint = aggregate_scores(scores, owner, parse_object_score(rule))
    defective = np.zeros(len(names), np.int64)
    np.maximum.at(defective, owner, labels)
    return names, defective, joint


def expected_outcomes(run: RunEvidence, decision: Decision, way: str, fold: int | None) -> dict[str, Any]:
    """What was measured, and of what: for a fold's model that fold, for others the run's folds, which judge the
    procedure that made the model.
    """
    acceptance = run.folder.path / "acceptance.json"
    verdict = read_json(acceptance) if acceptance.is_file() else None
    if way != "from-fold":
        rows = read_json(run.folder.summary)["estimates"]
        count = len(run.splits)
        of = f"{count} fold{'s' * (count != 1)}: models made in the same way from a part of the good parts"
    else:
        left_out = ("mute", "strategies", "probabilities")
        rules = {key: value for key, value in run.settings.evaluation.items() if key not in left_out}
        own = run.scores.filter(pc.equal(run.scores["fold"], fold)).drop_columns(["trained"])
        summary = evaluate(own, strategies=[decision.strategy], seed=run.settings.seed, **rules)
        rows = summary.to_dict()["estimates"]
        of = f"this very model, on the parts of fold {fold} that chose neither it nor its threshold"
    kept = [
        row for row in rows if row["level"] == decision.level and row["strategy"] in (decision.strategy, ANY_STRATEGY)
    ]
    return {
        "of": of,
        "prevalence": run.settings.evaluation.get("prevalence"),
        "estimates": [{key: value for key, value in row.items() if key != "intervals"} for row in kept],
        "acceptance": verdict,
    }
