"""`raylab2f run-cv`: one model per fold, thresholds, metrics with intervals."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console

from raylab2f.cli.detector_options import configure
from raylab2f.cli.options import (
    AddressOption,
    AnomalousOption,
    BetaOption,
    CacheOption,
    CategoryOption,
    ConfidenceOption,
    CostEscapeOption,
    CostOverkillOption,
    DataOption,
    IntervalOption,
    LayoutOption,
    NominalOption,
    ObjectIdOption,
    ObjectScoreOption,
    PixelLimitOption,
    PrevalenceOption,
    ReplicatesOption,
    SkipUnreadableOption,
    ThresholdOption,
    ViewsOption,
    data_settings,
    default_cache,
    refuse_repeats,
)
from raylab2f.cli.place_options import MLFLOW_STORE, PLACE
from raylab2f.cli.preparation_options import (
    CentreEmbedOption,
    EvalAnglesOption,
    FitOption,
    KeepViewsForOption,
    KeepViewsOption,
    MaskBackgroundOption,
    TrainAnglesOption,
    preparation_settings,
)
from raylab2f.errors import UserError
from raylab2f.files.places import join, name_of

if TYPE_CHECKING:
    from raylab2f.runs.folder import RunSettings
    from raylab2f.workflows.cross_validation import RunOutcome

__all__ = ["run_cv"]

_PROTOCOL = "Protocol"
_DETECTOR = "Detector"
_CLUSTER = "Cluster"


def run_cv(
    data: DataOption = None,
    layout: LayoutOption = "auto",
    category: CategoryOption = None,
    nominal: NominalOption = [],
    anomalous: AnomalousOption = [],
    object_id: ObjectIdOption = None,
    views: ViewsOption = None,
    skip_unreadable: SkipUnreadableOption = False,
    pixel_limit: PixelLimitOption = 100_000_000,
    mask_background: MaskBackgroundOption = False,
    centre_embed: CentreEmbedOption = None,
    fit: FitOption = None,
    keep_views: KeepViewsOption = None,
    keep_views_for: KeepViewsForOption = "both",
    train_angles: TrainAnglesOption = "0",
    eval_angles: EvalAnglesOption = "0",
    detector: Annotated[list[str], typer.Option(help="csflow or glass; repeatable.", rich_help_panel=_DETECTOR)] = [
        "glass"
    ],
    preset: Annotated[
        str | None,
        typer.Option(
            help="demo, fast or paper.", show_default="demo on the demo data, else fast", rich_help_panel=_DETECTOR
        ),
    ] = None,
    epochs: Annotated[int | None, typer.Option(min=1, rich_help_panel=_DETECTOR)] = None,
    size: Annotated[str | None, typer.Option(help="Pixels: N or HEIGHTxWIDTH.", rich_help_panel=_DETECTOR)] = None,
    backbone: Annotated[str | None, typer.Option(help="timm model name.", rich_help_panel=_DETECTOR)] = None,
    layers: Annotated[
        str | None, typer.Option(help="Modules of the backbone, with commas.", rich_help_panel=_DETECTOR)
    ] = None,
    weights: Annotated[str | None, typer.Option(help="bundled, hub, or a file.", rich_help_panel=_DETECTOR)] = None,
    settings: Annotated[
        list[str], typer.Option("--set", help="Any other setting, NAME=VALUE; repeatable.", rich_help_panel=_DETECTOR)
    ] = [],
    feature_dtype: Annotated[
        Literal["float16", "float32"], typer.Option(help="Of stored features.", rich_help_panel=_DETECTOR)
    ] = "float16",
    folds: Annotated[int, typer.Option(min=1, rich_help_panel=_PROTOCOL)] = 10,
    seed: Annotated[list[int], typer.Option(min=0, help="Repeatable.", rich_help_panel=_PROTOCOL)] = [0],
    scheme: Annotated[
        Literal["balanced", "kfold"],
        typer.Option(help="balanced, or kfold: every object judged once.", rich_help_panel=_PROTOCOL),
    ] = "balanced",
    stratify: Annotated[
        bool, typer.Option("--stratify", help="Halve every defect type by itself.", rich_help_panel=_PROTOCOL)
    ] = False,
    train_fraction: Annotated[
        float, typer.Option(help="Share of the training objects to use.", rich_help_panel=_PROTOCOL)
    ] = 1.0,
    split_by: Annotated[
        Literal["object", "picture"],
        typer.Option(help="object; picture leaks, for comparison only.", rich_help_panel=_PROTOCOL),
    ] = "object",
    merge_nominal_test: Annotated[
        Literal["auto", "yes", "no"],
        typer.Option(help="Whether given nominal test pictures may train.", rich_help_panel=_PROTOCOL),
    ] = "auto",
    epoch_scores: Annotated[
        int,
        typer.Option(
            min=0,
            help="Keep scores every N epochs, to show what choosing the best epoch would claim; 0: do not.",
            rich_help_panel=_PROTOCOL,
        ),
    ] = 0,
    threshold: ThresholdOption = ["youden"],
    object_score: ObjectScoreOption = "max",
    cost_escape: CostEscapeOption = 10.0,
    cost_overkill: CostOverkillOption = 1.0,
    prevalence: PrevalenceOption = None,
    beta: BetaOption = 2.0,
    confidence: ConfidenceOption = 0.95,
    interval: IntervalOption = "object-bootstrap",
    replicates: ReplicatesOption = 10_000,
    out: Annotated[
        str | None,
        typer.Option(
            "--out", **PLACE, help="Run folder, or its URI on a store.", show_default="runs/DATA-DETECTOR-TIME"
        ),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in --out.")] = False,
    cache: CacheOption = None,
    max_parallel_folds: Annotated[int | None, typer.Option(min=1, rich_help_panel=_CLUSTER)] = None,
    workers_per_fold: Annotated[
        int | None,
        typer.Option(
            min=1, help="Processes that train one fold together (default: one per GPU).", rich_help_panel=_CLUSTER
        ),
    ] = None,
    gpus_per_fold: Annotated[
        float | None,
        typer.Option(
            min=0, help="Several, or a part of one (default: one, if there is any).", rich_help_panel=_CLUSTER
        ),
    ] = None,
    grow: Annotated[
        bool,
        typer.Option(
            "--grow",
            help="The cluster adds nodes for folds that wait: begin more than fit now. Needs --gpus-per-fold for GPUs.",
            rich_help_panel=_CLUSTER,
        ),
    ] = False,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Only say what the run would take, from a short probe.", rich_help_panel=_CLUSTER
        ),
    ] = False,
    address: AddressOption = None,
    dashboard: Annotated[
        bool,
        typer.Option("--dashboard", help="Ray's dashboard for a cluster on this machine.", rich_help_panel=_CLUSTER),
    ] = False,
    tensorboard: Annotated[
        bool,
        typer.Option("--tensorboard", help="Losses as TensorBoard files, in the run folder.", rich_help_panel=_CLUSTER),
    ] = False,
    mlflow: Annotated[
        str | None,
        typer.Option(
            "--mlflow",
            **MLFLOW_STORE,
            help="Record runs and folds in an MLflow database file or on a tracking server.",
            rich_help_panel=_CLUSTER,
        ),
    ] = None,
) -> None:
    """Train one detector per resampling fold and estimate escapes and overkill with intervals."""
    # Ray and torch take seconds to import; help and mistakes in the options need neither.
    evaluation: dict[str, Any] = {
        "strategies": threshold,
        "object_score": object_score,
        "cost_escape": cost_escape,
        "cost_overkill": cost_overkill,
        "prevalence": prevalence,
        "beta": beta,
        "confidence": confidence,
        "interval": interval,
        "replicates": replicates,
    }
    from raylab2f.evaluation import check_rules

    check_rules(**evaluation)
    refuse_repeats("--detector", detector)
    refuse_repeats("--seed", seed)
    if resume and out is None:
        raise UserError("--resume needs --out with the folder of the run to go on with.")

    from raylab2f.cluster.training.placement import FoldResources
    from raylab2f.runs.folder import RunSettings

    pictures = data_settings(data, layout, category, nominal, anomalous, object_id, views, skip_unreadable, pixel_limit)
    preparation = preparation_settings(
        mask_background, centre_embed, fit, keep_views, keep_views_for, train_angles, eval_angles
    )
    chosen_preset = preset or ("demo" if data is None else "fast")
    changes = {"epochs": epochs, "size": size, "backbone": backbone, "layers": layers, "weights": weights}
    runs = [
        RunSettings(
            data=pictures,
            detector=name,
            preset=chosen_preset,
            config=configure(name, chosen_preset, changes, settings),
            preparation=preparation,
            folds=folds,
            seed=one_seed,
            scheme=scheme,
            split_by=split_by,
            stratify=stratify,
            train_fraction=train_fraction,
            merge_nominal_test=merge_nominal_test,
            feature_dtype=feature_dtype,
            epoch_scores=epoch_scores,
            evaluation=evaluation,
        )
        for name in detector
        for one_seed in seed
    ]
    base = out or _default_out(pictures.data, detector)
    workers = workers_per_fold or max(1, int(gpus_per_fold or 1))
    placed = [(run, base if len(runs) == 1 else join(base, f"{run.detector}-seed{run.seed}")) for run in runs]
    how = {
        "cache": default_cache(cache),
        "resources": FoldResources(workers, gpus_per_fold, max_parallel_folds, grow),
        "address": address,
        "resume": resume,
    }
    if dry_run:
        _forecast(placed, how)
    else:
        _run(placed, how | {"dashboard": dashboard, "tensorboard": tensorboard, "mlflow": mlflow})


def _forecast(placed: Sequence[tuple[RunSettings, str]], how: dict[str, Any]) -> None:
    """Say what the runs would take."""
    from raylab2f.reporting import Display, print_forecasts
    from raylab2f.workflows.forecast import forecast_runs

    console = Console()
    forecasts = forecast_runs(placed, display=Display(console), **how)
    print_forecasts([{**asdict(forecast), "seconds": forecast.seconds} for forecast in forecasts], console)


def _run(placed: Sequence[tuple[RunSettings, str]], how: dict[str, Any]) -> None:
    """Do the runs and show what came out, pitfalls that can be seen in seconds included."""
    from raylab2f.reporting import Display, print_findings, print_summary
    from raylab2f.workflows.cross_validation import run_cross_validation
    from raylab2f.workflows.diagnosis import CHEAP, diagnose_run

    console = Console()
    display = Display(console)
    outcomes = run_cross_validation(placed, display=display, **how)
    for outcome, (_, place) in zip(outcomes, placed, strict=True):
        if outcome.summary is None:
            continue
        print_summary(outcome.summary, console)
        findings = diagnose_run(place, cache=how["cache"], display=display, only=CHEAP, stored_only=True)
        print_findings([finding.to_dict() for finding in findings], console)
        console.print(
            f"results in {place}; raylab2f diagnose {place} looks closer", highlight=False, markup=False, soft_wrap=True
        )
    _report_failures(outcomes)


def _report_failures(outcomes: list[RunOutcome]) -> None:
    """End with code 2 if a run has no finished fold, with 1 if some folds failed."""
    for outcome in outcomes:
        if outcome.summary is None:
            reasons = f" ({outcome.failures[0].message})" if outcome.failures else ""
            raise UserError(f"{outcome.place}: no fold finished{reasons}; see error.json in its folds, then --resume.")
    if any(outcome.failures for outcome in outcomes):
        raise typer.Exit(1)


def _default_out(data: str | None, detectors: list[str]) -> str:
    name = "demo" if data is None else PurePosixPath(name_of(data)).stem
    moment = datetime.datetime.now(tz=datetime.timezone.utc).astimezone().strftime("%Y%m%d-%H%M%S")
    return join("runs", f"{name}-{'-'.join(detectors)}-{moment}")
