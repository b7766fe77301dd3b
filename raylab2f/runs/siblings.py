"""Runs beside a run that differ from it in how the pictures were split."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pyarrow as pa

from raylab2f.errors import UserError
from raylab2f.files.mirror import fetch, fetch_file
from raylab2f.files.parquet import read_parquet
from raylab2f.files.places import absolute, join, name_of, parent_of, subfolders
from raylab2f.runs.fold import fold_is_finished
from raylab2f.runs.folder import RunFolder, RunSettings

__all__ = ["find_picture_split"]

# What two runs may differ in and still show what splitting by picture does.
_FREE = ("split_by", "folds", "evaluation", "epoch_scores")


def find_picture_split(folder: RunFolder, settings: RunSettings, fingerprint: str) -> tuple[str, pa.Table] | None:
    """A run like this one, but split by picture, in the same parent folder.

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
    for other in _neighbours(absolute(folder.place)):
        try:
            theirs = RunFolder(other).settings()
            dataset = json.loads((RunFolder(other).path / "run.json").read_text(encoding="utf-8"))["dataset"]
        except (UserError, KeyError):
            continue
        if theirs.split_by != "picture" or dataset.get("fingerprint") != fingerprint:
            continue
        if _essence(theirs) != _essence(settings):
            continue
        fetch(other, ["folds/*"])
        folds = [RunFolder(other).fold(number) for number in range(theirs.folds)]
        tables = [read_parquet(fold / "scores.parquet") for fold in folds if fold_is_finished(fold)]
        if tables:
            return other, pa.concat_tables(tables)
    return None


def _neighbours(place: str) -> Iterator[str]:
    """Places of other runs whose `run.json` is at hand."""
    parent = parent_of(place)
    above = parent_of(parent)
    try:
        beside = [join(folder, name_of(place)) for folder in subfolders(above) if above != parent != folder]
        folders = {*subfolders(parent), *beside} - {place}
    except UserError:
        # A store may let us see our own folder only.
        return
    for other in sorted(folders):
        if fetch_file(join(other, "run.json")).exists():
            yield other


def _essence(settings: RunSettings) -> dict[str, object]:
    return {name: value for name, value in settings.to_dict().items() if name not in _FREE}
