"""The verdict on a run: its limits, judged, or that there are none."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pyarrow as pa

from raylab2f.evaluation.acceptance.limits import LimitSet
from raylab2f.evaluation.acceptance.procedure import judge_procedure
from raylab2f.runs.folder import RunSettings

__all__ = ["acceptance_of_run"]

_RULES = ("object_score", "prevalence", "cost_escape", "cost_overkill", "cost_review", "by", "replicates")


def acceptance_of_run(
    settings: RunSettings,
    scores: pa.Table,
    summary: Mapping[str, Any],
    judged: Callable[[LimitSet], LimitSet] = lambda recorded: recorded,
) -> dict[str, Any] | None:
    """`Acceptance.to_dict()` of a run by its limits; `None` where it has none.

    Arguments:
        scores: of all its finished folds.
        summary: the content of its `summary.json`, with the rules by which it was judged.
        judged: what is judged, of the limits that it was begun with: these, or others that came later.

    Raises:
        UserError: a limit on a figure that the scores do not give.
    """
    recorded = LimitSet.from_dict(settings.limits)
    chosen = judged(recorded)
    if not chosen.limits:
        return None
    rules = {name: summary["settings"][name] for name in _RULES if name in summary["settings"]}
    usual = summary["settings"]["strategies"][0]
    strategy = chosen.strategy or recorded.strategy or usual
    found = judge_procedure(scores, chosen.limits, strategy=strategy, seed=summary["seed"], **rules)
    return {**found.to_dict(), "limits_before": recorded.includes(chosen.limits, strategy, usual)}
