"""How the outcome grows with the training parts, where runs on one page differ in nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from raylab2f.errors import UserError
from raylab2f.evaluation.comparison.learning_curve import curve_groups, learning_curve
from raylab2f.evaluation.comparison.run_scores import RunScores
from raylab2f.evaluation.decisions.strategies import parse_strategy
from raylab2f.reporting.page.sentences import ends_of

__all__ = ["learning_curves"]

_METRICS = ("escape_rate", "overkill_rate", "auroc")


def learning_curves(runs: Sequence[RunScores], contents: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """The curves of runs that differ in their training fraction alone.

    Arguments:
        runs: all runs of a page.
        contents: what the page says of each, in the same order.

    Returns:
        By name of a run that has one: `rows`, by ascending fraction, of `run`, `fraction`, `pictures` that trained,
        `metric`, `mean`, `low` and `high`, by the rules that the page's figures follow; `reason`, why there are none,
        or `None`.
    """
    said = {run.name: content for run, content in zip(runs, contents, strict=True)}
    found = {}
    for group in curve_groups(runs):
        curve = _curve(group, said[group[0].name])
        found.update(dict.fromkeys((run.name for run in group), curve))
    return found


def _curve(group: Sequence[RunScores], content: Mapping[str, Any]) -> dict[str, Any]:
    rules, strategy = content["rules"], content["strategy"]
    metrics = [*_METRICS, "review_rate"] if parse_strategy(strategy).reviews else _METRICS
    try:
        points = learning_curve(
            group, metrics=metrics, level=content["level"], replicates=rules["replicates"], seed=content["seed"]
        )
    except UserError as error:
        return {"reason": f"There is no learning curve of these runs: {error}", "rows": []}
    rows = [
        {
            "run": point.run,
            "fraction": point.fraction,
            "pictures": point.pictures,
            "metric": point.metric,
            "mean": point.mean,
            **ends_of(None if point.interval is None else vars(point.interval)),
        }
        for point in points
        if point.strategy in (strategy, "any")
    ]
    return {"reason": None, "rows": rows}
