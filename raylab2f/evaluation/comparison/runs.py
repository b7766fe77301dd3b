"""Paired comparison of detectors that were judged on the same folds.

Example:
    >>> import numpy as np, pyarrow as pa
    >>> parts = np.arange(60)
    >>> noise = np.random.default_rng(0).normal(size=(2, 60))
    >>> tables = {
    ...     name: pa.table({
    ...         "image_id": parts.astype(str),
    ...         "label": (parts % 2).astype(int),
    ...         "score": parts % 2 * separation + noise[i],
    ...         "partition": np.where(parts % 4 < 2, "threshold", "inference"),
    ...         "fold": 0 * parts,
    ...     })
    ...     for i, (name, separation) in enumerate({"good": 3.0, "poor": 0.5}.items())
    ... }
    >>> comparison = compare_scores(tables, metrics=("auroc",), replicates=200)
    >>> comparison.differences[0].difference > 0.2
    True
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np
import pyarrow as pa

from raylab2f.errors import UserError
from raylab2f.evaluation.comparison.paired_tests import (
    TTest,
    corrected_t_test,
    correlated_t_posterior,
    holm,
    sign_replicability,
    t_test,
)
from raylab2f.evaluation.comparison.same_rows import require_same_rows
from raylab2f.evaluation.decisions.object_scores import parse_object_score
from raylab2f.evaluation.decisions.strategies import parse_strategy
from raylab2f.evaluation.intervals.bootstrap import CHUNK, weight_blocks, weighted_means
from raylab2f.evaluation.intervals.interval_table import overlap_ratio
from raylab2f.evaluation.outcomes.judging import Problem, build_problem, judge
from raylab2f.evaluation.outcomes.means import mean_outcomes
from raylab2f.evaluation.outcomes.metrics import MEAN_RATE_RATIOS, Costs, lower_is_better
from raylab2f.evaluation.scores import Scores, prepare_scores
from raylab2f.pitfalls import Caution
from raylab2f.seeding import numpy_generator

__all__ = ["DEFAULT_METRICS", "Comparison", "Difference", "compare_scores"]

DEFAULT_METRICS = ("balanced_accuracy", "recall", "specificity", "auroc")


@dataclass(frozen=True)
class Difference:
    """One metric of two runs, first minus second.

    Arguments:
        first, second: the runs.
        strategy, level, metric: as in a summary.
        first_mean, second_mean: the estimates, as in a summary.
        difference: first minus second.
        folds: how many folds give a value.
        bootstrap: t interval from the standard deviation of the difference over bootstrap replicates in which both runs
            get the same objects and choose their thresholds anew; `None` where no replicate gives a value.
        corrected_t: Nadeau and Bengio's; `None` with fewer than two folds, and, as everything else that is about the
            mean of the folds' differences, for `MEAN_RATE_RATIOS`, whose estimates are no such means.
        bootstrap_p_holm, corrected_t_p_holm: p values adjusted for all differences of the comparison.
        first_better, equivalent, second_better: posterior probabilities of the Bayesian correlated t-test; for costs
            and error rates, better is lower. `None` with fewer than two folds.
        replicability: see `sign_replicability`.
    """

    first: str
    second: str
    strategy: str
    level: str
    metric: str
    first_mean: float
    second_mean: float
    difference: float
    folds: int
    bootstrap: TTest | None
    corrected_t: TTest | None
    bootstrap_p_holm: float | None
    corrected_t_p_holm: float | None
    first_better: float | None
    equivalent: float | None
    second_better: float | None
    replicability: float | None


@dataclass(frozen=True)
class Comparison:
    """All differences between runs.

    Arguments:
        runs: names, in the order given.
        settings: everything that the figures depend on beside the scores.
        differences: one row for each pair of runs, strategy, level and metric.
        warnings: one sentence each.
    """

    runs: tuple[str, ...]
    settings: Mapping[str, Any]
    differences: tuple[Difference, ...]
    warnings: tuple[Caution, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, `None` for what is undefined."""
        return {
            "version": 1,
            "runs": list(self.runs),
            "settings": dict(self.settings),
            "differences": [asdict(row) for row in self.differences],
            "warnings": [warning.to_dict() for warning in self.warnings],
        }


