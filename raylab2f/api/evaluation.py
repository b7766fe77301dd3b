"""`raylab2f.evaluate`: the scores of any detector, judged."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import pyarrow as pa

from raylab2f.api.functions import offered
from raylab2f.api.results import Result, html_list, html_table
from raylab2f.errors import UserError, first_line
from raylab2f.files.places import absolute, file_exists, is_uri, join, name_of, place_of
from raylab2f.options.declaration import Option
from raylab2f.options.evaluation import Evaluation, MuteOption
from raylab2f.options.protocol import MOST_FOLDS
from raylab2f.options.score_files import ScoreFiles
from raylab2f.pitfalls import Caution, parse_codes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from raylab2f.evaluation import Summary

__all__ = [
    "EvaluationResult",
    "GivenScores",
    "estimates_table",
    "evaluate",
    "is_run",
    "score_table",
    "show_estimates",
]

ESTIMATES_SCHEMA = pa.schema(
    [
        ("strategy", pa.string()),
        ("level", pa.string()),
        ("metric", pa.string()),
        ("mean", pa.float64()),
        ("low", pa.float64()),
        ("high", pa.float64()),
        ("std", pa.float64()),
        ("folds", pa.int64()),
        ("interval", pa.string()),
        ("confidence", pa.float64()),
    ]
)


@dataclass(frozen=True, repr=False)
class EvaluationResult(Result):
    """Scores, judged.

    Attributes:
        summary: everything that was found; `summary.find("auroc")` is one estimate.
        estimates: one row for each strategy, level and metric, in `ESTIMATES_SCHEMA`: the mean over folds, the ends
            of its interval and by which method, the standard deviation over folds.
        metrics: `fold`, `strategy`, `level`, `metric`, `value`, `threshold`, `low_threshold`: every fold's value.
        probabilities: `fold`, `level`, `id`, `label`, `score`, `probability`, `low`, `high`: how likely each judged
            picture and part is defective; `None` where it was not asked for.
        warnings: what to know before the figures are trusted, each a text with the `code` of its pitfall.
        muted: warnings that `mute` silenced.
    """

    summary: Summary

    @property
    def estimates(self) -> pa.Table:
        return estimates_table(self.summary.to_dict()["estimates"])

    @property
    def metrics(self) -> pa.Table:
        return self.summary.metrics

    @property
    def probabilities(self) -> pa.Table | None:
        return self.summary.probabilities

    @property
    def warnings(self) -> tuple[str, ...]:
        return self.summary.warnings

    @property
    def muted(self) -> tuple[str, ...]:
        return self.summary.muted

    @property
    def table(self) -> pa.Table:
        return self.estimates

    def _repr_html_(self) -> str:
        name = (self.summary.dataset or {}).get("name")
        return show_estimates(f"{name or 'scores'}, {self.summary.finished} folds", self.summary.to_dict())


@offered
def evaluate(
    scores: Any,
    evaluation: Evaluation,
    files: ScoreFiles,
    mute: MuteOption = (),
    folds: Annotated[int, Option(minimum=1, maximum=MOST_FOLDS)] = 10,
    seed: Annotated[int, Option(minimum=0)] = 0,
) -> EvaluationResult:
    """Judge a table of scores, from whatever tool it comes, as `raylab2f evaluate` does.

    Arguments:
        scores: path or URI of a Parquet or CSV file, table of pyarrow, data frame of pandas, or columns by name:
            `image_id`, `label`, `score`; optionally `fold`, `partition`, `object_id`, `defect_type`. Or a file of
            another tool (docs/score_files.md). Or a run's folder: the scores of its folds, judged with these options
            and not with the run's own.

    Raises:
        UserError: a table or an option that makes no sense.

    Example:
        >>> import raylab2f
        >>> result = raylab2f.evaluate(
        ...     {"image_id": list("abcdefgh"), "label": [0, 1] * 4, "score": [0.1, 0.8, 0.2, 0.9, 0.3, 0.7, 0.4, 0.6]},
        ...     folds=2, replicates=50,
        ... )
        >>> result.summary.find("auroc").mean
        1.0
    """
    from raylab2f import evaluation as judging

    given = score_table(scores, files)
    summary = judging.evaluate(
        given.table,
        folds=folds,
        seed=seed,
        mute=parse_codes(mute),
        dataset={"name": given.name},
        warnings=given.warnings,
        **evaluation.rules(),
    )
    return EvaluationResult(summary)


def estimates_table(estimates: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Estimates of a summary as a table in `ESTIMATES_SCHEMA`."""
    rows = []
    for estimate in estimates:
        ends = estimate["interval"] or {}
        row = {name: estimate[name] for name in ("strategy", "level", "metric", "mean", "std", "folds")}
        rows.append(
            row | {"interval": ends.get("method")} | {name: ends.get(name) for name in ("low", "high", "confidence")}
        )
    return pa.Table.from_pylist(rows, schema=ESTIMATES_SCHEMA)


