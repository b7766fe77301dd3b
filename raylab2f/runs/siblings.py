"""Runs beside a run that differ from it in how the pictures were split.

They are somebody else's, or may be: whatever is wrong with them, they are as if they were not there, and they hold
nothing up.
"""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Callable, Iterator

import numpy as np
import pyarrow as pa

from raylab2f.errors import UserError
from raylab2f.evaluation.plans.left_out_conditions import SCHEME
from raylab2f.files.mirror import fetch, fetch_file
from raylab2f.files.parquet import read_parquet
from raylab2f.files.places import absolute, is_uri, join, name_of, parent_of, subfolders
from raylab2f.files.strangers import read_json
from raylab2f.runs.fold import SCORES_SCHEMA, fold_is_finished
from raylab2f.runs.folder import RunFolder, RunSettings

__all__ = ["find_ordinary_run", "find_picture_split"]

# What two runs may differ in and still show what splitting by picture, or leaving conditions out, does.
_FREE = ("split_by", "folds", "evaluation", "epoch_scores", "limits")
# A look takes no longer, and no more folders are looked at.
_SECONDS = 15.0
_MOST_FOLDERS = 1000
_MOST_BYTES = 1 << 26


def find_picture_split(folder: RunFolder, settings: RunSettings, fingerprint: str) -> tuple[str, pa.Table] | None:
    """A run like this one, but split by picture, in the same parent folder. Never fails, and ends within seconds.

    Where several detectors or seeds share one --out, so do their siblings: `picture/glass-seed0` belongs to
    `object/glass-seed0`.

    Arguments:
        folder, settings: of a run that splits by object.
        fingerprint: of its dataset.

    Returns:
        The sibling's folder and the scores of its finished folds; `None` if there is no such run.
    """
    if settings.split_by != "object":
        return None

    def is_sibling(theirs: RunSettings) -> bool:
        return theirs.split_by == "picture" and _essence(theirs, *_FREE) == _essence(settings, *_FREE)

    return _found(folder, is_sibling, fingerprint)


def find_ordinary_run(folder: RunFolder, settings: RunSettings, fingerprint: str) -> tuple[str, pa.Table] | None:
    """A run like this one whose folds saw every condition; otherwise as `find_picture_split`.

    Arguments:
        folder, settings: of a run that leaves conditions out.
    """
    free = (*_FREE, "scheme")

    def is_sibling(theirs: RunSettings) -> bool:
        ordinary = theirs.split_by == "object" and theirs.scheme != SCHEME
        return ordinary and _essence(theirs, *free) == _essence(settings, *free)

    return _found(folder, is_sibling, fingerprint)


def _found(
    folder: RunFolder, is_sibling: Callable[[RunSettings], bool], fingerprint: str
) -> tuple[str, pa.Table] | None:
    answers: queue.SimpleQueue[tuple[str, pa.Table] | None] = queue.SimpleQueue()

    def look() -> None:
        try:
            answers.put(_look(folder, is_sibling, fingerprint))
        except Exception:  # of files that are not ours anything may be wrong
            answers.put(None)

    # A disk or store that does not answer keeps only this thread waiting.
    threading.Thread(target=look, name="neighbours", daemon=True).start()
    try:
        return answers.get(timeout=_SECONDS)
    except queue.Empty:
        return None


def _look(
    folder: RunFolder, is_sibling: Callable[[RunSettings], bool], fingerprint: str
) -> tuple[str, pa.Table] | None:
    deadline = time.monotonic() + _SECONDS
    for other in _neighbours(absolute(folder.place)):
        if time.monotonic() > deadline:
            return None
        try:
            tables = _scores(other, is_sibling, fingerprint)
        except Exception:  # as above; the next one may be sound
            continue
        if tables:
            return other, pa.concat_tables(tables)
    return None


def _scores(other: str, is_sibling: Callable[[RunSettings], bool], fingerprint: str) -> list[pa.Table]:
    """Scores of a neighbour's finished folds, if it is a sibling."""
    record = read_json(fetch_file(join(other, "run.json")), _MOST_BYTES)
    theirs = RunSettings.from_dict(record["settings"])
    if record["dataset"].get("fingerprint") != fingerprint or not is_sibling(theirs):
        return []
    fetch(other, ["folds/*"])
    run, numbers = RunFolder(other), range(min(theirs.folds, _MOST_FOLDERS))
    folds = [run.fold(number) for number in numbers if fold_is_finished(run.fold(number))]
    return [_checked(read_parquet(fold / "scores.parquet")) for fold in folds]


def _checked(table: pa.Table) -> pa.Table:
    """A score table as a run writes it; `ValueError` if it is none."""
    table = table.select(SCORES_SCHEMA.names).cast(SCORES_SCHEMA)
    label, score = np.asarray(table["label"]), np.asarray(table["score"])
    if not (np.isin(label, (0, 1)).all() and np.isfinite(score).all() and table["object_id"].null_count == 0):
        raise ValueError("no scores of ours")
    return table


def _neighbours(place: str) -> Iterator[str]:
    """Places of other runs whose `run.json` may be at hand."""
    parent = parent_of(place)
    above = parent_of(parent)
    beside = [join(folder, name_of(place)) for folder in _folders(above) if above != parent != folder]
    yield from sorted({*_folders(parent), *beside} - {place})


def _folders(place: str) -> list[str]:
    if is_uri(place):
        try:
            return subfolders(place)[:_MOST_FOLDERS]
        except UserError:
            # A store may let us see our own folder only.
            return []
    found = []
    try:
        with os.scandir(place) as entries:
            for entry in entries:
                if entry.is_dir():
                    found.append(entry.path)
                if len(found) == _MOST_FOLDERS:
                    break
    except OSError:
        pass
    return found


def _essence(settings: RunSettings, *free: str) -> dict[str, object]:
    return {name: value for name, value in settings.to_dict().items() if name not in free}
