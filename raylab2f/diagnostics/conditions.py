"""What a light, a batch or a camera costs that neither trained nor chose the threshold."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from raylab2f.diagnostics.choosing import choose_thresholds, rank_choosing
from raylab2f.diagnostics.finding import Bounds, Finding, Measure, conclude, skipped
from raylab2f.diagnostics.resampling import REPLICATES, Estimate, resample, t_estimate
from raylab2f.errors import UserError
from raylab2f.evaluation.decisions.curves import Ranking, arrange_weights
from raylab2f.evaluation.decisions.object_scores import ObjectScore, parse_object_score
from raylab2f.evaluation.decisions.strategies import Strategy, parse_strategy
from raylab2f.evaluation.outcomes.metrics import Costs
from raylab2f.evaluation.scores import Scores, prepare_scores

__all__ = ["CONDITION_GAP", "diagnose_conditions"]

# Of wrong decisions, mean of both classes: one more in twenty warns, three more in twenty fail.
CONDITION_GAP = Bounds(0.05, 0.15)

_COLUMNS = ("fold", "partition", "image_id", "object_id", "label", "condition", "score")
# So many decisions, or shares of wrong ones, are held at once.
_HELD = 2**20


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
    replicates: int = REPLICATES,
    seed: int,
) -> Finding:
    """Compare decisions on a condition by folds that never saw it with those by folds that did, part by part.

    The gap of a condition is the share of its pictures that are judged wrongly, the mean of that of the defective ones
    and that of the good ones, without having seen the condition, less the same with it. Only parts that both judged
    count, each with the mean over folds, so that what is hard about a part cancels. In every replicate parts are drawn
    once for both runs and all folds, and all thresholds are chosen anew. Of two thresholds, only defective pictures
    that are accepted and good ones that are rejected are wrong.

    Arguments:
        left_out: score table of a run with the scheme `leave-condition-out`, of all partitions: `fold`, `partition`,
            `image_id`, `object_id`, `label`, `condition`, `score`.
        ordinary: score table of a run on the same pictures whose folds saw every condition.
        strategy: that chooses the thresholds of both.
        object_score, prevalence, cost_escape, cost_overkill, cost_review, beta: what the run is evaluated with, see
            `evaluation.evaluate`.
        replicates: of the bootstrap.
        seed: of the resampling.
    """
    name = "condition"
    tables = []
    for table, which in ((left_out, "run that leaves conditions out"), (ordinary, "ordinary run")):
        if "condition" not in table.column_names:
            return skipped(name, f"The scores of the {which} have no column condition.")
        tables.append(_whole_folds(table.select(_COLUMNS)))
        if not tables[-1].num_rows:
            return skipped(name, f"No fold of the {which} chooses a threshold and judges good and defective pictures.")
    costs = Costs(cost_escape, cost_overkill, prevalence, beta, review=cost_review)
    chosen = parse_strategy(strategy, costs.parameters)
    first = int(pc.max(tables[0]["fold"]).as_py()) + 1
    try:
        scores = prepare_scores(_joined(tables[0], tables[1], first))
    except UserError as error:
        return skipped(name, f"The two runs cannot be compared: {error}")
    if chosen.on_objects and (~scores.object_anomalous).sum() < 2:
        return skipped(name, f"The strategy {strategy} chooses on objects, of which fewer than 2 are without a defect.")
    rule = parse_object_score(object_score)
    pairs, folds = _pair(scores, chosen, rule, first)
    objects = len(scores.object_anomalous)
    unseen, seen = _shares(folds, len(pairs.owner), chosen, np.ones((objects, 1)))[:, :, 0]
    known = np.isfinite(unseen) & np.isfinite(seen)
    weights = resample(np.arange(objects), scores.object_anomalous, seed=seed, replicates=replicates).weights
    judged = [number for number in range(len(pairs.conditions)) if len(set(pairs.label[known & pairs.of(number)])) == 2]
    if not judged:
        return skipped(name, "No condition has good and defective parts that both runs judge.")
    drawn = np.concatenate([_gaps(pairs, known, judged, *block) for block in _blocks(pairs, folds, chosen, weights)], 1)
    found = _gaps(pairs, known, judged, np.ones((objects, 1)), np.stack((unseen, seen))[:, :, None])[:, 0]
    measures = [
        _measure(pairs.conditions[number], t_estimate(float(value), row, pairs.fewest(known, number), (-1.0, 1.0)))
        for number, value, row in zip(judged, found, drawn, strict=True)
    ]
    # The first of the worst verdicts decides; of several, the largest gap.
    measures.sort(key=lambda measure: -measure.estimate.value)
    asked = set(tables[0].filter(pc.equal(tables[0]["partition"], "inference"))["condition"].to_pylist())
    silent = [
        f"The condition '{condition}' has no good and defective parts that both runs judge, so nothing is said of it."
        for number, condition in enumerate(pairs.conditions)
        if number not in judged and condition in asked
    ]
    rows = np.flatnonzero(known & np.isin(pairs.condition, judged))
    rows = rows[np.argsort((seen - unseen)[rows], kind="stable")]
    evidence = pa.table(
        {
            "condition": pa.array([pairs.conditions[number] for number in pairs.condition[rows]], pa.string()),
            "object_id": pa.array(scores.object_names[pairs.owner[rows]].tolist(), pa.string()),
            "label": pairs.label[rows].astype(np.int64),
            "wrong_unseen": unseen[rows],
            "wrong_seen": seen[rows],
        }
    )
    return conclude(name, measures, evidence, silent)


@dataclass(frozen=True)
class _Pairs:
    """What is compared: the pictures of one object, label and condition.

    Arguments:
        conditions: names.
        condition, owner, label: (pairs,) number of the condition and of the object, and bool.
    """

    conditions: tuple[str, ...]
    condition: np.ndarray
    owner: np.ndarray
    label: np.ndarray

    def of(self, number: int, label: bool | None = None) -> np.ndarray:
        """(pairs,) bool: those of a condition, perhaps of one label only."""
        here = self.condition == number
        return here if label is None else here & (self.label == label)

    def fewest(self, known: np.ndarray, number: int) -> int:
        """Objects of the class that has fewer under a condition."""
        return min(int((known & self.of(number, label)).sum()) for label in (True, False))


@dataclass(frozen=True)
class _Fold:
    """What chooses a fold's thresholds, and the pictures that it judges, in the order of their pairs.

    Arguments:
        run: 0 where the condition was not seen, 1 where it was.
        ranking: of the threshold partition.
        score, label: (n,) of the judged pictures.
        pairs, start: (m,) the pairs that occur, and where the pictures of each begin.
    """

    run: int
    ranking: Ranking
    score: np.ndarray
    label: np.ndarray
    pairs: np.ndarray
    start: np.ndarray


def _whole_folds(table: pa.Table) -> pa.Table:
    """Without folds that cannot be judged, as there are where only pictures of one condition or view are looked at."""
    fold, partition, label = (np.array(table[name].to_pylist()) for name in ("fold", "partition", "label"))
    whole = [
        number
        for number in np.unique(fold)
        if (partition[fold == number] == "threshold").any()
        and len(np.unique(label[(fold == number) & (partition == "inference")])) == 2
    ]
    return table.filter(pa.array(np.isin(fold, whole)))


def _joined(left_out: pa.Table, ordinary: pa.Table, first: int) -> pa.Table:
    """Both tables as one; the folds of the ordinary run are numbered from `first` on."""
    renumbered = pc.add(ordinary["fold"].cast(pa.int64()), first)
    ordinary = ordinary.set_column(_COLUMNS.index("fold"), "fold", renumbered)
    return pa.concat_tables([left_out, ordinary], promote_options="permissive")


def _pair(scores: Scores, strategy: Strategy, rule: ObjectScore, first: int) -> tuple[_Pairs, list[_Fold]]:
    """Folds numbered from `first` on are of the ordinary run."""
    names = scores.groups["condition"]
    judged = np.flatnonzero(scores.judged & (names != ""))
    conditions, condition = np.unique(names[judged].astype(str), return_inverse=True)
    facts = np.stack((condition, scores.object[judged], scores.label[judged].astype(np.int64)))
    distinct, pair = np.unique(facts, axis=1, return_inverse=True)
    pair = pair.ravel()
    folds = []
    for index, number in enumerate(scores.folds):
        choosing = np.flatnonzero((scores.fold == index) & ~scores.judged)
        score, owner, label = (values[choosing] for values in (scores.score, scores.object, scores.label))
        ranking = rank_choosing(strategy, score, owner, label, scores.object_anomalous, rule)
        here = np.flatnonzero(scores.fold[judged] == index)
        here = here[np.argsort(pair[here], kind="stable")]
        occurring, start = np.unique(pair[here], return_index=True)
        rows = judged[here]
        folds.append(_Fold(int(number >= first), ranking, scores.score[rows], scores.label[rows], occurring, start))
    pairs = _Pairs(tuple(conditions.tolist()), distinct[0], distinct[1], distinct[2].astype(bool))
    return pairs, [fold for fold in folds if len(fold.score)]


def _shares(folds: list[_Fold], pairs: int, strategy: Strategy, weights: np.ndarray) -> np.ndarray:
    """(2, pairs, b) share of wrong decisions in either run, over all folds with thresholds, by weights (objects, b)."""
    wrong, judged = np.zeros((2, 2, pairs, weights.shape[1]))
    for fold in folds:
        low, high = choose_thresholds(strategy, fold.ranking, weights)
        chosen = np.isfinite(high)
        mistaken = np.where(fold.label[:, None], fold.score[:, None] < low, fold.score[:, None] >= high) & chosen
        wrong[fold.run, fold.pairs] += np.add.reduceat(mistaken, fold.start, axis=0, dtype=np.float64)
        judged[fold.run, fold.pairs] += np.diff(fold.start, append=len(fold.score))[:, None] * chosen
    with np.errstate(invalid="ignore"):
        return wrong / judged


def _blocks(
    pairs: _Pairs, folds: list[_Fold], strategy: Strategy, weights: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Weights in pieces of (objects, b), and `_shares` under them."""
    rows = max(len(pairs.owner), *(max(len(fold.score), len(fold.ranking.group)) for fold in folds))
    width = max(_HELD // rows, 8)
    for start in range(0, weights.shape[1], width):
        block = arrange_weights(weights[:, start : start + width])
        yield block, _shares(folds, len(pairs.owner), strategy, block)


def _gaps(pairs: _Pairs, known: np.ndarray, judged: list[int], weights: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """(judged conditions, b) mean of both classes' weighted mean differences; NaN where a class has no weight."""
    gaps = []
    for number in judged:
        means = []
        for label in (True, False):
            here = known & pairs.of(number, label)
            difference = shares[0, here] - shares[1, here]
            # A replicate may leave a fold without a threshold, and so a pair without a share.
            weight = np.where(np.isfinite(difference), weights[pairs.owner[here]], 0.0)
            with np.errstate(invalid="ignore"):
                means.append((weight * np.nan_to_num(difference)).sum(axis=0) / weight.sum(axis=0))
        gaps.append((means[0] + means[1]) / 2)
    return np.stack(gaps)


def _measure(condition: str, gap: Estimate) -> Measure:
    sentence = (
        f"Decisions under the condition '{condition}' are wrong {100 * gap.value:.0f} points more often where it "
        "was never seen than where it was."
        if gap.value > 0
        else f"Decisions under the condition '{condition}' are no more often wrong where it was never seen "
        f"({100 * gap.value:+.0f} points)."
    )
    return Measure(f"gap[{condition}]", gap, sentence, CONDITION_GAP)
