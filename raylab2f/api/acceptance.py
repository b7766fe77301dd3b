"""`raylab2f.accept`: limits, and whether scores or a run show that they are kept."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any

import pyarrow as pa

from raylab2f.api.evaluation import score_table
from raylab2f.api.functions import offered
from raylab2f.api.results import Result, html_list, html_table
from raylab2f.errors import UserError
from raylab2f.files.places import place_of
from raylab2f.options.declaration import Option
from raylab2f.options.evaluation import PrevalenceOption, ReplicatesOption
from raylab2f.options.limits import Limits, limits_from_file
from raylab2f.options.score_files import ScoreFiles
from raylab2f.options.settings_file import run_record_at

if TYPE_CHECKING:
    from raylab2f.evaluation.acceptance.limits import LimitSet
    from raylab2f.evaluation.acceptance.outcome import Acceptance

__all__ = ["AcceptanceResult", "accept"]

VERDICTS_SCHEMA = pa.schema(
    [
        ("metric", pa.string()),
        ("level", pa.string()),
        ("value", pa.float64()),
        ("at_most", pa.bool_()),
        ("confidence", pa.float64()),
        ("estimate", pa.float64()),
        ("low", pa.float64()),
        ("high", pa.float64()),
        ("verdict", pa.string()),
    ]
)


@dataclass(frozen=True, repr=False)
class AcceptanceResult(Result):
    """A verdict on limits.

    Attributes:
        acceptance: everything that was found; `acceptance.verdict` is `shown`, `refuted` or `not yet shown`.
    """

    acceptance: Acceptance

    @property
    def table(self) -> pa.Table:
        rows = [
            {name: row[name] for name in VERDICTS_SCHEMA.names}
            for row in (limit.to_dict() for limit in self.acceptance.limits)
        ]
        return pa.Table.from_pylist(rows, schema=VERDICTS_SCHEMA)

    def _repr_html_(self) -> str:
        headings = ("metric", "level", "value", "estimate", "low", "high", "verdict")
        rows = [[row[name] for name in headings] for row in self.table.to_pylist()]
        warnings = [f"{warning.code}: {warning}" for warning in self.acceptance.warnings]
        return html_table(self.acceptance.verdict, rows, headings) + html_list("Warnings", warnings)


@offered
def accept(
    scores: Any,
    limits: Limits,
    files: ScoreFiles,
    at: Annotated[tuple[float, ...], Option()] = (),
    strategy: Annotated[str | None, Option()] = None,
    object_score: Annotated[str | None, Option()] = None,
    prevalence: PrevalenceOption = None,
    cost_escape: Annotated[float | None, Option()] = None,
    cost_overkill: Annotated[float | None, Option()] = None,
    cost_review: Annotated[float | None, Option()] = None,
    by: Annotated[tuple[str, ...], Option()] = (),
    replicates: ReplicatesOption = 10_000,
    seed: Annotated[int, Option(minimum=0)] = 0,
) -> AcceptanceResult:
    """Say whether limits on wrong decisions are kept, as `raylab2f accept` does.

    Arguments:
        scores: as for `raylab2f.evaluate`; a run's folder is judged as the run was, unless arguments say otherwise.
        at: the threshold of one finished model, whose scores these are, on parts that nothing else has seen; both, the
            low one first, where a person looks between; none: the scores are of folds.

    Raises:
        UserError: limits, a table or an option that make no sense.

    Example:
        >>> import raylab2f
        >>> scores = {"image_id": [str(n) for n in range(400)], "object_id": [str(n) for n in range(400)],
        ...           "label": [0, 1] * 200, "score": [0.1, 0.9] * 200}
        >>> raylab2f.accept(scores, max_escape=0.02, at=0.5).acceptance.verdict
        'shown'
    """
    from raylab2f.evaluation.acceptance.finished import judge_finished
    from raylab2f.evaluation.acceptance.procedure import judge_procedure

    table, _, as_run, warnings = score_table(scores, files)
    recorded = _limits_of_run(scores)
    set_limits = limits.settings(recorded)
    own: dict[str, Any] = {
        "object_score": object_score,
        "prevalence": prevalence,
        "cost_escape": cost_escape,
        "cost_overkill": cost_overkill,
        "cost_review": cost_review,
        "by": list(by) or None,
    }
    rules: dict[str, Any] = {name: as_run[name] for name in own if name in as_run}
    rules |= {name: value for name, value in own.items() if value is not None}
    if at:
        low, high = _fixed(at, strategy, set_limits.strategy)
        if low is None:
            rules.pop("cost_review", None)  # one threshold reviews nothing
        found = judge_finished(table, high, set_limits.limits, low_threshold=low, seed=seed, **rules)
        return AcceptanceResult(found)
    usual = (as_run.get("strategies") or ["youden"])[0]
    chosen = strategy or set_limits.strategy or (recorded.strategy if recorded else None) or usual
    before = None if recorded is None else recorded.includes(set_limits.limits, chosen, usual)
    found = judge_procedure(table, set_limits.limits, strategy=chosen, replicates=replicates, seed=seed, **rules)
    return AcceptanceResult(replace(found, limits_before=before, warnings=(*warnings, *found.warnings)))


def _fixed(at: tuple[float, ...], strategy: str | None, of_limits: str | None) -> tuple[float | None, float]:
    """The low threshold, if there is one, and the high one.

    Raises:
        UserError: a strategy that would choose as well, one threshold for a strategy of two, or more than two.
    """
    from raylab2f.evaluation.decisions.strategies import parse_strategy

    if strategy is not None:
        raise UserError(f"--strategy {strategy}: with --at nothing is chosen; leave one of them out.")
    if len(at) > 2:
        raise UserError(f"--at: a model has one threshold, or two with a person between, not {len(at)}; give those.")
    if len(at) == 2:
        return at[0], at[1]
    if of_limits is not None and parse_strategy(of_limits).reviews:
        raise UserError(
            f"--at {at[0]:g}: the limits are for the strategy '{of_limits}', which has two thresholds; give both, "
            "--at LOW --at HIGH."
        )
    return None, at[0]


def _limits_of_run(scores: Any) -> LimitSet | None:
    """Those that a run was begun with, none of them where there are none; `None` for scores that are no run's."""
    if not isinstance(scores, (str, os.PathLike)):
        return None
    record = run_record_at(place_of(os.fspath(scores)))
    if record is None:
        return None
    from raylab2f.evaluation.acceptance.limits import LimitSet

    settings = record[1]["settings"].get("limits", {})
    return limits_from_file(record[0]) if settings else LimitSet()
