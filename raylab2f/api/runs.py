"""`raylab2f.cross_validate` and `raylab2f.diagnose`: runs, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import pyarrow as pa
from rich.console import Console

from raylab2f import plugins
from raylab2f.api.evaluation import estimates_table, show_estimates
from raylab2f.api.functions import offered
from raylab2f.api.reports import Report, report
from raylab2f.api.results import Result, html_list, html_table
from raylab2f.errors import UserError
from raylab2f.options.declaration import Option
from raylab2f.options.detector import DetectorChoice
from raylab2f.options.diagnosis import Diagnosing, OnlyOption, parse_doses
from raylab2f.options.evaluation import Evaluation, MuteOption
from raylab2f.options.limits import LimitsFileOption
from raylab2f.options.pictures import DataOption, Pictures
from raylab2f.options.places import Cluster, RunPlaces, Workplace, default_cache
from raylab2f.options.preparation import Preparation
from raylab2f.options.protocol import Protocol
from raylab2f.options.runs import place_runs
from raylab2f.pitfalls import parse_codes
from raylab2f.reporting.printing import plain_console

if TYPE_CHECKING:
    from raylab2f.api.detection import DetectionResult
    from raylab2f.cluster.training.folds import FoldFailure
    from raylab2f.diagnostics import Finding

__all__ = ["CrossValidation", "Diagnosis", "Run", "cross_validate", "diagnose"]


@dataclass(frozen=True, repr=False)
class Run(Result):
    """One run with at least one finished fold; `compare`, `diagnose` and `plan_samples` take it for its folder.

    Attributes:
        place: its folder, or its URI.
        summary: the content of its `summary.json`.
        failures: folds that did not finish; each has a `fold` and a `message`.
        estimates: one row for each strategy, level and metric, as in `EvaluationResult`.
        metrics: every fold's value, as in `EvaluationResult`.
        warnings: what to know before the figures are trusted, each with its `code` and `text`.
    """

    place: str
    summary: Mapping[str, Any]
    failures: tuple[FoldFailure, ...] = ()

    def __fspath__(self) -> str:
        return self.place

    @property
    def estimates(self) -> pa.Table:
        return estimates_table(self.summary["estimates"])

    @property
    def metrics(self) -> pa.Table:
        from raylab2f.files.parquet import read_parquet
        from raylab2f.runs.folder import RunFolder

        return read_parquet(RunFolder(self.place).metrics)

    @property
    def warnings(self) -> Sequence[Mapping[str, str]]:
        return self.summary["warnings"]

    @property
    def table(self) -> pa.Table:
        return self.estimates

    def report(self) -> Report:
        """The run's page, made anew; a notebook shows it."""
        return report((self.place,))

    def pod(self, **options: Any) -> DetectionResult:
        """How large a defect must be to be found; options as those of `raylab2f.pod`."""
        from raylab2f.api.detection import pod

        return pod(self.place, **options)

    def _repr_html_(self) -> str:
        failed = [f"fold {failure.fold}: {failure.message}" for failure in self.failures]
        return show_estimates(f"run in {self.place}", self.summary) + html_list("Folds that failed", failed)


@dataclass(frozen=True, repr=False)
class CrossValidation(Result):
    """What `cross_validate` did.

    Attributes:
        runs: one for each detector and seed.
        estimates: those of all runs, with the columns `run`, `detector` and `seed` before them.
    """

    runs: tuple[Run, ...]

    @property
    def estimates(self) -> pa.Table:
        tables = []
        for run in self.runs:
            table = run.estimates
            for name, value in (
                ("seed", run.summary["seed"]),
                ("detector", run.summary["detector"]),
                ("run", run.place),
            ):
                table = table.add_column(0, name, pa.array([value] * table.num_rows))
            tables.append(table)
        return pa.concat_tables(tables)

    @property
    def table(self) -> pa.Table:
        return self.estimates

    def _repr_html_(self) -> str:
        return "".join(run._repr_html_() for run in self.runs)


