"""How optimistic the usual shortcuts would have been on the same data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from raylab2f.errors import UserError
from raylab2f.evaluation.decisions.curves import rank_scores, sweep
from raylab2f.evaluation.decisions.object_scores import ObjectScore
from raylab2f.evaluation.decisions.strategies import Strategy
from raylab2f.evaluation.outcomes.judging import Estimate, build_problem, judge
from raylab2f.evaluation.outcomes.means import mean_outcomes
from raylab2f.evaluation.outcomes.metrics import RANKING_METRICS, Costs, lower_is_better, ranking_metrics
from raylab2f.evaluation.scores import Scores, prepare_scores

__all__ = ["Protocol", "Shortcut", "best_epoch_optimism", "picture_split_optimism", "same_partition_optimism"]

_REPORTED = (
    "accuracy",
    "balanced_accuracy",
    "precision",
    "recall",
    "specificity",
    "f1",
    "mcc",
    "escape_rate",
    "overkill_rate",
    "expected_cost",
    *RANKING_METRICS,
)


@dataclass(frozen=True)
class Shortcut:
    """One figure as a shortcut would have reported it.

    Arguments:
        shortcut: name of the shortcut.
        strategy, level, metric: the estimate.
        honest: mean over folds by the protocol.
        claimed: mean over folds by the shortcut.
        optimism: how much better the claim looks; positive is too good, also for metrics where lower is better.
    """

    shortcut: str
    strategy: str
    level: str
    metric: str
    honest: float
    claimed: float
    optimism: float


@dataclass(frozen=True)
class Protocol:
    """How scores are judged, and what that gave.

    Arguments:
        strategies, object_score, costs: as in `build_problem`.
        estimates: what was estimated.
        honest: (estimates,) means over folds.
    """

    strategies: tuple[Strategy, ...]
    object_score: ObjectScore
    costs: Costs
    estimates: tuple[Estimate, ...]
    honest: np.ndarray

    def claims(self, shortcut: str, scores: Scores, levels: Sequence[str], *, swap: bool = False) -> list[Shortcut]:
        """What a shortcut claims when it judges `scores`, for the metrics that it changes."""
        problem = build_problem(scores, self.strategies, self.object_score, self.costs, swap=swap)
        means = mean_outcomes(problem, judge(problem, np.ones((len(problem.strata), 1))).values)[:, 0]
        claimed = dict(zip(problem.estimates, means.tolist(), strict=True))
        metrics = [name for name in _REPORTED if not (swap and name in RANKING_METRICS)]
        found = []
        for estimate, honest in zip(self.estimates, self.honest.tolist(), strict=True):
            claim = claimed.get(estimate, np.nan)
            if estimate.level in levels and estimate.metric in metrics and np.isfinite((honest, claim)).all():
                gain = (claim - honest) * (-1 if lower_is_better(estimate.metric) else 1)
                key = estimate.strategy, estimate.level, estimate.metric
                found.append(Shortcut(shortcut, *key, honest, claim, gain))
        return found


def same_partition_optimism(protocol: Protocol, scores: Scores) -> list[Shortcut]:
    """`threshold-on-inference`: thresholds chosen on the inference partition and judged on it."""
    return protocol.claims("threshold-on-inference", scores, ("image", "object"), swap=True)


def picture_split_optimism(protocol: Protocol, table: pa.Table) -> list[Shortcut]:
    """`split-by-picture`: pictures dealt to partitions without regard to objects, at picture level.

    An object whose pictures lie in several partitions has no outcome of its own, so there is no claim for objects.

    Arguments:
        protocol: as the honest figures were made.
        table: scores of such a run, see `prepare_scores`.
    """
    return protocol.claims("split-by-picture", prepare_scores(table), ("image",))


def best_epoch_optimism(protocol: Protocol, table: pa.Table, epochs: pa.Table) -> list[Shortcut]:
    """`best-epoch-on-inference`: in every fold the epoch with the highest AUROC of the judged pictures.

    Arguments:
        protocol: as the honest figures were made.
        table: the scores by the protocol, with `fold` and `partition`.
        epochs: columns `fold`, `epoch`, `image_id`, `score`: scores of the threshold and the inference pictures after
            some epochs. Folds that it does not hold keep the scores they have.

    Raises:
        UserError: an epoch of a fold lacks pictures.
    """
    if not {"fold", "partition"} <= set(table.column_names):
        raise UserError("Scores after every epoch are of use only with a table that has fold and partition.")
    rows = table.select(["fold", "partition", "image_id", "label", "score"]).to_pylist()
    by_epoch: dict[int, dict[int, dict[str, float]]] = {}
    for row in epochs.to_pylist():
        by_epoch.setdefault(row["fold"], {}).setdefault(row["epoch"], {})[row["image_id"]] = row["score"]
    for fold, found in by_epoch.items():
        own = [row for row in rows if row["fold"] == fold and row["partition"] != "train"]
        for epoch, known in found.items():
            if any(row["image_id"] not in known for row in own):
                raise UserError(f"The scores after epoch {epoch} of fold {fold} lack pictures of the score table.")
        judged = [row for row in own if row["partition"] == "inference"]
        best = max(sorted(found), key=lambda epoch: _auroc(judged, found[epoch]))
        for row in own:
            row["score"] = found[best][row["image_id"]]
    place = table.column_names.index("score")
    chosen = table.set_column(place, "score", pa.array([row["score"] for row in rows], pa.float64()))
    return protocol.claims("best-epoch-on-inference", prepare_scores(chosen), ("image", "object"))


def _auroc(rows: list[dict[str, object]], scores: dict[str, float]) -> float:
    score = np.array([scores[str(row["image_id"])] for row in rows])
    label = np.array([row["label"] == 1 for row in rows])
    curve = sweep(rank_scores(score, np.zeros(len(score), np.int64), label), np.ones((1, 1)))
    return float(ranking_metrics(curve, Costs())["auroc"][0])
