"""All intervals of all estimates: which method applies to what, and what it is computed from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from raylab2f.evaluation.decisions.object_scores import ObjectScore
from raylab2f.evaluation.intervals.bootstrap import bootstrap_chunks, jackknife_means
from raylab2f.evaluation.intervals.bounds import outer_skewed_bounds
from raylab2f.evaluation.intervals.half_samples import threshold_deviation
from raylab2f.evaluation.intervals.methods import (
    BOUNDS,
    Ends,
    bca_interval,
    clopper_pearson_interval,
    corrected_t_interval,
    delong_components,
    delong_interval,
    deviation_interval,
    naive_t_interval,
    odds_interval,
    percentile_interval,
    wilson_interval,
)
from raylab2f.evaluation.intervals.mixed_objects import fold_deviation, within_object_excess
from raylab2f.evaluation.intervals.rests_on import class_objects, many_pictures, metric_scale
from raylab2f.evaluation.outcomes.judging import ANY_STRATEGY, Estimate, Outcomes, Problem, build_problem
from raylab2f.evaluation.outcomes.means import mean_outcomes
from raylab2f.evaluation.outcomes.metrics import (
    AUTOMATIC_RATES,
    CLASS_RATES,
    MEAN_RATE_RATIOS,
    OBJECT_RATES,
    PREVALENCE_RATIOS,
    RANKING_METRICS,
    REVIEWED_SHARES,
    base_rate,
    metric_range,
)
from raylab2f.evaluation.scores import Scores

__all__ = ["IntervalTable", "Replicator", "build_intervals", "deviation_ends", "overlap_ratio"]

# (problem, replicates, seed) -> (estimates, replicates); a way to spread the bootstrap over processes.
Replicator = Callable[[Problem, int, int], np.ndarray]

# The naive bootstrap is there for contrast; more replicates would not make it more right. Of so many pictures that
# these are more draws than that, it has fewer, but not fewer than the least.
_NAIVE_REPLICATES, _NAIVE_DRAWS, _LEAST_NAIVE_REPLICATES = 2000, 2 * 10**8, 500


@dataclass(frozen=True)
class IntervalTable:
    """Ends of the intervals.

    Arguments:
        ends: method -> (e,) lower and (e,) upper ends in the order of the problem's estimates; NaN where a method
            does not apply.
        lost: (e,) share of bootstrap replicates without a value.
    """

    ends: dict[str, Ends]
    lost: np.ndarray


def build_intervals(
    scores: Scores,
    problem: Problem,
    outcomes: Outcomes,
    object_score: ObjectScore,
    *,
    methods: Sequence[str],
    confidence: float,
    replicates: int,
    seed: int,
    replicator: Replicator = bootstrap_chunks,
) -> IntervalTable:
    """Compute the intervals.

    Arguments:
        scores: checked score table.
        problem: ranked scores by object.
        outcomes: of the data themselves (one weighting, all ones).
        object_score: from picture scores to object scores.
        methods: names of `INTERVALS`, or `BOUNDS`.
        confidence: in (0, 1).
        replicates: of the bootstrap over objects.
        seed: the run's seed.
        replicator: computes the replicates, here or elsewhere.
    """
    means = mean_outcomes(problem, outcomes.values)[:, 0]
    # Methods over folds are about the mean of the folds' values, which these estimates are not.
    ratios = np.array([estimate.metric in MEAN_RATE_RATIOS for estimate in problem.estimates])
    folds = np.where(ratios[:, None], np.nan, outcomes.values[:, :, 0])
    lost = np.zeros(len(means))
    ends: dict[str, Ends] = {}
    if any(method.startswith("object-bootstrap") for method in methods):
        drawn = replicator(problem, replicates, seed)
        lost = np.isnan(drawn).mean(axis=1)
        if "object-bootstrap" in methods:
            ends["object-bootstrap"] = _from_deviation(problem, means, drawn, folds, confidence)
        if BOUNDS in methods:
            ends[BOUNDS] = _from_deviation(problem, means, drawn, folds, confidence, one_sided=True)
        if "object-bootstrap-percentile" in methods:
            ends["object-bootstrap-percentile"] = percentile_interval(drawn, confidence)
        if "object-bootstrap-bca" in methods:
            left_out, strata = jackknife_means(problem, seed)
            ends["object-bootstrap-bca"] = bca_interval(means, drawn, left_out, strata, confidence)
    if "corrected-t" in methods:
        ends["corrected-t"] = corrected_t_interval(folds, overlap_ratio(scores), confidence)
    if "clopper-pearson" in methods:
        ends["clopper-pearson"] = _rates(problem, means, confidence, clopper_pearson_interval)
    if "wilson" in methods:
        ends["wilson"] = _rates(problem, means, confidence, wilson_interval)
    if "delong" in methods:
        ends["delong"] = _delong(problem, means, confidence)
    if "naive-picture-bootstrap" in methods:
        most = max(_NAIVE_DRAWS // len(scores.image_anomalous), _LEAST_NAIVE_REPLICATES)
        ends["naive-picture-bootstrap"] = _by_picture(
            scores, problem, object_score, confidence, min(replicates, _NAIVE_REPLICATES, most), seed, replicator
        )
    if "naive-t" in methods:
        ends["naive-t"] = naive_t_interval(folds, confidence)
    smallest, largest = np.array([metric_range(estimate.metric) for estimate in problem.estimates]).T
    return IntervalTable(
        {
            method: (np.clip(ends[method][0], smallest, largest), np.clip(ends[method][1], smallest, largest))
            for method in methods
        },
        lost,
    )


def _from_deviation(
    problem: Problem,
    means: np.ndarray,
    drawn: np.ndarray,
    folds: np.ndarray,
    confidence: float,
    one_sided: bool = False,
) -> Ends:
    """`deviation_interval`, with metrics of another range than 0 to 1 mapped to it and back; `one_sided`: see `bounds`.

    Where objects of one class are too few, for ranking metrics, with what `mixed_objects` says is missing; for shares
    that are reviewed, which move with two thresholds, with what `half_samples` says.
    """
    smallest, largest = np.array([metric_scale(problem, estimate) for estimate in problem.estimates]).T
    span = np.where(largest > smallest, largest - smallest, 1.0)
    classes = problem.judged_classes()
    place = {estimate: index for index, estimate in enumerate(problem.estimates)}
    objects: list[tuple[float, float]] = []
    for estimate in problem.estimates:
        reviewed = 0.0
        if estimate.metric in AUTOMATIC_RATES:
            rate = AUTOMATIC_RATES[estimate.metric][1]
            reviewed = float(np.nan_to_num(means[place[Estimate(estimate.strategy, estimate.level, rate)]]))
        objects.append(class_objects(problem, estimate, classes, reviewed))
    ranking = np.array([estimate.metric in RANKING_METRICS for estimate in problem.estimates])
    centre, least = means, np.zeros(len(means))
    if problem.no_object_level is not None:
        auroc = np.array([estimate.metric == "auroc" for estimate in problem.estimates])
        centre = means - np.where(auroc, within_object_excess(problem), 0.0)
        least = np.where(ranking, fold_deviation(problem, folds) / span, 0.0)
    # Thresholds that nobody chose do not move.
    fixed = {strategy.text for strategy in problem.strategies if strategy.name == "fixed-pair"}
    reviewing = np.array(
        [base_rate(one.metric) in REVIEWED_SHARES and one.strategy not in fixed for one in problem.estimates]
    )
    if reviewing.any():
        least = np.where(reviewing, threshold_deviation(problem, folds), least)
    of_class = np.array([base_rate(estimate.metric) in CLASS_RATES for estimate in problem.estimates])
    fewest = np.array(objects, dtype=np.float64).min(axis=1)
    low, high = deviation_interval(
        np.clip((centre - smallest) / span, 0, 1),
        (drawn - smallest[:, None]) / span[:, None],
        objects=np.array(objects, dtype=np.float64),
        degrees=np.where(one_sided & of_class, np.maximum(fewest - 1, 1), problem.degrees),
        ranking=ranking,
        confidence=confidence,
        least=least,
    )
    if one_sided:
        chosen = of_class & many_pictures(problem) & (fewest > 0)
        ends = outer_skewed_bounds(
            (low[chosen], high[chosen]), means[chosen], drawn[chosen], fewest[chosen], confidence
        )
        low[chosen], high[chosen] = ends
    return _ratio_ends(problem, means, (smallest + span * low, smallest + span * high))


def deviation_ends(
    problem: Problem, estimate: Estimate, means: np.ndarray, drawn: np.ndarray, confidence: float
) -> Ends:
    """The method `object-bootstrap` for one estimate of `REVIEW_METRICS` that is no ratio, at many thresholds at once.

    Arguments:
        problem: with the estimate among its own.
        estimate: what is estimated.
        means: (e,) its values.
        drawn: (e, b) these in replicates of the bootstrap.
        confidence: in (0, 1).
    """
    smallest, largest = metric_scale(problem, estimate)
    span = largest - smallest if largest > smallest else 1.0
    low, high = deviation_interval(
        np.clip((means - smallest) / span, 0, 1),
        (drawn - smallest) / span,
        objects=np.tile(class_objects(problem, estimate, problem.judged_classes(), 0.0), (len(means), 1)),
        degrees=problem.degrees,
        ranking=np.zeros(len(means), dtype=bool),
        confidence=confidence,
    )
    least, most = metric_range(estimate.metric)
    return np.clip(smallest + span * low, least, most), np.clip(smallest + span * high, least, most)


def _ratio_ends(problem: Problem, means: np.ndarray, ends: Ends) -> Ends:
    """Put the intervals of `PREVALENCE_RATIOS` in, from those of the two rates.

    As rates of objects they would be judged far too good or too bad: with a prevalence of 0.02, an NPV of 0.997 is not
    one error in 300 objects, and one false alarm in 30 objects halves a precision.
    """
    if problem.costs.prevalence is None:
        return ends
    place = {estimate: index for index, estimate in enumerate(problem.estimates)}
    odds = problem.costs.prevalence / (1 - problem.costs.prevalence)
    low, high = ends
    for estimate, index in place.items():
        if estimate.metric not in PREVALENCE_RATIOS:
            continue
        precision = estimate.metric == "precision_at_prevalence"
        rates = ("recall", "overkill_rate") if precision else ("specificity", "escape_rate")
        first, second = (
            (float(means[row]), float(low[row]), float(high[row]))
            for row in (place[Estimate(estimate.strategy, estimate.level, rate)] for rate in rates)
        )
        low[index], high[index] = odds_interval(first, second, odds if precision else 1 / odds)
    return low, high


def overlap_ratio(scores: Scores) -> float:
    """Judged over threshold-choosing anomalous objects, all folds together.

    Defective objects are what is scarce, so their split is what Nadeau and Bengio's ratio is taken from; a threshold
    partition without any counts like an equal one.
    """
    counts = []
    for side in (True, False):
        rows = (scores.judged == side) & scores.object_anomalous[scores.object]
        counts.append(len(np.unique(np.stack((scores.fold[rows], scores.object[rows])), axis=1).T))
    return counts[0] / counts[1] if counts[1] else 1.0


def _rates(
    problem: Problem,
    means: np.ndarray,
    confidence: float,
    method: Callable[[np.ndarray, float, float], Ends],
) -> Ends:
    """Binomial bounds for rates of one class of objects.

    The number of trials is the number of different objects judged in any fold: an object judged in several folds is
    still one object. Exact where every object is judged once; that the threshold was itself estimated is left out.
    """
    low, high = np.full(len(means), np.nan), np.full(len(means), np.nan)
    judged = problem.strata[problem.judged_objects()]
    for index, estimate in enumerate(problem.estimates):
        if estimate.level != "object" or np.isnan(means[index]):
            continue
        if estimate.metric in CLASS_RATES:
            trials = int((judged == CLASS_RATES[estimate.metric]).sum())
        elif base_rate(estimate.metric) in OBJECT_RATES:
            trials = problem.part_objects(estimate)
        else:
            continue
        low[index], high[index] = method(means[index], float(trials), confidence)
    return low, high


def _delong(problem: Problem, means: np.ndarray, confidence: float) -> Ends:
    low, high = np.full(len(means), np.nan), np.full(len(means), np.nan)
    judged = problem.judged_objects()
    for index, estimate in enumerate(problem.estimates):
        if estimate.strategy != ANY_STRATEGY or estimate.metric != "auroc":
            continue
        influence = np.zeros(len(problem.strata))
        rankings = [cell[estimate.level].inference.ranking for cell in problem.cells]
        # A fold that judges objects of one class only has no AUROC.
        rankings = [ranking for ranking in rankings if ranking.label.any() and not ranking.label.all()]
        for ranking in rankings:
            placement = delong_components(ranking.score[ranking.group], ranking.label)
            for rows in (ranking.label, ~ranking.label):
                part = (placement[rows] - placement[rows].mean()) / (rows.sum() * len(rankings))
                np.add.at(influence, ranking.owner[rows], part)
        low[index], high[index] = delong_interval(
            float(means[index]), influence[judged], problem.strata[judged], confidence
        )
    return low, high


def _by_picture(
    scores: Scores,
    problem: Problem,
    object_score: ObjectScore,
    confidence: float,
    replicates: int,
    seed: int,
    replicator: Replicator,
) -> Ends:
    """The bootstrap that takes each picture for an object of its own; at picture level only."""
    naive = build_problem(scores, problem.strategies, object_score, problem.costs, unit="image")
    ends = percentile_interval(replicator(naive, replicates, seed), confidence)
    place = {estimate: index for index, estimate in enumerate(problem.estimates)}
    columns = [place[estimate] for estimate in naive.estimates]
    low, high = np.full(len(place), np.nan), np.full(len(place), np.nan)
    low[columns], high[columns] = ends
    return low, high