@dataclass(frozen=True, repr=False)
class Diagnosis(Result):
    """Pitfalls looked for in a run.

    Attributes:
        findings: one of each diagnosis that was made, with its evidence; muted ones included.
        muted: codes that were silenced.
        table: `code`, `name`, `verdict`, `muted`, `value`, `low`, `high`, `bound`, `why` of each.
    """

    findings: tuple[Finding, ...]
    muted: tuple[str, ...] = ()

    def to_dicts(self) -> list[dict[str, Any]]:
        """The findings as they stand in `diagnosis.json`."""
        return [finding.to_dict(self.muted) for finding in self.findings]

    @property
    def table(self) -> pa.Table:
        rows = []
        for finding in self.to_dicts():
            figure = finding["figure"] or {"value": None, "interval": {"low": None, "high": None}}
            row = {name: finding[name] for name in ("code", "name", "verdict", "muted", "bound", "why")}
            rows.append(row | {"value": figure["value"]} | {end: figure["interval"][end] for end in ("low", "high")})
        return pa.Table.from_pylist(rows, schema=_FINDINGS_SCHEMA)

    def _repr_html_(self) -> str:
        headings = ("code", "name", "verdict", "value", "low", "high", "bound", "why")
        rows = [[row[name] for name in headings] for row in self.table.to_pylist() if not row["muted"]]
        silent = [f"{row['name']} ({row['code']})" for row in self.table.to_pylist() if row["muted"]]
        return html_table("diagnosis", rows, headings) + html_list("Muted", silent)


_FINDINGS_SCHEMA = pa.schema(
    [
        ("code", pa.string()),
        ("name", pa.string()),
        ("verdict", pa.string()),
        ("muted", pa.bool_()),
        ("value", pa.float64()),
        ("low", pa.float64()),
        ("high", pa.float64()),
        ("bound", pa.string()),
        ("why", pa.string()),
    ]
)


@offered
def cross_validate(
    pictures: Pictures,
    preparation: Preparation,
    detector: DetectorChoice,
    protocol: Protocol,
    evaluation: Evaluation,
    places: RunPlaces,
    cluster: Cluster,
    data: DataOption = None,
    limits: LimitsFileOption = None,
    mute: MuteOption = (),
    config: Annotated[str | None, Option(kind="place", passing=True)] = None,
    console: Console | None = None,
) -> CrossValidation:
    """Train one detector per resampling fold and estimate escapes and overkill with intervals: `raylab2f run-cv`.

    Arguments:
        config: file of settings, or a finished run; what the call says goes before it.
        console: where progress and warnings go; `None`: the standard output.

    Raises:
        UserError: an option that makes no sense, or a run of which no fold finished.
    """
    if cluster.dry_run:
        raise UserError("dry_run: a forecast is a matter of the command line; see raylab2f run-cv --dry-run.")
    asked = place_runs(
        data, pictures, preparation, detector, protocol, evaluation, mute, places, limits, cluster.budget()
    )
    placed = asked.runs

    from raylab2f.reporting import Display
    from raylab2f.workflows.cross_validation import run_cross_validation, unfinished_sentence
    from raylab2f.workflows.finishing import finish_run

    cache = default_cache(places.cache, placed[0][1] if places.resume else None)
    display = Display(console or plain_console())
    for refusal in asked.refused:
        display.warn(f"{refusal} The other detectors go on.")
    outcomes = run_cross_validation(
        placed,
        cache=cache,
        display=display,
        resources=cluster.resources(),
        address=cluster.address,
        dashboard=cluster.dashboard,
        tensorboard=cluster.tensorboard,
        mlflow=cluster.mlflow,
        resume=places.resume,
    )
    runs = []
    for outcome, (settings, place) in zip(outcomes, placed, strict=True):
        if outcome.summary is None:
            continue
        finish_run(place, outcome.summary, cache=cache, display=display, mute=settings.evaluation["mute"])
        runs.append(Run(outcome.place, outcome.summary, outcome.failures))
    # The others are on disk by now, as whole as if they had been alone.
    if sentence := unfinished_sentence(outcomes, "give resume=True", asked.refused):
        raise UserError(sentence)
    return CrossValidation(tuple(runs))


@offered
def diagnose(
    run: Annotated[str, Option(kind="place")],
    diagnosing: Diagnosing,
    workplace: Workplace,
    only: OnlyOption = (),
    mute: MuteOption = (),
    console: Console | None = None,
) -> Diagnosis:
    """Look for pitfalls in a finished run, as `raylab2f diagnose` does; writes `diagnosis.json` and `figures/` into it.

    Arguments:
        run: its folder, its URI, or a run that `cross_validate` returned.
        console: where progress goes; `None`: the standard output.

    Raises:
        UserError: no such run, or an option that makes no sense.
    """
    muted = parse_codes(mute, of_others=bool(plugins.added_names(plugins.DIAGNOSES)))
    expected = parse_doses(diagnosing.expect)

    from raylab2f.reporting import Display
    from raylab2f.workflows.diagnosis import diagnose_run

    findings = diagnose_run(
        run,
        cache=default_cache(workplace.cache, run),
        display=Display(console or plain_console()),
        only=only or None,
        stored_only=diagnosing.stored_only,
        pictures_per_fold=diagnosing.pictures,
        expected=expected,
        address=workplace.address,
        mute=muted,
        by=diagnosing.by,
    )
    return Diagnosis(tuple(findings), muted)
