"""From what the user chose to the settings of runs and where they lie."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from raylab2f.errors import UserError
from raylab2f.files.places import join, name_of
from raylab2f.options.detector import DetectorChoice
from raylab2f.options.evaluation import Evaluation
from raylab2f.options.limits import limits_from_file
from raylab2f.options.pictures import Pictures
from raylab2f.options.places import RunPlaces
from raylab2f.options.preparation import Preparation
from raylab2f.options.protocol import Protocol
from raylab2f.pitfalls import parse_codes

if TYPE_CHECKING:
    from raylab2f.evaluation.acceptance.limits import LimitSet
    from raylab2f.runs.folder import RunSettings

__all__ = ["PlacedRuns", "place_runs", "refuse_repeats", "run_name"]


@dataclass(frozen=True)
class PlacedRuns:
    """The runs of one command.

    Arguments:
        runs: settings and folder of each, at least one.
        refused: why, for each detector that is asked for beside theirs and cannot be made.
    """

    runs: tuple[tuple[RunSettings, str], ...]
    refused: tuple[str, ...] = ()


def place_runs(
    data: str | None,
    pictures: Pictures,
    preparation: Preparation,
    detector: DetectorChoice,
    protocol: Protocol,
    evaluation: Evaluation,
    mute: Sequence[str],
    places: RunPlaces,
    limits: str | None = None,
    memory_budget: int | None = None,
) -> PlacedRuns:
    """Settings and folder of one run for every detector and seed.

    Arguments:
        limits: file of limits that are recorded with the settings.
        memory_budget: bytes for a process of a fold.

    Raises:
        UserError: an option that makes no sense, or no detector that can be made; found before anything heavy is loaded
            where that is possible.
    """
    from raylab2f.evaluation import check_rules

    check_rules(**evaluation.rules())
    set_limits = None if limits is None else limits_from_file(limits)
    muted = parse_codes(mute)
    refuse_repeats("--detector", detector.detector)
    refuse_repeats("--seed", protocol.seed)
    if places.resume and places.out is None:
        raise UserError("--resume needs --out with the folder of the run to go on with.")

    from raylab2f.runs.folder import RunSettings

    read, prepared = pictures.settings(data), preparation.settings()
    if prepared.per_position and memory_budget is not None:
        raise UserError("--memory-budget: detectors of --per-position hold all their features; leave one of them out.")
    preset = detector.preset_for(data)
    configs, refused = detector.configs(preset)
    dealt: dict[str, Any] = {name: getattr(protocol, name) for name in Protocol.__dataclass_fields__ if name != "seed"}
    runs = [
        RunSettings(
            data=read,
            detector=name,
            preset=preset,
            config=config,
            preparation=prepared,
            seed=seed,
            feature_dtype=detector.feature_dtype,
            memory_budget=memory_budget,
            evaluation={**evaluation.rules(), "mute": list(muted)},
            limits={} if set_limits is None else _checked(set_limits, evaluation).to_dict(),
            **dealt,
        )
        for name, config in configs.items()
        for seed in protocol.seed
    ]
    base = places.out or _default_out(read.data, detector.detector)
    # Where those that are refused now find room once they can be made.
    alone = len(detector.detector) * len(protocol.seed) == 1
    placed = [(run, base if alone else join(base, run_name(run.detector, run.seed))) for run in runs]
    return PlacedRuns(tuple(placed), tuple(map(str, refused)))


def _checked(limits: LimitSet, evaluation: Evaluation) -> LimitSet:
    """The limits; `UserError` where what they need is missing, which shall not turn out after hours of training."""
    from raylab2f.evaluation.acceptance.limits import COST, check_limits, prevalence_missing
    from raylab2f.evaluation.decisions.thresholds import parse_strategy

    check_limits(limits.limits)
    for limit in limits.limits:
        if evaluation.prevalence is None and limit.metric in (COST, "review_rate_at_prevalence"):
            raise prevalence_missing(limit.metric)
    if limits.strategy is not None:
        parse_strategy(limits.strategy)
    return limits


def run_name(detector: str, seed: int) -> str:
    """Name of the folder of one of several runs that share --out."""
    return f"{_as_folder(detector)}-seed{seed}"


def refuse_repeats(option: str, values: Sequence[Any]) -> None:
    """`UserError` if an option that may be repeated has a value twice: two runs would share a folder."""
    for value in values:
        if values.count(value) > 1:
            raise UserError(f"{option} {value} is given twice; give it once.")


def _default_out(data: str | None, detectors: Sequence[str]) -> str:
    name = "demo" if data is None else PurePosixPath(name_of(data)).stem
    moment = datetime.datetime.now(tz=datetime.timezone.utc).astimezone().strftime("%Y%m%d-%H%M%S")
    return join("runs", f"{name}-{'-'.join(map(_as_folder, detectors))}-{moment}")


def _as_folder(detector: str) -> str:
    """Of `package.module:Class`, too: a colon belongs to URIs and drives."""
    return detector.replace(":", "-")
