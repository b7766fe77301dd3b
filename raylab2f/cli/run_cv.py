"""`raylab2f run-cv`: one model per fold, thresholds, metrics with intervals."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from raylab2f.cli.composition import command
from raylab2f.cli.json_output import others_aside, put_json
from raylab2f.cli.lines import print_lines
from raylab2f.cli.run_outcome import Telling
from raylab2f.errors import UserError
from raylab2f.files.places import file_exists, join, parent_of
from raylab2f.options.declaration import Option, declared
from raylab2f.options.detector import DetectorChoice
from raylab2f.options.evaluation import Evaluation, MuteOption
from raylab2f.options.limits import LimitsFileOption
from raylab2f.options.pictures import DataOption, Pictures
from raylab2f.options.places import Cluster, RunPlaces, default_cache
from raylab2f.options.preparation import Preparation
from raylab2f.options.protocol import Protocol
from raylab2f.options.runs import PlacedRuns, place_runs
from raylab2f.reporting.printing import plain_console

if TYPE_CHECKING:
    from raylab2f.reporting import Display
    from raylab2f.runs.folder import RunSettings
    from raylab2f.workflows.cross_validation import RunOutcome

__all__ = ["run_cv"]

# Marks a context whose options are completed by those of the run that goes on.
_RECORDED = "raylab2f.recorded"


def _read_config(context: typer.Context, place: str | None) -> str | None:
    """Let a file of settings say what holds where the command line says nothing."""
    if place is not None:
        from raylab2f.options.settings_file import read_settings

        options = declared(run_cv)
        options["config"].refuse_unfit(place, "--config")
        context.default_map = read_settings(place, options)
    return place


def _go_on(context: typer.Context, out: str) -> None:
    """Once more, with the options of the command line before those with which the run in its folder was begun."""
    from raylab2f.options.going_on import options_to_go_on

    said = {name: value for name, value in context.params.items() if _is_said(context, name)}
    call: Any = context.command.callback
    call(**{**context.params, **options_to_go_on(out, declared(run_cv), said)})


def _is_said(context: typer.Context, name: str) -> bool:
    return getattr(context.get_parameter_source(name), "name", "") == "COMMANDLINE"


@command
def run_cv(
    *,
    context: typer.Context,
    data: DataOption = None,
    pictures: Pictures,
    preparation: Preparation,
    detector: DetectorChoice,
    protocol: Protocol,
    evaluation: Evaluation,
    limits: LimitsFileOption = None,
    places: RunPlaces,
    cluster: Cluster,
    telling: Telling,
    mute: MuteOption = (),
    config: Annotated[
        str | None,
        Option(
            "Take options from this file (YAML), or from a finished run; those given here win.",
            kind="place",
            passing=True,
            eager=_read_config,
        ),
    ] = None,
    save_config: Annotated[
        str | None, Option("Write these options to a file for --config (YAML).", kind="place", passing=True)
    ] = None,
) -> None:
    """Train one detector per resampling fold and estimate escapes and overkill with intervals."""
    if places.resume and places.out is not None and config is None and _RECORDED not in context.meta:
        context.meta[_RECORDED] = True
        _go_on(context, places.out)
        return
    # Ray and torch take seconds to import; help and mistakes in the options need neither.
    with others_aside(telling.as_json):
        asked = place_runs(
            data, pictures, preparation, detector, protocol, evaluation, mute, places, limits, cluster.budget()
        )
    placed = asked.runs
    if save_config is not None:
        from raylab2f.options.settings_file import write_settings

        write_settings(save_config, declared(run_cv), context.params)
    how = {
        "cache": default_cache(places.cache, placed[0][1] if places.resume else None),
        "resources": cluster.resources(),
        "address": cluster.address,
        "resume": places.resume,
    }
    if cluster.dry_run:
        _forecast(asked, how, telling)
    else:
        loud = {name: getattr(cluster, name) for name in ("dashboard", "tensorboard", "mlflow")}
        _run(asked, how | loud, telling)


def _forecast(asked: PlacedRuns, how: dict[str, Any], telling: Telling) -> None:
    """Say what the runs would take."""
    from raylab2f.reporting import Display, print_forecasts
    from raylab2f.workflows.forecast import forecast_runs

    with others_aside(telling.as_json):
        forecasts = forecast_runs(asked.runs, display=Display(telling.console()), **how)
    told = [{**asdict(forecast), "seconds": forecast.seconds} for forecast in forecasts]
    if not put_json({"forecasts": told}, None, printed=telling.as_json):
        print_forecasts(told, plain_console())
    if asked.refused:
        raise UserError(" ".join(asked.refused))


def _run(asked: PlacedRuns, how: dict[str, Any], telling: Telling) -> None:
    """Do the runs and show what came out, pitfalls that can be seen in seconds included."""
    from raylab2f.reporting import Display
    from raylab2f.reporting.ranking import print_ranking
    from raylab2f.reporting.stopping import say_how_to_go_on
    from raylab2f.workflows.cross_validation import run_cross_validation
    from raylab2f.workflows.finishing import finish_run

    console = telling.console()
    display = Display(console)
    placed = asked.runs
    for refusal in asked.refused:
        display.warn(f"{refusal} The other detectors go on.")
    for _, place in placed:
        print_lines(console, f"run folder: {place}")
    say_how_to_go_on(lambda: _how_to_go_on([place for _, place in placed]))
    with others_aside(telling.as_json):
        outcomes = run_cross_validation(placed, display=display, **how)
    finished = [
        (o.summary, settings, place, len(o.failures))
        for o, (settings, place) in zip(outcomes, placed, strict=True)
        if o.summary
    ]
    for summary, settings, place, _ in finished:
        with others_aside(telling.as_json):
            finish_run(place, summary, cache=how["cache"], display=display, mute=settings.evaluation["mute"])
        if not telling.as_json:
            telling.show(place)
    rankings = _rankings([run[1:] for run in finished], display)
    if telling.as_json:
        telling.show(*(place for _, _, place, _ in finished), rankings=rankings)
    elif not telling.quiet:
        for ranking in rankings:
            print_ranking(ranking, console)
    _report_failures(outcomes, asked.refused)


def _rankings(finished: Sequence[tuple[RunSettings, str, int]], display: Display) -> list[dict[str, Any]]:
    """Of the detectors, for each seed: folds of two seeds differ. Where they cannot be ranked, why not is said.

    Arguments:
        finished: of each run its folder, and how many folds failed.
    """
    from raylab2f.workflows.ranking import comparable, rank_runs

    places: dict[int, dict[str, int]] = {}
    for settings, place, failed in finished:
        places.setdefault(settings.seed, {})[place] = failed
    rankings = []
    for seed, group in places.items():
        if len(group) > 1:
            ranked, left_out = comparable(group)
            for place in left_out:
                display.warn(f"{place} is not ranked, for {group[place]} of its folds failed.")
            try:
                rankings.append(rank_runs(ranked, seed=seed))
            except UserError as error:
                display.warn(f"the detectors are not ranked: {error}")
    return rankings


def _how_to_go_on(places: Sequence[str]) -> str:
    """What to do after the command was stopped."""
    from raylab2f.reporting import stopping

    if not all(file_exists(join(place, "run.json")) for place in places):
        return "nothing was begun yet; give the same command again"
    out = places[0] if len(places) == 1 else parent_of(places[0])
    sent = "submit -- " if os.environ.get(stopping.SUBMITTED) else ""
    return f"raylab2f {sent}run-cv --resume --out {shlex.quote(out)} goes on from there"


def _report_failures(outcomes: list[RunOutcome], refused: Sequence[str]) -> None:
    """End with code 2 if a run has no finished fold, or a detector no run, with 1 if some folds failed."""
    from raylab2f.workflows.cross_validation import unfinished_sentence

    if sentence := unfinished_sentence(outcomes, "--resume", refused):
        raise UserError(sentence)
    if any(outcome.failures for outcome in outcomes):
        raise typer.Exit(1)
