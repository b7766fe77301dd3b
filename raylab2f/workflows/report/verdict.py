"""The verdict on a run: its limits, judged, or that there are none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from raylab2f.evaluation.acceptance.limits import Limit, LimitSet
from raylab2f.evaluation.acceptance.procedure import judge_procedure
from raylab2f.runs.folder import RunSettings

__all__ = ["acceptance_of_run"]

_RULES = ("object_score", "prevalence", "cost_escape", "cost_overkill", "cost_review", "by", "replicates")


def acceptance_of_run(
    settings: RunSettings,
    scores: pa.Table,
    summary: Mapping[str, Any],
    later: Sequence[Limit] = (),
) -> dict[str, Any] | None:
    """`Acceptance.to_dict()` of a run by its limits; `None` where it has none.

    Arguments:
        scores: of all its finished folds.
        summary: the content of its `summary.json`, with the rules by which it was judged.
        later: limits that are judged instead of those that it was begun with.

    Raises:
        UserError: a limit on a figure that the scores do not give.
    """
    recorded = LimitSet.from_dict(settings.limits)
    limits = tuple(later) or recorded.limits
    if not limits:
        return None
    rules = {name: summary["settings"][name] for name in _RULES if name in summary["settings"]}
    strategy = recorded.strategy or summary["settings"]["strategies"][0]
    found = judge_procedure(scores, limits, strategy=strategy, seed=summary["seed"], **rules)
    return {**found.to_dict(), "limits_before": set(limits) <= set(recorded.limits)}
