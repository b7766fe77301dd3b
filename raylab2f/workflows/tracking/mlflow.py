"""Runs in an MLflow tracking store: one MLflow run for each run folder, and nested in it one for each fold.

The experiment is named like the data set, or as MLFLOW_EXPERIMENT_NAME says. A run is named like its folder; its
parameters are the settings it was begun with, its metrics the summary's estimates (`image/youden/recall`, with `/low`
and `/high` for the interval), its tag `raylab2f.place` says where the results lie. A fold has `loss` and
`pictures_per_second` by epoch, and at the end its own outcomes and thresholds under the same names. A run that is
resumed goes on in the same MLflow runs.
"""

from __future__ import annotations

import logging
import math
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pyarrow as pa

from raylab2f.errors import UserError, first_line
from raylab2f.files.places import absolute, is_uri, join, name_of, parent_of
from raylab2f.runs.folder import RunSettings

__all__ = ["MlflowLog", "mlflow_logging", "refuse_password"]

_METRICS = ("loss", "pictures_per_second")
_PLACE, _FOLD, _PARENT, _NAME = "raylab2f.place", "raylab2f.fold", "mlflow.parentRunId", "mlflow.runName"
# MLflow takes so many characters in a name, less an ending of ours, and so many values at once.
_LONGEST = 240
_BATCH = {"metrics": 1000, "params": 100}
# A server that does not answer is asked for two minutes by MLflow's own rules, seven times over.
_ENVIRONMENT = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}


@contextmanager
def mlflow_logging(where: str, warn: Callable[[str], None]) -> Iterator[MlflowLog]:
    """Yield what records runs; a thread of its own writes them, so that a slow server holds nothing up.

    Arguments:
        where: a tracking server's URL, any other URI that MLflow knows, or the path of a local database file, which is
            made if it is not there.
        warn: called at the end, with a sentence, if the store failed meanwhile; the run goes on without it.

    Raises:
        UserError: MLflow is not installed, or the store cannot be used.
    """
    client = _connect(where)
    log = MlflowLog(client)
    try:
        yield log
    finally:
        log.close()
        if log.error is not None:
            warn(f"--mlflow {where}: the store failed ({first_line(log.error)}); what came after is missing there.")


def refuse_password(where: str) -> None:
    """`UserError` if a store's address holds a password, for addresses are recorded."""
    if is_uri(where) and urlsplit(where).password is not None:
        raise UserError(
            "--mlflow: a password does not belong into the address; set MLFLOW_TRACKING_USERNAME and "
            "MLFLOW_TRACKING_PASSWORD instead."
        )


