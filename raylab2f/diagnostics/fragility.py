"""Threshold fragility: how much do decisions hang on the few parts that chose the threshold?"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from raylab2f.diagnostics.choosing import choose_thresholds, rank_choosing
from raylab2f.diagnostics.finding import Bounds, Finding, Measure, conclude, skipped
from raylab2f.diagnostics.resampling import Estimate, mean, resample
from raylab2f.evaluation.decisions.curves import Ranking
from raylab2f.evaluation.decisions.object_scores import ObjectScore, parse_object_score
from raylab2f.evaluation.decisions.strategies import Strategy, parse_strategy
from raylab2f.evaluation.decisions.thresholds import choose_threshold
from raylab2f.evaluation.intervals.bootstrap import object_weights
from raylab2f.evaluation.outcomes.metrics import Costs
from raylab2f.seeding import numpy_generator

__all__ = ["FLIPS", "FOLD_FLIPS", "diagnose_fragility", "outcome_curves"]

# Every tenth, and every fifth, decision hangs on which parts chose the threshold. Where scores know nothing of the
# label it is 0.2 to 0.3.
FLIPS = Bounds(0.10, 0.20)
# Between folds the detector changes as well; two detectors that disagree on a third of the pictures warn.
FOLD_FLIPS = Bounds(0.33, None)

_REPLICATES = 300


def diagnose_fragility(
    scores: pa.Table,
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
    """Choose thresholds again from resampled parts, compare folds, and compare Youden's with the cheapest threshold.

    Arguments:
        scores: `fold`, `partition` (threshold, inference), `image_id`, `object_id`, `label`, `score`.
        strategy: that the run is read by. One of two thresholds has three decisions, which may flip between any two;
            elsewhere the threshold is the high one, from which up parts are rejected.
        object_score, prevalence, cost_escape, cost_overkill, cost_review, beta: what the run is evaluated with, see
            `evaluation.evaluate`.
        seed: of the resampling.
    """
    name = "threshold"
    columns = {key: np.array(scores[key].to_pylist()) for key in scores.column_names}
    columns |= {"score": columns["score"].astype(np.float64), "label": columns["label"].astype(np.int64)}
    columns["anomalous"] = np.isin(columns["object_id"], columns["object_id"][columns["label"] == 1])
    defaults = Costs(cost_escape, cost_overkill, prevalence, beta, review=cost_review).parameters
    chosen, cheapest = parse_strategy(strategy, defaults), parse_strategy("cost", defaults)
    rule = parse_object_score(object_score)
    if chosen.on_objects and len(np.unique(columns["object_id"][~columns["anomalous"]])) < 2:
        return skipped(name, f"The strategy {strategy} chooses on objects, of which fewer than 2 are without a defect.")
    folds = [
        judged
        for fold in np.unique(columns["fold"])
        if (judged := _judge_fold(_rows(columns, columns["fold"] == fold), chosen, cheapest, rule, seed)) is not None
    ]
    if not folds:
        return skipped(name, f"The strategy {strategy} gives no threshold in any fold.")
    facts = {key: np.concatenate([decisions[key] for decisions, _ in folds]) for key in folds[0][0]}
    positions = [position for _, position in folds]
    draws = resample(facts["object_id"], facts["label"], seed=seed)
    flips = mean(draws, facts["flips"])
    apart = mean(draws, facts["youden_and_cost_differ"])
    measures = [
        Measure(
            "decision-flips",
            flips,
            f"{flips.value:.0%} of the decisions would be another one had other parts of the same kind chosen the "
            "threshold.",
            FLIPS,
        ),
        *_fold_flips(facts, seed),
        Measure(
            "youden-from-cost",
            apart,
            f"Youden's and the cost-optimal threshold (escape {cost_escape:g}, overkill {cost_overkill:g}"
            + (f", prevalence {prevalence:g}" if prevalence is not None else "")
            + f") decide {apart.value:.0%} of the pictures differently.",
        ),
    ]
    if len(positions) > 1:
        spread = float(np.std(positions, ddof=1))
        measures.append(
            Measure(
                "threshold-spread",
                Estimate(spread),
                f"Over {len(positions)} folds the threshold varies by {spread:.2f} standard deviations of good scores.",
            )
        )
    evidence = pa.table(facts).sort_by([("flips", "descending"), ("image_id", "ascending")])
    return conclude(name, measures, evidence)


def outcome_curves(scores: pa.Table, points: int = 101) -> dict[str, np.ndarray]:
    """Outcome as a function of the threshold, per fold.

    Returns:
        `position` (points,): thresholds in standard deviations of the fold's nominal scores about their mean;
        `recall` and `specificity` (folds, points) on the inference partition.
    """
    columns = {key: np.array(scores[key].to_pylist()) for key in ("fold", "partition", "label", "score")}
    position = np.linspace(-3, 6, points)
    recall: list[np.ndarray] = []
    specificity: list[np.ndarray] = []
    for fold in np.unique(columns["fold"]):
        here = columns["fold"] == fold
        judged, label = here & (columns["partition"] == "inference"), columns["label"]
        nominal = columns["score"][here & (label == 0)].astype(np.float64)
        threshold = nominal.mean() + position * (float(nominal.std()) or 1.0)
        for wanted, curves in ((1, recall), (0, specificity)):
            flagged = columns["score"][judged & (label == wanted)][:, None] >= threshold
            share = flagged.mean(axis=0) if len(flagged) else np.full(points, np.nan)
            curves.append(share if wanted else 1 - share)
    return {"position": position, "recall": np.stack(recall), "specificity": np.stack(specificity)}


def _judge_fold(
    columns: Mapping[str, np.ndarray], strategy: Strategy, cheapest: Strategy, rule: ObjectScore, seed: int
) -> tuple[dict[str, np.ndarray], float] | None:
    """The decisions on one fold's judged pictures and how sure they are, and the threshold in standard deviations of
    nominal scores about their mean; `None` where there is no threshold or nothing is judged.
    """
    choosing = _rows(columns, columns["partition"] == "threshold")
    judged = _rows(columns, columns["partition"] == "inference")
    if not len(choosing["score"]) or not len(judged["score"]):
        return None
    _, first, owner = np.unique(choosing["object_id"], return_index=True, return_inverse=True)
    objects = choosing["anomalous"][first]
    ranking = rank_choosing(strategy, choosing["score"], owner, choosing["label"], objects, rule)
    chosen = _thresholds(strategy, ranking, np.ones((len(objects), 1)))
    if not chosen.shape[1]:
        return None
    threshold = float(chosen[1, 0])
    nominal = columns["score"][columns["label"] == 0]
    scale = float(nominal.std()) or 1.0
    score = judged["score"]
    flagged = score >= threshold
    rng = numpy_generator(seed, "threshold fragility", int(judged["fold"][0]))
    again = _thresholds(strategy, ranking, object_weights(objects, _REPLICATES, rng))
    cost, youden = (choose_threshold(s, choosing["score"], choosing["label"]).threshold for s in (cheapest, "youden"))
    known = cost is not None and youden is not None
    decisions = {
        **{key: judged[key] for key in ("fold", "image_id", "object_id", "label")},
        "flagged": flagged,
        "distance": (score - threshold) / scale,
        "flips": (_decisions(score, again) != _decisions(score, chosen)).mean(axis=1),
        "youden_and_cost_differ": (
            ((score >= youden) != (score >= cost)).astype(np.float64) if known else np.full(len(score), np.nan)
        ),
    }
    return decisions, (threshold - float(nominal.mean())) / scale


def _rows(columns: Mapping[str, np.ndarray], where: np.ndarray) -> dict[str, np.ndarray]:
    return {key: values[where] for key, values in columns.items()}


def _thresholds(strategy: Strategy, ranking: Ranking, weights: np.ndarray) -> np.ndarray:
    """`choose_thresholds`, (2, r); weightings that give none are left out."""
    chosen = choose_thresholds(strategy, ranking, weights)
    return chosen[:, np.isfinite(chosen[0])]


def _decisions(score: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """(n, r) how many of the two thresholds, (2, r), a score reaches: 0 accepted, 1 reviewed, 2 rejected."""
    low, high = thresholds
    return (score[:, None] >= low).astype(np.int8) + (score[:, None] >= high)


def _fold_flips(facts: dict[str, np.ndarray], seed: int) -> list[Measure]:
    """How often two folds that judge one picture disagree."""
    names, number = np.unique(facts["image_id"], return_inverse=True)
    times = np.bincount(number, minlength=len(names))
    flagged = np.bincount(number, weights=facts["flagged"], minlength=len(names))
    several = times > 1
    if not several.any():
        return []
    n, k = times[several], flagged[several]
    disagree = 2 * k * (n - k) / (n * (n - 1))
    owner = facts["object_id"][np.unique(number, return_index=True)[1]][several]
    label = facts["label"][np.unique(number, return_index=True)[1]][several]
    value = mean(resample(owner, label, seed=seed), disagree)
    sentence = f"Two folds that judge the same picture disagree in {value.value:.0%} of cases."
    return [Measure("fold-flips", value, sentence, FOLD_FLIPS)]
