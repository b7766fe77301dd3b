"""What a light, a batch or a camera costs that neither trained nor chose the threshold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from raylab2f.diagnostics.choosing import choosing_ranking, weighted_thresholds
from raylab2f.diagnostics.finding import Bounds, Finding, Measure, conclude, skipped
from raylab2f.diagnostics.resampling import REPLICATES, t_interval
from raylab2f.evaluation.decisions.object_scores import parse_object_score
from raylab2f.evaluation.decisions.strategies import Strategy, parse_strategy
from raylab2f.evaluation.intervals.bootstrap import object_weights
from raylab2f.evaluation.outcomes.metrics import Costs
from raylab2f.seeding import numpy_generator

__all__ = ["CONDITION_GAP", "diagnose_conditions"]

# Of wrong decisions, mean of both classes: one more in twenty warns, three more in twenty fail.
CONDITION_GAP = Bounds(0.05, 0.15)

_COLUMNS = ("fold", "partition", "object_id", "label", "condition", "score")
# A condition, an object and whether the pictures are defective.
_Part = tuple[str, str, int]


def diagnose_conditions(
    left_out: pa.Table,
    ordinary: pa.Table,
    strategy: str,
    *,
    object_score: str = "max",
    prevalence: float | None = None,
    cost_escape: float = 10.0,
    cost_overkill: float = 1.0,
    cost_review: float = 0.25,
    beta: float = 2.0,
    seed: int,
) -> Finding:
    """Compare decisions on a condition by folds that never saw it with those by folds that did, part by part.

    The gap of a condition is the share of its pictures that are judged wrongly, the mean of that of the defective ones
    and that of the good ones, without having seen the condition, less the same with it. Only parts that both judged
    count, each with the mean over folds, so that what is hard about a part cancels. The interval is Student's t of a
    bootstrap in which a part is drawn as often in both runs, in all folds and on either side of the threshold: both
    runs choose their thresholds anew in every replicate.

    Arguments:
        left_out: score tables of a run with the scheme `leave-condition-out`, all partitions: `fold`, `partition`,
            `object_id`, `label`, `condition`, `score`.
        ordinary: score tables of a run on the same pictures whose folds saw every condition.
        strategy: by which both choose thresholds on image scores; of two thresholds the high one decides.
        object_score, prevalence, cost_escape, cost_overkill, cost_review, beta: what the run is evaluated with, see
            `evaluation.evaluate`.
        seed: of the resampling.
    """
    name = "condition"
    tables = [_columns(table) for table in (left_out, ordinary)]
    if any(table is None for table in tables):
        return skipped(name, "The scores do not say under which condition a picture was taken.")
    unseen_rows, seen_rows = (table for table in tables if table is not None)
    names, owner = np.unique(np.concatenate([unseen_rows["object_id"], seen_rows["object_id"]]), return_inverse=True)
    labels = np.concatenate([unseen_rows["label"], seen_rows["label"]])
    anomalous = np.bincount(owner, weights=labels, minlength=len(names)) > 0
    weights = object_weights(anomalous, REPLICATES, numpy_generator(seed, "condition gap"))
    # The first weighting is the data themselves.
    weights = np.concatenate([np.ones((len(names), 1)), weights], axis=1)
    defaults = Costs(cost_escape, cost_overkill, prevalence, beta, review=cost_review).parameters
    judged = _Judged(parse_strategy(strategy, defaults), object_score, names, anomalous, weights)
    unseen, seen = judged.wrong_shares(unseen_rows), judged.wrong_shares(seen_rows)
    number = {str(one): place for place, one in enumerate(names)}
    measures, rows = [], []
    for condition in sorted({part[0] for part in unseen}):
        parts = sorted(part for part in unseen.keys() & seen.keys() if part[0] == condition)
        classes = np.array([label for _, _, label in parts], np.int64)
        if len(set(classes.tolist())) < 2:
            continue
        differences = np.stack([unseen[part] - seen[part] for part in parts])
        drawn = weights[[number[owner] for _, owner, _ in parts]]
        gaps = _balanced(differences, classes, drawn)
        gap = t_interval(float(gaps[0]), gaps[1:], len({owner for _, owner, _ in parts}), (-1.0, 1.0))
        sentence = (
            f"Decisions under the condition '{condition}' are wrong {100 * gap.value:.0f} points more often where it "
            "was never seen than where it was."
            if gap.value > 0
            else f"Decisions under the condition '{condition}' are no more often wrong where it was never seen "
            f"({100 * gap.value:+.0f} points)."
        )
        measures.append(Measure(f"gap[{condition}]", gap, sentence, CONDITION_GAP))
        rows += [
            {
                "condition": condition,
                "object_id": owner,
                "label": label,
                "wrong_unseen": float(unseen[condition, owner, label][0]),
                "wrong_seen": float(seen[condition, owner, label][0]),
            }
            for _, owner, label in parts
        ]
    if not measures:
        return skipped(name, "No condition has good and defective parts that both runs judge.")
    # The first of the worst verdicts decides; of several, the largest gap.
    measures.sort(key=lambda measure: -measure.estimate.value)
    table = pa.Table.from_pylist(rows)
    worst = np.argsort(-(np.array(table["wrong_unseen"]) - np.array(table["wrong_seen"])), kind="stable")
    return conclude(name, measures, table.take(worst))


def _columns(table: pa.Table) -> dict[str, np.ndarray] | None:
    """Those that are needed, of rows that have a condition; `None` where no row has one."""
    if "condition" not in table.column_names or table["condition"].null_count == table.num_rows:
        return None
    known = table.select(_COLUMNS).filter(table["condition"].is_valid())
    # Sums are formed in one order, whatever that of the rows.
    known = known.sort_by([(name, "ascending") for name in _COLUMNS])
    found = {name: np.array(known[name].to_pylist()) for name in _COLUMNS}
    return found | {"score": found["score"].astype(np.float64), "label": found["label"].astype(np.int64)}


@dataclass(frozen=True)
class _Judged:
    """How decisions are made and weighted.

    Arguments:
        strategy, object_score: by which thresholds are chosen.
        names, anomalous: (objects,) of both runs.
        weights: (objects, b) of each object in each weighting.
    """

    strategy: Strategy
    object_score: str
    names: np.ndarray
    anomalous: np.ndarray
    weights: np.ndarray

    def wrong_shares(self, rows: Mapping[str, np.ndarray]) -> dict[_Part, np.ndarray]:
        """(b,) for each part: the share of its judged pictures that are judged wrongly, the mean over the folds that
        judge it; NaN in weightings in which none of these finds a threshold.
        """
        sums: dict[_Part, np.ndarray] = {}
        counts: dict[_Part, np.ndarray] = {}
        rule = parse_object_score(self.object_score)
        owners = np.searchsorted(self.names, rows["object_id"])
        for fold in np.unique(rows["fold"]):
            chooses = np.flatnonzero((rows["fold"] == fold) & (rows["partition"] == "threshold"))
            judges = np.flatnonzero((rows["fold"] == fold) & (rows["partition"] == "inference"))
            if not len(chooses) or not len(judges):
                continue
            choosing = {name: rows[name][chooses] for name in ("score", "label")}
            ranking = choosing_ranking(self.strategy, choosing, owners[chooses], self.anomalous, rule)
            high = weighted_thresholds(self.strategy, ranking, self.weights)[1]
            keys = [(str(rows["condition"][i]), str(rows["object_id"][i]), int(rows["label"][i])) for i in judges]
            places: dict[_Part, list[int]] = {}
            for key, place in zip(keys, judges, strict=True):
                places.setdefault(key, []).append(int(place))
            known = np.isfinite(high)
            for key, own in places.items():
                wrong = ((rows["score"][own][:, None] >= high) != bool(key[2])).mean(axis=0)
                sums[key] = sums.get(key, 0.0) + np.where(known, wrong, 0.0)
                counts[key] = counts.get(key, 0) + known.astype(np.int64)
        with np.errstate(invalid="ignore"):
            shares = {key: sums[key] / counts[key] for key in sums}
        return {key: share for key, share in shares.items() if np.isfinite(share[0])}


def _balanced(differences: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(b,) mean of the weighted means of both classes.

    Arguments:
        differences, weights: (parts, b); NaN differences do not count.
        labels: (parts,).
    """
    weights = np.where(np.isfinite(differences), weights, 0.0)
    products = np.where(weights > 0, differences, 0.0) * weights
    with np.errstate(invalid="ignore", divide="ignore"):
        means = [products[labels == c].sum(axis=0) / weights[labels == c].sum(axis=0) for c in (0, 1)]
    return np.asarray(np.mean(means, axis=0))