class MlflowLog:
    """Records runs in an MLflow store; every method returns at once.

    Arguments:
        client: an `mlflow.MlflowClient`.
    """

    def __init__(self, client: Any) -> None:
        self.client = client
        self.error: Exception | None = None
        self._thread = ThreadPoolExecutor(1)
        # Ids of MLflow runs by the place of the run's or the fold's folder, and those that have not ended.
        self._ids: dict[str, str] = {}
        self._open: set[str] = set()
        self._experiments: dict[str, str] = {}

    def begin(self, place: str, settings: RunSettings, dataset: str, *, resumed: bool) -> None:
        """A run begins, or goes on, in this folder."""
        self._write(self._begin, absolute(place), settings, dataset, resumed)

    def progress(self, folder: str, numbers: dict[str, Any]) -> None:
        """News of a fold; see `folds.Progress`."""
        self._write(self._progress, folder, numbers, _now())

    def finish(self, place: str, summary: dict[str, Any] | None, outcomes: pa.Table | None = None) -> None:
        """A run has ended, with its summary as in `summary.json` and its folds' outcomes as in `metrics.parquet`, if
        any of its folds is finished.
        """
        self._write(self._finish, absolute(place), summary, outcomes)

    def close(self) -> None:
        """Write what is left; runs that have not ended are marked as killed."""
        self._write(self._close)
        self._thread.shutdown()

    def _write(self, action: Callable[..., None], *arguments: Any) -> None:
        def write() -> None:
            if self.error is None:
                try:
                    action(*arguments)
                except Exception as error:  # a store may fail in any way, and the run goes on
                    self.error = error

        self._thread.submit(write)

    def _begin(self, place: str, settings: RunSettings, dataset: str, resumed: bool) -> None:
        from mlflow.entities import Param

        experiment = self._experiment(os.environ.get("MLFLOW_EXPERIMENT_NAME") or dataset)
        self._experiments[place] = experiment
        known = self._find(experiment, _PLACE, place) if resumed else {}
        if not known:
            self._create(place, experiment, {_NAME: name_of(place), _PLACE: place, "detector": settings.detector})
            self._log(place, "params", [Param(name, str(value)) for name, value in _flat(settings.to_dict())])
            return
        self._reopen(place, known[""])
        for fold, identity in self._find(experiment, _PARENT, known[""]).items():
            self._ids[join(place, "folds", fold)] = identity

    def _progress(self, folder: str, numbers: dict[str, Any], moment: int) -> None:
        from mlflow.entities import Metric

        if folder not in self._ids:
            self._create_fold(folder)
        elif folder not in self._open:
            self._reopen(folder, self._ids[folder])
        if "epoch" in numbers:
            step = int(numbers["epoch"])
            self._log(folder, "metrics", [Metric(name, float(numbers[name]), moment, step) for name in _METRICS])
        if numbers.get("done"):
            self._end(folder, "FAILED" if numbers.get("failed") else "FINISHED")

    def _finish(self, place: str, summary: dict[str, Any] | None, outcomes: pa.Table | None) -> None:
        from mlflow.entities import Metric

        if summary is None:
            self._end(place, "FAILED")
            return
        moment = _now()
        for fold, values in _outcomes(outcomes).items():
            folder = join(place, "folds", fold)
            if folder not in self._ids:
                # Finished before there was a store.
                self._create_fold(folder)
                self._end(folder, "FINISHED")
            self._log(folder, "metrics", [Metric(name, value, moment, 0) for name, value in values])
        self._log(place, "metrics", [Metric(name, value, moment, 0) for name, value in _estimates(summary)])
        self._end(place, "FINISHED" if summary["folds"]["finished"] == summary["folds"]["planned"] else "FAILED")

    def _close(self) -> None:
        for place in list(self._open):
            self._end(place, "KILLED")

    def _experiment(self, name: str) -> str:
        found = self.client.get_experiment_by_name(name)
        return str(found.experiment_id if found else self.client.create_experiment(name))

    def _find(self, experiment: str, tag: str, value: str) -> dict[str, str]:
        """Ids of the MLflow runs with this tag by fold, the oldest first; that of a whole run has the key ``''``."""
        quote = '"' if "'" in value else "'"
        runs = self.client.search_runs(
            [experiment], f"tags.`{tag}` = {quote}{value}{quote}", max_results=10_000, order_by=["start_time ASC"]
        )
        return {run.data.tags.get(_FOLD, ""): run.info.run_id for run in runs}

    def _create_fold(self, folder: str) -> None:
        place = parent_of(parent_of(folder))
        tags = {_NAME: f"fold {name_of(folder)}", _FOLD: name_of(folder), _PARENT: self._ids[place]}
        self._create(folder, self._experiments[place], tags)

    def _create(self, place: str, experiment: str, tags: dict[str, str]) -> None:
        self._ids[place] = self.client.create_run(experiment, tags=tags).info.run_id
        self._open.add(place)

    def _reopen(self, place: str, identity: str) -> None:
        self._ids[place] = identity
        self._open.add(place)
        self.client.update_run(identity, status="RUNNING")

    def _end(self, place: str, status: str) -> None:
        self._open.discard(place)
        self.client.set_terminated(self._ids[place], status)

    def _log(self, place: str, kind: str, values: list[Any]) -> None:
        for start in range(0, len(values), _BATCH[kind]):
            self.client.log_batch(self._ids[place], **{kind: values[start : start + _BATCH[kind]]})


def _connect(where: str) -> Any:
    """A client of the store, which has answered once."""
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    try:
        from mlflow import MlflowClient
        from mlflow.exceptions import MlflowException
        from sqlalchemy.exc import SQLAlchemyError
    except ImportError as error:
        raise UserError("--mlflow: MLflow is not installed; install raylab2f[mlflow].") from error
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    refuse_password(where)
    uri = where
    if not is_uri(where):
        path = Path(where).resolve()
        if path.is_dir():
            raise UserError(
                f"--mlflow {where}: MLflow keeps no store in a folder any more; name a file, such as {where}/mlflow.db."
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        uri = f"sqlite:///{path}"
    try:
        client = MlflowClient(tracking_uri=uri)
        client.search_experiments(max_results=1)
    except (MlflowException, SQLAlchemyError) as error:
        raise UserError(
            f"--mlflow {where}: the store cannot be used ({first_line(error)}); check the address."
        ) from error
    return client


def _estimates(summary: dict[str, Any]) -> Iterator[tuple[str, float]]:
    """Name and value of every estimate that has one, and of both ends of its interval."""
    for row in summary["estimates"]:
        if row["mean"] is None:
            continue
        name = _name(row)
        yield name, row["mean"]
        if row["interval"] is not None:
            yield f"{name}/low", row["interval"]["low"]
            yield f"{name}/high", row["interval"]["high"]


def _outcomes(table: pa.Table | None) -> dict[str, list[tuple[str, float]]]:
    """By fold, the name and value of every outcome that has one, and of every strategy's thresholds."""
    found: dict[str, list[tuple[str, float]]] = {}
    for row in [] if table is None else table.to_pylist():
        values = found.setdefault(str(row["fold"]), [])
        if row["value"] is not None and math.isfinite(row["value"]):
            values.append((_name(row), row["value"]))
        for column in ("threshold", "low_threshold"):
            # Runs of before have no low threshold.
            threshold = (_name({**row, "metric": column}), row.get(column))
            if threshold[1] is not None and math.isfinite(threshold[1]) and threshold not in values:
                values.append(threshold)
    return found


def _name(row: Mapping[str, Any]) -> str:
    # MLflow takes few characters in a name, and brackets are none of them.
    return re.sub(r"[^\w\-./ ]", "_", f"{row['level']}/{row['strategy']}/{row['metric']}")[:_LONGEST]


def _flat(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _now() -> int:
    """Milliseconds since 1970, as MLflow counts."""
    return int(time.time() * 1000)