def compare_scores(
    tables: Mapping[str, pa.Table],
    *,
    metrics: Sequence[str] | None = None,
    levels: Sequence[str] = ("object",),
    strategies: Sequence[str] = ("youden",),
    rope: float = 0.01,
    confidence: float = 0.95,
    replicates: int = 10_000,
    seed: int = 0,
    object_score: str = "max",
    prevalence: float | None = None,
    cost_escape: float = 10.0,
    cost_overkill: float = 1.0,
    cost_review: float = 0.25,
    beta: float = 2.0,
) -> Comparison:
    """Compare every pair of runs.

    The adjusted p values take all differences that are asked for as one family, so asking for more costs power.

    Arguments:
        tables: name -> score table with `fold` and `partition`; the same pictures in the same partitions.
        metrics: as in a summary, at least one; `None`: those of `DEFAULT_METRICS` that the strategies have, and the
            review rate of those of two thresholds.
        levels: `image`, `object` or both.
        strategies: threshold strategies.
        rope: half-width of the region of practical equivalence, in the unit of the metric.
        confidence: of the intervals, in (0, 1).
        replicates: of the bootstrap, at least 2.
        seed: of the bootstrap.
        object_score, prevalence, cost_escape, cost_overkill, cost_review, beta: as for `evaluate`.

    Raises:
        UserError: fewer than two tables, different folds or labels, or an option that makes no sense.
    """
    _check_options(tables, levels, rope, confidence, replicates)
    costs = Costs(cost_escape, cost_overkill, prevalence, beta, review=cost_review)
    parsed = tuple(parse_strategy(text, costs.parameters) for text in dict.fromkeys(strategies))
    rule = parse_object_score(object_score)
    require_same_rows(tables)
    scores = {name: prepare_scores(table) for name, table in tables.items()}
    problems = {name: build_problem(part, parsed, rule, costs) for name, part in scores.items()}
    first = next(iter(tables))
    unjudged = _left_out_levels(problems[first], levels)
    wanted = _select(problems[first], metrics, levels)
    values = {name: judge(problem, np.ones((len(problem.strata), 1))).values for name, problem in problems.items()}
    folds = {name: part[wanted, :, 0] for name, part in values.items()}
    estimated = {name: mean_outcomes(problems[name], part)[wanted, 0] for name, part in values.items()}
    drawn = _paired_replicates(scores, problems, wanted, replicates, seed)
    ratio = overlap_ratio(scores[first])
    rows = []
    for one, other in combinations(tables, 2):
        for index, number in enumerate(wanted):
            estimate = problems[first].estimates[number]
            means = float(estimated[one][index]), float(estimated[other][index])
            if np.isnan(means).any():
                continue
            change = drawn[one][index] - drawn[other][index]
            test = _bootstrap_test(means[0] - means[1], change, problems[first], confidence)
            names = (one, other, estimate.strategy, estimate.level, estimate.metric)
            by_fold = folds[one][index] - folds[other][index]
            rows.append(_difference(names, means, by_fold[~np.isnan(by_fold)], test, ratio, rope, confidence))
    warnings = dict.fromkeys((*(sentence for part in scores.values() for sentence in part.warnings), *unjudged))
    if len(next(iter(folds.values()))[0]) == 1:
        warnings[Caution("RL302", "There is only one fold: the tests over folds do not apply.")] = None
    return Comparison(
        runs=tuple(tables),
        settings={
            "strategies": [strategy.text for strategy in parsed],
            "rope": rope,
            "confidence": confidence,
            "replicates": replicates,
            "seed": seed,
            "object_score": str(rule),
            "prevalence": prevalence,
            "cost_escape": cost_escape,
            "cost_overkill": cost_overkill,
            "cost_review": cost_review,
            "beta": beta,
            "comparisons": len(rows),
        },
        differences=tuple(_adjust(rows)),
        warnings=tuple(warnings),
    )


def _check_options(
    tables: Mapping[str, pa.Table], levels: Sequence[str], rope: float, confidence: float, replicates: int
) -> None:
    if len(tables) < 2:
        raise UserError("Give at least two runs to compare.")
    for level in levels:
        if level not in ("image", "object"):
            raise UserError(f"The level is 'image' or 'object', not '{level}'.")
    if not (rope >= 0 and np.isfinite(rope)):
        raise UserError(f"The region of practical equivalence is a half-width of at least 0, not {rope}.")
    if not 0 < confidence < 1:
        raise UserError(f"The confidence is between 0 and 1, not {confidence}.")
    if replicates < 2:
        raise UserError(f"The number of replicates is at least 2, not {replicates}.")


def _left_out_levels(problem: Problem, levels: Sequence[str]) -> list[Caution]:
    """What to say of the levels asked for that the runs do not have.

    Raises:
        UserError: no other level is asked for.
    """
    if problem.no_object_level is None or "object" not in levels:
        return []
    if set(levels) == {"object"}:
        raise UserError(
            f"There is no object level to compare at, for {problem.no_object_level}; compare pictures (--level image)."
        )
    return [Caution("RL305", f"The object level is left out, for {problem.no_object_level}.")]