def show_estimates(title: str, summary: Mapping[str, Any]) -> str:
    """The estimates and warnings of a `summary.json` as HTML."""
    headings = ("strategy", "level", "metric", "mean", "low", "high")
    rows = [[row[name] for name in headings] for row in estimates_table(summary["estimates"]).to_pylist()]
    warnings = [f"{warning['code']}: {warning['text']}" for warning in summary["warnings"]]
    muted = [f"{warning['code']}: {warning['text']}" for warning in summary["muted"]]
    return html_table(title, rows, headings) + html_list("Warnings", warnings) + html_list("Muted", muted)


class GivenScores(NamedTuple):
    """A table of scores, what to call it, how a run judged it (arguments of `evaluation.evaluate`), and warnings."""

    table: pa.Table
    name: str
    rules: Mapping[str, Any]
    warnings: tuple[Caution, ...] = ()


def score_table(scores: Any, files: ScoreFiles) -> GivenScores:
    """What was given as scores: a run, a file of any tool, or a table."""
    is_place = isinstance(scores, (str, os.PathLike))
    if (files.source or files.manifest) and (not is_place or is_run(place_of(os.fspath(scores)))):
        raise UserError("--from and --manifest are about files of scores; leave them out for a run or a table.")
    if is_place:
        from raylab2f.evaluation.readers import read_score_file
        from raylab2f.files.mirror import fetch_file

        place = place_of(os.fspath(scores))
        if is_run(place):
            from raylab2f.api.comparison import read_run_at

            run = read_run_at(place)
            rules = run.settings.get("evaluation", {})
            return GivenScores(run.scores, name_of(absolute(place)), rules if isinstance(rules, Mapping) else {})
        manifest = None if files.manifest is None else fetch_file(place_of(files.manifest))
        found = read_score_file(fetch_file(place), files.source, manifest)
        return GivenScores(found.table, PurePosixPath(name_of(place)).stem, {}, found.warnings)
    if isinstance(scores, pa.Table):
        return GivenScores(scores, "scores", {})
    try:
        if type(scores).__module__.partition(".")[0] == "pandas":
            return GivenScores(pa.Table.from_pandas(scores, preserve_index=False), "scores", {})
        if isinstance(scores, Mapping):
            columns = {str(name): _column(column) for name, column in scores.items()}
            return GivenScores(pa.table(columns), "scores", {})
        if hasattr(scores, "__arrow_c_stream__"):
            return GivenScores(pa.table(scores), "scores", {})
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise UserError(
            f"scores: these columns make no table ({first_line(error)}); give columns of one length."
        ) from error
    raise UserError(
        f"scores: {type(scores).__name__} is no table of scores; give a path, a table of pyarrow, a data frame of "
        "pandas or columns by name."
    )


def is_run(place: str) -> bool:
    """Whether scores at this place are those of a run's folder, rather than a table's."""
    return file_exists(join(place, "run.json")) if is_uri(place) else os.path.isdir(place)  # noqa: PTH112  # no error


def _column(values: Any) -> Any:
    """What pyarrow makes a column of: arrays as they are, other sequences as lists."""
    return values if hasattr(values, "__array__") or isinstance(values, (pa.Array, pa.ChunkedArray)) else list(values)
