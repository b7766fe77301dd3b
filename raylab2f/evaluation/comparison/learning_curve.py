"""How the outcome grows with the training sample, from runs that differ in `--train-fraction` only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from raylab2f.errors import UserError
from raylab2f.evaluation.comparison.run_scores import RunScores, agreed_settings, require_same_plan
from raylab2f.evaluation.summary import Interval, evaluate

__all__ = ["DEFAULT_METRICS", "CurvePoint", "curve_groups", "learning_curve"]

DEFAULT_METRICS = ("balanced_accuracy", "auroc")

# Settings in which runs of one curve may differ: the fraction itself, how the scores are evaluated (all alike here),
# what changes no score, and the number of folds, which the fold plans show. The pictures may lie elsewhere.
_FREE = frozenset({"train_fraction", "evaluation", "epoch_scores", "folds"})
_FREE_DATA = frozenset({"data"})


@dataclass(frozen=True)
class CurvePoint:
    """One run.

    Arguments:
        run: its name.
        fraction: of the training objects, in (0, 1].
        pictures: that trained, mean over folds.
        strategy, level, metric: what was measured.
        mean: over folds; `None` where no fold gives a value.
        interval: of the mean, or `None` where there is none.
    """

    run: str
    fraction: float
    pictures: float
    strategy: str
    level: str
    metric: str
    mean: float | None
    interval: Interval | None


def learning_curve(
    runs: Sequence[RunScores],
    *,
    metrics: Sequence[str] | None = None,
    level: str = "object",
    replicates: int = 10_000,
    seed: int = 0,
) -> tuple[CurvePoint, ...]:
    """Evaluate runs alike and order them by the share of the training objects that trained.

    The partitions that choose the threshold and are judged must be the same in all runs, so that only the training
    differs; each interval is a run's own, and neighbouring points share their objects (`raylab2f compare` tests a
    difference where the plans agree in full).

    Arguments:
        runs: at least two, with `train_fraction` in their settings, no fraction twice.
        metrics: as in a summary; `None`: those of `DEFAULT_METRICS` that the strategies have, and the review rate of
            those of two thresholds.
        level: `image` or `object`.
        replicates, seed: of the bootstrap.

    Raises:
        UserError: fewer than two runs, other partitions, settings that differ in more than the fraction, a missing or
            repeated fraction, other rules of evaluation, or an unknown metric.
    """
    if len(runs) < 2:
        raise UserError("A learning curve needs at least two runs with different training fractions.")
    require_same_plan(runs, training=False)
    for other in runs[1:]:
        _require_alike(runs[0], other)
    fractions: dict[float, RunScores] = {}
    for run in runs:
        fraction = run.settings.get("train_fraction")
        if fraction is None:
            raise UserError(f"'{run.path}' does not say which training fraction it had (run.json); leave it out.")
        if float(fraction) in fractions:
            raise UserError(
                f"'{fractions[float(fraction)].path}' and '{run.path}' have the same training fraction {fraction:g}; "
                "give runs with different ones."
            )
        fractions[float(fraction)] = run
    options = agreed_settings(runs, {}, mend="evaluate them alike first with run-cv --resume and the same {option}")
    return tuple(
        point
        for fraction, run in sorted(fractions.items())
        for point in _points(run, fraction, metrics, level, options | {"replicates": replicates, "seed": seed})
    )


def curve_groups(runs: Sequence[RunScores]) -> list[list[RunScores]]:
    """Runs that differ in their training fraction alone, of which `learning_curve` makes one curve.

    Returns:
        Groups of two or more, in the order of the runs; runs without such a companion are in none.
    """
    groups: list[list[RunScores]] = []
    for run in runs:
        if run.settings.get("train_fraction") is None:
            continue
        for group in groups:
            if _of_one_curve(group, run):
                group.append(run)
                break
        else:
            groups.append([run])
    return [group for group in groups if len(group) > 1]


def _of_one_curve(group: Sequence[RunScores], run: RunScores) -> bool:
    if run.settings["train_fraction"] in [other.settings["train_fraction"] for other in group]:
        return False
    try:
        require_same_plan([group[0], run], training=False)
        _require_alike(group[0], run)
    except UserError:
        return False
    return True


def _require_alike(first: RunScores, other: RunScores) -> None:
    """`UserError` naming the first setting of both runs that differs and is not free to."""
    for name in (name for name in first.settings if name in other.settings and name not in _FREE):
        mine, theirs = first.settings[name], other.settings[name]
        if isinstance(mine, dict) and isinstance(theirs, dict):
            free = _FREE_DATA if name == "data" else frozenset()
            keys = [k for k in dict.fromkeys((*mine, *theirs)) if k not in free and mine.get(k) != theirs.get(k)]
            if not keys:
                continue
            name, mine, theirs = f"{name}, {keys[0]}", mine.get(keys[0]), theirs.get(keys[0])
        if mine != theirs:
            raise UserError(
                f"'{first.path}' and '{other.path}' differ in more than the training fraction ({name}: {mine} and "
                f"{theirs}); a learning curve needs runs with another --train-fraction and nothing else."
            )


def _points(
    run: RunScores, fraction: float, metrics: Sequence[str] | None, level: str, options: dict[str, Any]
) -> list[CurvePoint]:
    trained = [sum(partition == "train" for partition in fold.values()) for fold in run.plan.values()]
    summary = evaluate(run.scores, methods=("object-bootstrap",), **options)
    known = dict.fromkeys(row.metric for row in summary.estimates)
    if metrics is None:
        metrics = [metric for metric in (*DEFAULT_METRICS, "review_rate") if metric in known]
    for metric in metrics:
        if metric not in known:
            raise UserError(f"Unknown metric '{metric}'; choose from {', '.join(known)}.")
    if level not in ("image", "object"):
        raise UserError(f"The level is 'image' or 'object', not '{level}'.")
    if all(row.level != level for row in summary.estimates):
        raise UserError(
            f"'{run.path}' has no figures at {level} level, for fewer than 2 objects are without a defective picture; "
            "ask for those of pictures (--level image)."
        )
    return [
        CurvePoint(
            run=run.name,
            fraction=fraction,
            pictures=sum(trained) / len(trained),
            strategy=row.strategy,
            level=row.level,
            metric=row.metric,
            mean=row.mean,
            interval=row.interval,
        )
        for row in summary.estimates
        if row.metric in metrics and row.level == level
    ]
