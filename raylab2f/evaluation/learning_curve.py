"""How the outcome grows with the training sample, from runs that differ in `--train-fraction` only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from raylab2f.errors import UserError
from raylab2f.evaluation.run_scores import RunScores, agreed_settings, require_same_plan
from raylab2f.evaluation.summary import Interval, evaluate

__all__ = ["DEFAULT_METRICS", "CurvePoint", "learning_curve"]

DEFAULT_METRICS = ("balanced_accuracy", "auroc")


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
    metrics: Sequence[str] = DEFAULT_METRICS,
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
        metrics: as in a summary.
        level: `image` or `object`.
        replicates, seed: of the bootstrap.

    Raises:
        UserError: fewer than two runs, other partitions, a missing or repeated fraction, or an unknown metric.
    """
    if len(runs) < 2:
        raise UserError("A learning curve needs at least two runs with different training fractions.")
    require_same_plan(runs, training=False)
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
    options = agreed_settings(runs, {})
    return tuple(
        point
        for fraction, run in sorted(fractions.items())
        for point in _points(run, fraction, metrics, level, options | {"replicates": replicates, "seed": seed})
    )


def _points(
    run: RunScores, fraction: float, metrics: Sequence[str], level: str, options: dict[str, Any]
) -> list[CurvePoint]:
    trained = [sum(partition == "train" for partition in fold.values()) for fold in run.plan.values()]
    summary = evaluate(run.scores, methods=("object-bootstrap",), **options)
    known = dict.fromkeys(row.metric for row in summary.estimates)
    for metric in metrics:
        if metric not in known:
            raise UserError(f"Unknown metric '{metric}'; choose from {', '.join(known)}.")
    if level not in ("image", "object"):
        raise UserError(f"The level is 'image' or 'object', not '{level}'.")
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
