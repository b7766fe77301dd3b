"""`raylab2f.compare`: paired differences between runs on the same folds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Any

import pyarrow as pa

from raylab2f.api.functions import offered
from raylab2f.api.results import Result, html_list, html_table
from raylab2f.errors import UserError
from raylab2f.files.places import distinct_names, is_uri
from raylab2f.options.comparison import Compared
from raylab2f.options.declaration import Option
from raylab2f.options.evaluation import AsEvaluated, ReplicatesOption

if TYPE_CHECKING:
    from raylab2f.evaluation.comparison.run_scores import RunScores
    from raylab2f.evaluation.comparison.runs import Comparison, Difference

__all__ = ["RunComparison", "compare", "read_run_at"]

_RUN_FILES = ("run.json", "folds/*/split.parquet", "folds/*/scores.parquet")
_NUMBERS = (
    "first_mean",
    "second_mean",
    "difference",
    "low",
    "high",
    "p",
    "p_holm",
    "p_folds",
    "p_folds_holm",
    "first_better",
    "equivalent",
    "second_better",
    "replicability",
)
DIFFERENCES_SCHEMA = pa.schema(
    [(name, pa.string()) for name in ("first", "second", "strategy", "level", "metric")]
    + [(name, pa.float64()) for name in _NUMBERS]
    + [("folds", pa.int64())]
)


@dataclass(frozen=True, repr=False)
class RunComparison(Result):
    """Differences between runs.

    Attributes:
        comparison: everything that was found.
        differences: one row for each pair of runs, strategy, level and metric, in `DIFFERENCES_SCHEMA`: `low`,
            `high` and `p` of the paired bootstrap, `p_folds` of the corrected resampled t-test, `_holm` adjusted.
        warnings: what to know before the figures are trusted.
    """

    comparison: Comparison

    @property
    def differences(self) -> pa.Table:
        rows = [_row(difference) for difference in self.comparison.differences]
        return pa.Table.from_pylist(rows, schema=DIFFERENCES_SCHEMA)

    @property
    def warnings(self) -> tuple[str, ...]:
        return self.comparison.warnings

    @property
    def table(self) -> pa.Table:
        return self.differences

    def _repr_html_(self) -> str:
        headings = ("first", "second", "strategy", "level", "metric", "difference", "low", "high", "p_holm")
        rows = [[row[name] for name in headings] for row in self.differences.to_pylist()]
        return html_table("first - second", rows, headings) + html_list("Warnings", self.warnings)


@offered
def compare(
    runs: Annotated[tuple[str, ...], Option(kind="place")],
    compared: Compared,
    judged: AsEvaluated,
    replicates: ReplicatesOption = 10_000,
    seed: Annotated[int, Option(minimum=0)] = 0,
) -> RunComparison:
    """Say which of several detectors is better, and how sure that is, as `raylab2f compare` does.

    Arguments:
        runs: at least two finished runs with the same fold plan: folders, URIs, or runs of a `CrossValidation`.

    Raises:
        UserError: runs that cannot be compared, or an option that makes no sense.
    """
    from raylab2f.evaluation.comparison.run_scores import agreed_settings, require_same_plan
    from raylab2f.evaluation.comparison.runs import compare_scores

    if len(runs) < 2:
        raise UserError("Give the folders of at least two runs to compare.")
    found = [read_run_at(place, name) for place, name in zip(runs, distinct_names(runs), strict=True)]
    require_same_plan(found)
    comparison = compare_scores(
        {run.name: run.scores for run in found},
        metrics=compared.metric or None,
        levels=("image", "object") if compared.level == "both" else (compared.level,),
        rope=compared.rope,
        replicates=replicates,
        seed=seed,
        **agreed_settings(found, judged.given()),
    )
    return RunComparison(comparison)


def read_run_at(place: str, name: str | None = None) -> RunScores:
    """`raylab2f.evaluation.comparison.run_scores.read_run` for a run folder anywhere."""
    from raylab2f.evaluation.comparison.run_scores import read_run
    from raylab2f.files.mirror import fetch

    folder = fetch(place, _RUN_FILES)
    if is_uri(place) and not (folder / "folds").is_dir():
        raise UserError(f"{place} holds no run; give the URI of a finished run's folder.")
    return read_run(folder, name)


def _row(difference: Difference) -> Mapping[str, Any]:
    values = asdict(difference)
    bootstrap, folds = values["bootstrap"] or {}, values["corrected_t"] or {}
    return values | {
        "low": bootstrap.get("low"),
        "high": bootstrap.get("high"),
        "p": bootstrap.get("p"),
        "p_holm": values["bootstrap_p_holm"],
        "p_folds": folds.get("p"),
        "p_folds_holm": values["corrected_t_p_holm"],
    }
