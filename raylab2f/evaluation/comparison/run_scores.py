"""Scores of finished runs, read from their folders, and whether two runs have the same fold plan."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from raylab2f.errors import UserError, first_line
from raylab2f.evaluation.score_table import COLUMNS, read_scores
from raylab2f.files.cells import clean_name
from raylab2f.files.strangers import read_json
from raylab2f.files.tables import read_table

__all__ = ["RunScores", "agreed_settings", "read_run", "require_same_plan"]

# Options that runs are evaluated with, and their values where a run does not say.
_USUAL: Mapping[str, Any] = {
    "strategies": ["youden"],
    "object_score": "max",
    "prevalence": None,
    "cost_escape": 10.0,
    "cost_overkill": 1.0,
    "cost_review": 0.25,
    "beta": 2.0,
    "confidence": 0.95,
}


@dataclass(frozen=True)
class RunScores:
    """What a run left for comparing.

    Arguments:
        name: what tables call it.
        path: its folder.
        scores: score table of all its folds.
        plan: fold -> picture -> partition, training pictures included.
        settings: content of `run.json` under `settings`; empty without that file.
        good_pictures_train: those of defective objects too, so that a third of the objects, not half, choose
            thresholds.
    """

    name: str
    path: Path
    scores: pa.Table
    plan: Mapping[int, Mapping[str, str]]
    settings: Mapping[str, Any]
    good_pictures_train: bool = False


def read_run(path: str | Path, name: str | None = None) -> RunScores:
    """Read `folds/*/split.parquet`, `folds/*/scores.parquet` and, where there is one, `run.json`.

    Arguments:
        path: the run's folder.
        name: what tables call it; `None`: the folder's name.

    Raises:
        UserError: no such run, a fold without scores, or files that cannot be read.
    """
    path = Path(path)
    folders = sorted(_fold_folders(path), key=lambda folder: int(folder.name))
    if not folders:
        raise UserError(f"'{path}' holds no run (no folds/0/split.parquet); give the folder of a finished run.")
    tables, plan = [], {}
    for folder in folders:
        fold = int(folder.name)
        for file in ("split.parquet", "scores.parquet"):
            if not (folder / file).is_file():
                raise UserError(f"Fold {fold} of '{path}' has no {file}; finish that run with run-cv --resume.")
        plan[fold] = _read_split(folder / "split.parquet")
        table = read_scores(folder / "scores.parquet")
        table = table.select([name for name in COLUMNS if name in table.column_names])
        if "fold" not in table.column_names:
            table = table.append_column("fold", pa.array([fold] * len(table), pa.int32()))
        tables.append(table)
    settings, good_pictures_train = _read_record(path / "run.json")
    return RunScores(
        name=name if name is not None else path.resolve().name,
        path=path,
        scores=_join(tables, path),
        plan=plan,
        settings=settings,
        good_pictures_train=good_pictures_train,
    )


def require_same_plan(runs: Sequence[RunScores], *, training: bool = True) -> None:
    """Check that all runs have the folds of the first.

    Arguments:
        runs: at least one.
        training: whether the training pictures must be the same as well.

    Raises:
        UserError: naming the first fold that differs and how.
    """
    first = runs[0]
    for other in runs[1:]:
        for fold in sorted(set(first.plan) | set(other.plan)):
            for run in (first, other):
                if fold not in run.plan:
                    raise UserError(
                        f"The runs have different fold plans: fold {fold} is missing in '{run.path}'; "
                        "compare runs with the same folds."
                    )
            mine, theirs = (
                {image: partition for image, partition in run.plan[fold].items() if training or partition != "train"}
                for run in (first, other)
            )
            if mine != theirs:
                image = min(i for i in {*mine, *theirs} if mine.get(i) != theirs.get(i))
                same = "seed, scheme and training fraction" if training else "seed and scheme"
                raise UserError(
                    f"The runs have different fold plans, first in fold {fold}: picture '{image}' is "
                    f"{_where(mine, image)} in '{first.path}' but {_where(theirs, image)} in '{other.path}'; compare "
                    f"runs of the same data with the same {same}."
                )


def agreed_settings(
    runs: Sequence[RunScores],
    given: Mapping[str, Any],
    *,
    mend: str = "say which to compare them by with {option}",
) -> dict[str, Any]:
    """Options of the evaluation: those given, else those that all runs were evaluated with.

    Arguments:
        runs: those to compare.
        given: option -> value, `None` where the user said nothing; options as in `evaluate`.
        mend: what the user can do about runs that disagree; `{option}` stands for the option's name.

    Raises:
        UserError: the runs disagree on an option that was not given.
    """
    agreed = {}
    for option, usual in _USUAL.items():
        if given.get(option) is not None:
            agreed[option] = given[option]
            continue
        values = [run.settings.get("evaluation", {}).get(option, usual) for run in runs]
        for run, value in zip(runs, values, strict=True):
            if value != values[0]:
                name = {"strategies": "threshold"}.get(option, option.replace("_", "-"))
                raise UserError(
                    f"'{runs[0].path}' was evaluated with {name} {_text(values[0])}, '{run.path}' with "
                    f"{_text(value)}; {mend.format(option=f'--{name}')}."
                )
        agreed[option] = values[0]
    return agreed


def _fold_folders(path: Path) -> list[Path]:
    """None where there are none; an `OSError` where this user may not look, which is something else."""
    try:
        return [
            entry for entry in (path / "folds").iterdir() if re.fullmatch("[0-9]{1,9}", entry.name) and entry.is_dir()
        ]
    except (FileNotFoundError, NotADirectoryError):
        return []


def _join(tables: Sequence[pa.Table], path: Path) -> pa.Table:
    try:
        return pa.concat_tables(tables, promote_options="permissive")
    except pa.ArrowException as error:
        raise UserError(
            f"The scores of the folds of '{path}' do not fit together ({first_line(error)}); give the folder of a "
            "finished run."
        ) from error


def _read_split(path: Path) -> dict[str, str]:
    """Picture -> partition."""
    columns = ("image_id", "partition")
    table = read_table(path, columns, what="fold plan")
    lacks = [name for name in columns if table.column_names.count(name) != 1]
    if lacks:
        raise UserError(f"'{path}' cannot be read as a fold plan: it needs one column {lacks[0]}.")
    try:
        names = [clean_name(name) for name in table["image_id"].to_pylist()]
    except ValueError as error:
        raise UserError(f"'{path}' cannot be read as a fold plan: the picture {error} is a rounded number.") from error
    partitions = table["partition"].to_pylist()
    if None in names or not all(isinstance(partition, str) for partition in partitions):
        raise UserError(f"'{path}' cannot be read as a fold plan: a row lacks its picture or its partition.")
    return dict(zip((str(name) for name in names), partitions, strict=True))


def _read_record(path: Path) -> tuple[dict[str, Any], bool]:
    """The settings, and whether good pictures of defective objects train."""
    if not path.is_file():
        return {}, False
    try:
        record = read_json(path)
        settings = dict(record["settings"])
        # Runs from before there was a choice trained good objects.
        trained = dict(dict(record.get("dataset", {})).get("train_on", {})).get("train_on")
        return settings | {"evaluation": dict(settings.get("evaluation", {}))}, trained == "good-pictures"
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"'{path}' cannot be read ({error}); give the folder of a finished run.") from error


def _where(plan: Mapping[str, str], image: str) -> str:
    return f"in {plan[image]}" if image in plan else "left out"


def _text(value: Any) -> str:
    return " and ".join(map(str, value)) if isinstance(value, list) else str(value)
