"""From weights of objects to outcomes: thresholds chosen and judged in every fold, for many weightings at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from raylab2f.errors import UserError
from raylab2f.evaluation.decisions.curves import Curve, Ranking, sweep
from raylab2f.evaluation.decisions.object_scores import ObjectScore
from raylab2f.evaluation.decisions.strategies import Strategy
from raylab2f.evaluation.decisions.thresholds import nominal_shares
from raylab2f.evaluation.decisions.two_thresholds import cut_pairs
from raylab2f.evaluation.outcomes.cells import Cell, Level
from raylab2f.evaluation.outcomes.metrics import (
    COUNT_METRICS,
    OBJECT_RATES,
    PREVALENCE_METRICS,
    RANKING_METRICS,
    REVIEW_METRICS,
    REVIEW_PREVALENCE_METRICS,
    Costs,
    Counts,
    base_rate,
    count_metrics,
    ranking_metrics,
)
from raylab2f.evaluation.outcomes.parts import Part
from raylab2f.evaluation.outcomes.reviewing import review_metrics
from raylab2f.evaluation.scores import Scores

__all__ = ["ANY_STRATEGY", "LEVELS", "Estimate", "Outcomes", "Problem", "build_problem", "judge", "lack_of_objects"]

LEVELS = ("image", "object")

# Strategy of the metrics that need no threshold.
ANY_STRATEGY = "any"


@dataclass(frozen=True, order=True)
class Estimate:
    """What is estimated."""

    strategy: str
    level: str
    metric: str


@dataclass(frozen=True)
class Problem:
    """Ranked scores of all folds and what to compute from them.

    Arguments:
        cells: one entry a fold, each by level.
        strategies: threshold strategies.
        costs: weights of the outcomes.
        levels: `image` and `object`, or `image` alone.
        estimates: what `judge` gives, in its order.
        strata: (objects,) bool, True for anomalous: the weights' owners. All are True, one stratum, where the object
            level is left out.
        parts: of each level, see `list_parts`.
        no_object_level: why the object level is left out, though objects carry the weights; else `None`.
        left_out: strategies that choose on objects, left out with that level.
    """

    cells: tuple[dict[str, Cell], ...]
    strategies: tuple[Strategy, ...]
    costs: Costs
    levels: tuple[str, ...]
    estimates: tuple[Estimate, ...]
    strata: np.ndarray
    parts: dict[str, tuple[Part, ...]]
    no_object_level: str | None = None
    left_out: tuple[Strategy, ...] = ()

    def judged_objects(self) -> np.ndarray:
        """(objects,) bool, True for objects judged in any fold; the others only chose thresholds."""
        judged = np.zeros(len(self.strata), dtype=bool)
        for cell in self.cells:
            judged[cell[self.levels[0]].inference.ranking.owner] = True
        return judged

    def judged_classes(self) -> tuple[int, int]:
        """How many objects the figures of the anomalous and of the nominal class rest on: those judged in any fold.

        Where the object level is left out, an object with pictures of both classes counts in both.
        """
        if self.no_object_level is None:
            judged = self.strata[self.judged_objects()]
            return int(judged.sum()), int((~judged).sum())
        rankings = [cell[self.levels[0]].inference.ranking for cell in self.cells]
        anomalous, nominal = (
            len(np.unique(np.concatenate([ranking.owner[ranking.label == label] for ranking in rankings])))
            for label in (True, False)
        )
        return anomalous, nominal

    @property
    def degrees(self) -> float:
        """Of freedom of t: objects judged in any fold, less one for each stratum; at least 1."""
        strata = 2 if self.no_object_level is None else 1
        return max(float(self.judged_objects().sum()) - strata, 1.0)

    def part_objects(self, estimate: Estimate) -> int:
        """How many objects the rate of a part rests on: those of its class that are judged in any fold."""
        number = next(n for n, part in enumerate(self.parts[estimate.level]) if estimate.metric in part.metrics)
        rankings = [cell[estimate.level].parts[number][0].ranking for cell in self.cells]
        anomalous = OBJECT_RATES[base_rate(estimate.metric)]
        return len(np.unique(np.concatenate([ranking.owner[ranking.label == anomalous] for ranking in rankings])))


@dataclass(frozen=True)
class Outcomes:
    """Values of all estimates.

    Arguments:
        values: (estimates, folds, b) in the order of `Problem.estimates`; NaN where a fold gives none.
        thresholds: (levels, strategies, folds, b): what scores as high is rejected; NaN where there is none.
        low_thresholds: the same shape: what scores less is accepted; equal to `thresholds` for strategies of one.
    """

    values: np.ndarray
    thresholds: np.ndarray
    low_thresholds: np.ndarray


def build_problem(
    scores: Scores,
    strategies: Sequence[Strategy],
    object_score: ObjectScore,
    costs: Costs,
    *,
    unit: str = "object",
    swap: bool = False,
    by: Sequence[str] | None = (),
) -> Problem:
    """Rank all scores once.

    Arguments:
        scores: checked score table.
        strategies: threshold strategies.
        object_score: from picture scores to object scores.
        costs: weights of the outcomes.
        unit: what carries a weight: `object`, or `image` for the naive bootstrap over pictures, which has the
            image level only and leaves out strategies that work on objects.
        swap: choose thresholds on the inference partition itself, to show how optimistic that is.
        by: of `BREAKDOWNS`, see `list_parts`.

    Where one class has fewer than two objects, the object level is left out, and so are strategies that choose on it;
    pictures are judged as always, and objects, all in one stratum, carry the weights.

    Raises:
        UserError: a strategy needs scores of a class that a threshold partition does not have, or the scores have no
            column that `by` names.
    """
    no_object_level = lack_of_objects(scores) if unit == "object" else None
    levels = LEVELS if unit == "object" and no_object_level is None else LEVELS[:1]
    left_out = tuple(s for s in strategies if "object" not in levels and s.on_objects)
    strategies = tuple(s for s in strategies if s not in left_out)
    given = np.array([threshold for strategy in strategies if strategy.is_given for threshold in strategy.given])
    sides = {level: Level(scores, level, object_score, unit, by) for level in levels}
    cells = []
    for index, name in enumerate(scores.folds):
        in_fold = scores.fold == index
        judged_rows = np.flatnonzero(in_fold & scores.judged)
        threshold_rows = judged_rows if swap else np.flatnonzero(in_fold & ~scores.judged)
        rankings = {level: side.rank(threshold_rows)[0] for level, side in sides.items()}
        _require_classes(rankings[levels[0]], strategies, name)
        by_object = rankings[levels[-1]]
        cells.append(
            {level: side.cell(judged_rows, rankings[level], by_object, given) for level, side in sides.items()}
        )
    parts = {level: side.parts for level, side in sides.items()}
    return Problem(
        cells=tuple(cells),
        strategies=strategies,
        costs=costs,
        levels=levels,
        estimates=tuple(_list_estimates(strategies, costs, parts)),
        strata=(
            scores.image_anomalous
            if unit == "image"
            else scores.object_anomalous | np.array(no_object_level is not None)
        ),
        parts=parts,
        no_object_level=no_object_level,
        left_out=left_out if unit == "object" else (),
    )


def lack_of_objects(scores: Scores) -> str | None:
    """Why there is no object level: a class of fewer than two objects, between which nothing can vary; else `None`."""
    objects, nominal = len(scores.object_anomalous), int((~scores.object_anomalous).sum())
    if nominal >= 2:
        return None
    if not nominal:
        return f"all {objects} objects have an anomalous picture"
    return f"only 1 of {objects} objects is without an anomalous picture"


def judge(problem: Problem, weights: np.ndarray) -> Outcomes:
    """Choose all thresholds and compute all estimates in every fold, for every weighting.

    Arguments:
        problem: ranked scores.
        weights: (objects, b) weight of each object in each weighting, whole numbers >= 0.
    """
    folds, replicates = len(problem.cells), weights.shape[1]
    strategies = problem.strategies
    given = [number for number, strategy in enumerate(strategies) if strategy.is_given]
    thresholds = np.full((2, len(problem.levels), len(strategies), folds, replicates), np.nan)
    shape = (len(strategies), folds, replicates)
    # What is rejected, and what is not accepted: the same for strategies of one threshold.
    above_high = {level: Counts(*(np.empty(shape) for _ in range(4))) for level in problem.levels}
    above_low = {level: Counts(*(np.empty(shape) for _ in range(4))) for level in problem.levels}
    rates = {
        level: [(n, OBJECT_RATES[rate]) for n, part in enumerate(parts) for rate in part.rates]
        for level, parts in problem.parts.items()
    }
    partial = {level: np.empty((len(rates[level]), *shape)) for level in problem.levels}
    ranked = {level: np.empty((len(RANKING_METRICS), folds, replicates)) for level in problem.levels}
    for fold, cell in enumerate(problem.cells):
        curves = {level: sweep(cell[level].threshold, weights) for level in problem.levels}
        for position, level in enumerate(problem.levels):
            inference = sweep(cell[level].inference.ranking, weights)
            parts = [sweep(pair[0].ranking, weights) for pair in cell[level].parts]
            for row, metric in enumerate(ranking_metrics(inference, problem.costs).values()):
                ranked[level][row, fold] = metric
            for number, strategy in enumerate(strategies):
                source = "object" if strategy.on_objects else level
                curve = curves[source]
                if strategy.by_share:
                    shares = nominal_shares(cell[source].threshold, len(weights))
                    curve = sweep(cell[source].threshold, weights * shares[:, None])
                if strategy.is_given:
                    # The last cuts but one, a low and a high one for each, of which the curves say nothing.
                    own = len(cell[source].values) - 1 - 2 * (len(given) - given.index(number))
                    low, high = np.full((2, replicates), [[own], [own + 1]])
                else:
                    low, high = cut_pairs(strategy, curve)
                for row, cut in enumerate((low, high)):
                    thresholds[row, position, number, fold] = cell[source].values[cut]
                here = cell[level].inference_by_object if strategy.on_objects else cell[level].inference
                _count(above_high[level], number, fold, inference, here.flagged[high], high >= 0)
                if strategy.reviews:
                    _count(above_low[level], number, fold, inference, here.flagged[low], low >= 0)
                for row, (part, anomalous) in enumerate(rates[level]):
                    # A defective part is found if it is not accepted, a good one lost if it is rejected.
                    cut = low if anomalous else high
                    flagged = cell[level].parts[part][int(strategy.on_objects)].flagged[cut]
                    partial[level][row, number, fold] = _flagged_share(parts[part], flagged, cut >= 0, anomalous)
    blocks = []
    for level in problem.levels:
        for number, strategy in enumerate(strategies):
            rejected = above_high[level].of(number)
            if strategy.reviews:
                metrics = review_metrics(rejected, above_low[level].of(number), problem.costs)
            else:
                metrics = count_metrics(rejected, problem.costs)
            blocks += [np.stack(list(metrics.values())), partial[level][:, number]]
        blocks.append(ranked[level])
    return Outcomes(np.concatenate(blocks), thresholds[1], thresholds[0])


def _list_estimates(strategies: Sequence[Strategy], costs: Costs, parts: dict[str, tuple[Part, ...]]) -> list[Estimate]:
    known = costs.prevalence is not None
    metrics = {
        False: COUNT_METRICS + (PREVALENCE_METRICS if known else ()),
        True: REVIEW_METRICS + (REVIEW_PREVALENCE_METRICS if known else ()),
    }
    estimates = []
    for level, some in parts.items():
        for strategy in strategies:
            estimates += [Estimate(strategy.text, level, metric) for metric in metrics[strategy.reviews]]
            estimates += [Estimate(strategy.text, level, metric) for part in some for metric in part.metrics]
        estimates += [Estimate(ANY_STRATEGY, level, metric) for metric in RANKING_METRICS]
    return estimates


def _count(counts: Counts, strategy: int, fold: int, curve: Curve, flagged: np.ndarray, valid: np.ndarray) -> None:
    """Fill in one strategy and fold; NaN where there is no threshold or no row of a class."""
    column = np.arange(len(flagged))
    p, n = curve.positives, curve.negatives
    missing = ~(valid & (p > 0) & (n > 0))
    for target, value in (
        (counts.tp, curve.tp[flagged, column]),
        (counts.fp, curve.fp[flagged, column]),
        (counts.positives, p),
        (counts.negatives, n),
    ):
        target[strategy, fold] = value
        target[strategy, fold, missing] = np.nan


def _flagged_share(curve: Curve, flagged: np.ndarray, valid: np.ndarray, anomalous: bool) -> np.ndarray:
    """Of the rows of one class: recall or overkill rate."""
    hits, whole = (curve.tp, curve.positives) if anomalous else (curve.fp, curve.negatives)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(valid & (whole > 0), hits[flagged, np.arange(len(flagged))] / whole, np.nan)


def _require_classes(ranking: Ranking, strategies: Sequence[Strategy], fold: int) -> None:
    for strategy in strategies:
        if ranking.label.all() or (strategy.needs_defects and not ranking.label.any()):
            missing = "nominal" if ranking.label.all() else "anomalous"
            raise UserError(
                f"The threshold partition of fold {fold} has no {missing} pictures, which the strategy "
                f"'{strategy.text}' needs."
            )
