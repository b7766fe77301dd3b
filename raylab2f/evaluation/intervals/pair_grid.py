"""Outcomes of every pair of thresholds on a grid, with intervals: what `evaluate` gives for `fixed-pair`, all at once.

Thresholds that nobody chooses make everything linear: a rate of a pair is what the low threshold leaves unaccepted less
what the high one rejects. So the bootstrap judges the thresholds one by one, and pairs are sums of two of its rows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from raylab2f.errors import UserError
from raylab2f.evaluation.decisions.curves import arrange_weights, sweep
from raylab2f.evaluation.decisions.object_scores import parse_object_score
from raylab2f.evaluation.decisions.strategies import parse_strategy
from raylab2f.evaluation.intervals.bootstrap import CHUNK, weight_blocks
from raylab2f.evaluation.intervals.interval_table import deviation_ends
from raylab2f.evaluation.outcomes.cells import judge_ranking
from raylab2f.evaluation.outcomes.judging import Estimate, Problem, build_problem
from raylab2f.evaluation.outcomes.metrics import Costs
from raylab2f.evaluation.scores import prepare_scores
from raylab2f.seeding import numpy_generator

__all__ = ["PAIR_METRICS", "pair_grid"]

#: Metrics of a pair, and those that need a prevalence.
PAIR_METRICS = ("review_rate", "defective_review_rate", "good_review_rate", "expected_cost")
_AT_PREVALENCE = ("review_rate_at_prevalence", "cost_at_prevalence")


@dataclass(frozen=True)
class _Shares:
    """Of what is judged, means over folds, for t thresholds and b weightings.

    Arguments:
        defective, good: (t, b) of each class, the share that scores as high as the threshold or higher.
        all_defective, all_good: (t, b) the same as shares of both classes together.
        prevalence: (b,) of defective ones in both classes together.
    """

    defective: np.ndarray
    good: np.ndarray
    all_defective: np.ndarray
    all_good: np.ndarray
    prevalence: np.ndarray

    def parts(self, costs: Costs) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """By metric two (t, b) arrays; a pair's value is the row of its low threshold plus that of its high one."""
        both = self.all_defective + self.all_good
        parts = {
            "review_rate": (both, -both),
            "defective_review_rate": (self.defective, -self.defective),
            "good_review_rate": (self.good, -self.good),
            "expected_cost": (
                1000 * (costs.escape * (self.prevalence - self.all_defective) + costs.review * both),
                1000 * (costs.overkill * self.all_good - costs.review * both),
            ),
        }
        if costs.prevalence is not None:
            bad, fine = costs.prevalence, 1 - costs.prevalence
            mixed = bad * self.defective + fine * self.good
            parts["review_rate_at_prevalence"] = mixed, -mixed
            parts["cost_at_prevalence"] = (
                1000 * (costs.escape * bad * (1 - self.defective) + costs.review * mixed),
                1000 * (costs.overkill * fine * self.good - costs.review * mixed),
            )
        return parts


def pair_grid(
    table: pa.Table,
    thresholds: np.ndarray,
    *,
    level: str = "object",
    confidence: float = 0.95,
    replicates: int = 1000,
    seed: int = 0,
    object_score: str = "max",
    prevalence: float | None = None,
    cost_escape: float = 10.0,
    cost_overkill: float = 1.0,
    cost_review: float = 0.25,
) -> dict[str, np.ndarray]:
    """Review rates and costs of every pair of thresholds, with the intervals of the method `object-bootstrap`.

    Arguments:
        table: scores of all folds, see `raylab2f.evaluation.evaluate`.
        thresholds: (t,) ascending.
        level: `image` or `object`.
        confidence, replicates, seed, object_score, prevalence, cost_escape, cost_overkill, cost_review: as for
            `evaluate`.

    Returns:
        By metric of `PAIR_METRICS` and, with a prevalence, `review_rate_at_prevalence` and `cost_at_prevalence`:
        (3, t, t) mean, low and high end; first the low threshold, then the high one; NaN where that is lower.

    Raises:
        UserError: a table or an option that makes no sense, or scores without that level.
    """
    scores = prepare_scores(table, seed=seed)
    costs = Costs(cost_escape, cost_overkill, prevalence, review=cost_review)
    # One pair stands for all: what an interval needs to know of a metric is the same for each.
    pair = parse_strategy("fixed-pair:0,0")
    problem = build_problem(scores, (pair,), parse_object_score(object_score), costs)
    if level not in problem.levels:
        raise UserError(f"These scores have no {level} level: {problem.no_object_level}.")
    means = _shares(problem, level, thresholds, np.ones((len(problem.strata), 1))).parts(costs)
    drawn: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {metric: [] for metric in means}
    for chunk in range(-(-replicates // CHUNK)):
        # The draws of `bootstrap_chunks`, so that the same seed gives the same ends.
        rng = numpy_generator(seed, "bootstrap", chunk)
        for weights in weight_blocks(problem.strata, min(CHUNK, replicates - chunk * CHUNK), rng):
            for metric, parts in _shares(problem, level, thresholds, weights).parts(costs).items():
                drawn[metric].append(parts)
    count = len(thresholds)
    found = {}
    for metric, (low, high) in means.items():
        estimate = Estimate(pair.text, level, metric)
        below, above = (np.concatenate(parts, axis=1) for parts in zip(*drawn[metric], strict=True))
        values = np.full((3, count, count), np.nan)
        for place in range(count):
            mean = low[place] + high[place:, 0]
            ends = deviation_ends(problem, estimate, mean, below[place] + above[place:], confidence)
            values[:, place, place:] = mean, *ends
        found[metric] = values
    return found


def _shares(problem: Problem, level: str, thresholds: np.ndarray, weights: np.ndarray) -> _Shares:
    """For (objects, b) weights; folds without both classes do not count, as in `judge`."""
    weights = arrange_weights(weights)
    totals = [np.zeros((len(thresholds), weights.shape[1])) for _ in range(4)]
    share, folds = np.zeros(weights.shape[1]), np.zeros(weights.shape[1])
    for cell in problem.cells:
        ranking = cell[level].inference.ranking
        curve = sweep(ranking, weights)
        flagged = judge_ranking(ranking, thresholds).flagged[:-1]
        tp, fp, p, n = curve.tp[flagged], curve.fp[flagged], curve.positives, curve.negatives
        counts = (p > 0) & (n > 0)
        # Where a class is missing nothing is added, whatever it is divided by.
        p, n = np.where(counts, p, 1), np.where(counts, n, 1)
        for total, part in zip(totals, (tp / p, fp / n, tp / (p + n), fp / (p + n)), strict=True):
            total += np.where(counts, part, 0)
        share += np.where(counts, p / (p + n), 0)
        folds += counts
    folds = np.where(folds > 0, folds, np.nan)
    defective, good, all_defective, all_good = (total / folds for total in totals)
    return _Shares(defective, good, all_defective, all_good, share / folds)