def _select(problem: Problem, metrics: Sequence[str] | None, levels: Sequence[str]) -> list[int]:
    known = list(dict.fromkeys(estimate.metric for estimate in problem.estimates))
    if metrics is None:
        metrics = [metric for metric in (*DEFAULT_METRICS, "review_rate") if metric in known]
    for metric in metrics:
        if metric not in known:
            raise UserError(f"Unknown metric '{metric}'; choose from {', '.join(known)}.")
    if not metrics:
        raise UserError("Name at least one metric.")
    place: dict[tuple[str, str], list[int]] = {}
    for index, estimate in enumerate(problem.estimates):
        place.setdefault((estimate.metric, estimate.level), []).append(index)
    return [
        index
        for level in dict.fromkeys(levels)
        for metric in dict.fromkeys(metrics)
        for index in place.get((metric, level), [])
    ]


def _paired_replicates(
    scores: Mapping[str, Scores], problems: Mapping[str, Problem], wanted: Sequence[int], replicates: int, seed: int
) -> dict[str, np.ndarray]:
    """For each run (wanted estimates, replicates): all runs get the same objects in the same replicate."""
    # Runs number their objects by their scores; objects are matched by name, in the order of the names.
    order = {name: np.argsort(part.object_names, kind="stable") for name, part in scores.items()}
    first = next(iter(scores))
    strata = problems[first].strata[order[first]]
    parts: dict[str, list[np.ndarray]] = {name: [] for name in scores}
    for chunk in range(-(-replicates // CHUNK)):
        size = min(CHUNK, replicates - chunk * CHUNK)
        for drawn in weight_blocks(strata, size, numpy_generator(seed, "paired-bootstrap", chunk)):
            for name, problem in problems.items():
                weights = np.empty_like(drawn)
                weights[order[name]] = drawn
                parts[name].append(weighted_means(problem, weights)[wanted])
    return {name: np.concatenate(blocks, axis=1) for name, blocks in parts.items()}


def _bootstrap_test(difference: float, drawn: np.ndarray, problem: Problem, confidence: float) -> TTest | None:
    """`drawn`: (b,) replicates of the difference; `problem`: says how many objects of a class are judged."""
    valid = drawn[~np.isnan(drawn)]
    if len(valid) < 2:
        return None
    # Resampling n objects within their class understates the variance by (n - 1) / n.
    smaller = max(min(problem.judged_classes()), 2)
    error = float(valid.std()) * np.sqrt(smaller / (smaller - 1))
    test = t_test(difference, float(error), problem.degrees, confidence)
    # No test can be surer than an exact one: swapping the runs object by object has 2^n outcomes.
    return replace(test, p=max(test.p, 2.0 ** (1 - int(problem.judged_objects().sum()))))


def _difference(
    names: tuple[str, str, str, str, str],
    means: tuple[float, float],
    by_fold: np.ndarray,
    test: TTest | None,
    ratio: float,
    rope: float,
    confidence: float,
) -> Difference:
    folds = by_fold[:0] if names[4] in MEAN_RATE_RATIOS else by_fold
    posterior = correlated_t_posterior(folds, ratio, rope)
    if posterior is not None and not lower_is_better(names[4]):
        posterior = posterior[::-1]
    first_better, equivalent, second_better = posterior or (None, None, None)
    return Difference(
        *names,
        first_mean=means[0],
        second_mean=means[1],
        difference=means[0] - means[1],
        folds=len(by_fold),
        bootstrap=test,
        corrected_t=corrected_t_test(folds, ratio, confidence),
        bootstrap_p_holm=None,
        corrected_t_p_holm=None,
        first_better=first_better,
        equivalent=equivalent,
        second_better=second_better,
        replicability=sign_replicability(folds),
    )


def _adjust(rows: Sequence[Difference]) -> list[Difference]:
    by_bootstrap = holm(np.array([row.bootstrap.p if row.bootstrap else np.nan for row in rows]))
    by_folds = holm(np.array([row.corrected_t.p if row.corrected_t else np.nan for row in rows]))
    return [
        replace(
            row,
            bootstrap_p_holm=float(p) if row.bootstrap else None,
            corrected_t_p_holm=float(q) if row.corrected_t else None,
        )
        for row, p, q in zip(rows, by_bootstrap, by_folds, strict=True)
    ]
