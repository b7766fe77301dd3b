"""Which of the detectors of one command is best, beside what each of them costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from raylab2f.evaluation.comparison.ranking import rank
from raylab2f.evaluation.comparison.run_scores import agreed_settings, read_run, require_same_plan
from raylab2f.evaluation.comparison.runs import compare_scores
from raylab2f.files.mirror import local
from raylab2f.files.places import distinct_names
from raylab2f.files.strangers import read_json
from raylab2f.runs.folder import RunFolder

__all__ = ["METRIC", "comparable", "rank_runs"]

#: By which detectors are ranked.
METRIC = "auroc"


def rank_runs(places: Sequence[str], *, seed: int = 0) -> dict[str, Any]:
    """Rank finished runs of several detectors on the same folds.

    Arguments:
        places: their folders, at least two.
        seed: of the runs, and of the bootstrap.

    Returns:
        `seed`, `metric`, `level`, `confidence`, and `ranking`: a row for each run with `run` (its folder), `detector`,
        `rank`, `mean`, `low` and `high`, `tied_with` and `worse_than` (detectors), `fold_seconds` and `fold_memory`
        (bytes): medians over the folds, `None` where they are not known.

    Raises:
        UserError: they cannot be ranked, such as for folds that some of them lack.
    """
    names = distinct_names(places)
    folders = {name: RunFolder(place) for name, place in zip(names, places, strict=True)}
    found = [read_run(local(place), name) for name, place in zip(names, places, strict=True)]
    require_same_plan(found)
    # Parts are what a factory decides on, but some data have no good ones.
    level = "object" if all(_estimate(folder, "object") for folder in folders.values()) else "image"
    comparison = compare_scores(
        {run.name: run.scores for run in found},
        metrics=(METRIC,),
        levels=(level,),
        seed=seed,
        **agreed_settings(found, {}),
    )
    ranked = rank(comparison, METRIC, level)
    detectors = {name: folder.settings().detector for name, folder in folders.items()}
    rows = []
    for one in ranked:
        folder = folders[one.run]
        rows.append(
            {
                "run": folder.place,
                "detector": detectors[one.run],
                "rank": one.rank,
                "mean": one.mean,
                **_interval(folder, level),
                "tied_with": [detectors[name] for name in one.tied_with],
                "worse_than": [detectors[name] for name in one.worse_than],
                **_costs(folder),
            }
        )
    confidence = comparison.settings["confidence"]
    return {"seed": seed, "metric": METRIC, "level": level, "confidence": confidence, "ranking": rows}


def comparable(failed: Mapping[str, int]) -> tuple[list[str], list[str]]:
    """Which runs of one command are ranked, and which are left out: a failed fold of one costs the others no ranking.

    Arguments:
        failed: folds that did not finish, by the run's folder.
    """
    whole = [place for place, count in failed.items() if not count]
    if len(whole) < 2:
        # Perhaps they lack the same folds.
        return list(failed), []
    return whole, [place for place, count in failed.items() if count]


def _estimate(folder: RunFolder, level: str) -> dict[str, Any] | None:
    """As the run's own summary has it."""
    for estimate in read_json(folder.summary)["estimates"]:
        if (estimate["metric"], estimate["level"]) == (METRIC, level):
            return dict(estimate)
    return None


def _interval(folder: RunFolder, level: str) -> dict[str, float | None]:
    interval = (_estimate(folder, level) or {}).get("interval") or {}
    return {"low": interval.get("low"), "high": interval.get("high")}


def _costs(folder: RunFolder) -> dict[str, float | None]:
    records = [read_json(path) for path in sorted(folder.path.glob("folds/*/fold.json"))]
    return {
        "fold_seconds": _median([record.get("seconds") for record in records]),
        "fold_memory": _median([_bytes(record.get("peak_memory", {})) for record in records]),
    }


def _bytes(peak: Mapping[str, int]) -> int | None:
    """Of the GPU, where the fold had one: it is what is scarce there."""
    return peak.get("gpu", peak.get("process"))


def _median(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.median(known)) if known else None
