"""Runs recorded in a real MLflow store, a database file of the test's own."""

import sqlite3

import pyarrow as pa
import pytest

from raylab2f.errors import UserError
from raylab2f.runs.folder import DataSettings, RunSettings
from raylab2f.workflows.tracking.mlflow import mlflow_logging

mlflow = pytest.importorskip("mlflow", reason="needs raylab2f[mlflow]")

SETTINGS = RunSettings(data=DataSettings("/parts.csv"), detector="csflow", preset="fast", config={"size": [64, 64]})
INTERVAL = {"method": "object-bootstrap", "confidence": 0.95, "low": 0.7, "high": 0.9}


def summary(planned, finished):
    def row(strategy, metric, mean, interval):
        return {"strategy": strategy, "level": "image", "metric": metric, "mean": mean, "interval": interval}

    estimates = [
        row("any", "auroc", 0.8, INTERVAL),
        row("target-recall:0.99", "recall[deep dent]", 0.5, None),
        row("youden", "precision", None, None),
    ]
    return {"folds": {"planned": planned, "finished": finished}, "estimates": estimates}


def epoch(number, loss):
    return {"epoch": number, "epochs": 3, "loss": loss, "pictures_per_second": 10.0 * number}


def runs(store):
    """The recorded runs by name, and the store's client."""
    client = mlflow.MlflowClient(f"sqlite:///{store}")
    experiment = client.get_experiment_by_name("parts")
    found = client.search_runs([experiment.experiment_id])
    named = {run.data.tags["mlflow.runName"]: run for run in found}
    assert len(named) == len(found)
    return named, client


def losses(client, run):
    return [(m.step, m.value) for m in client.get_metric_history(run.info.run_id, "loss")]


def fold(place, number):
    return str(place / "folds" / str(number))


def test_a_run_that_is_cut_off_and_resumed_is_one_run_with_a_run_for_each_fold(tmp_path):
    store, place = tmp_path / "new folder" / "mlflow.db", tmp_path / "it's first"
    with mlflow_logging(str(store), pytest.fail) as log:
        log.begin(str(place), SETTINGS, "parts", resumed=False)
        log.progress(fold(place, 0), epoch(1, 0.5))
        log.progress(fold(place, 0), epoch(3, 0.25))
        log.progress(fold(place, 0), {"done": True})
        log.progress(fold(place, 1), epoch(1, 0.75))
    named, client = runs(store)
    assert {name: run.info.status for name, run in named.items()} == {
        "it's first": "KILLED",
        "fold 0": "FINISHED",
        "fold 1": "KILLED",
    }
    whole = named["it's first"]
    assert whole.data.params["detector"] == "csflow"
    assert whole.data.params["config.size"] == "[64, 64]"
    assert whole.data.tags["raylab2f.place"] == str(place)
    assert whole.data.metrics == {}
    assert losses(client, named["fold 0"]) == [(1, 0.5), (3, 0.25)]

    with mlflow_logging(str(store), pytest.fail) as log:
        log.begin(str(place), SETTINGS, "parts", resumed=True)
        log.progress(fold(place, 1), epoch(2, 0.5))
        log.progress(fold(place, 1), {"done": True, "failed": True})
        log.finish(str(place), summary(planned=2, finished=1))
    named, client = runs(store)
    assert {name: run.info.status for name, run in named.items()} == {
        "it's first": "FAILED",
        "fold 0": "FINISHED",
        "fold 1": "FAILED",
    }
    assert losses(client, named["fold 1"]) == [(1, 0.75), (2, 0.5)]
    for name in ("fold 0", "fold 1"):
        assert named[name].data.tags["mlflow.parentRunId"] == whole.info.run_id
    assert named["it's first"].data.metrics == {
        "image/any/auroc": 0.8,
        "image/any/auroc/low": 0.7,
        "image/any/auroc/high": 0.9,
        "image/target-recall_0.99/recall_deep dent_": 0.5,
    }


def test_each_folds_run_holds_the_folds_outcomes_also_of_folds_from_before_there_was_a_store(tmp_path):
    store, place = tmp_path / "mlflow.db", tmp_path / "first"
    rows = [
        {"fold": k, "strategy": "youden", "level": "object", "metric": metric, "value": value, "threshold": 0.25 + k}
        for k in (0, 1)
        for metric, value in (("recall", 0.5 + k / 10), ("precision", None))
    ]
    rows += [{"fold": 0, "strategy": "any", "level": "object", "metric": "auroc", "value": 0.75, "threshold": None}]
    with mlflow_logging(str(store), pytest.fail) as log:
        log.begin(str(place), SETTINGS, "parts", resumed=False)
        log.progress(fold(place, 0), epoch(3, 0.25))
        log.progress(fold(place, 0), {"done": True})
        log.finish(str(place), summary(2, 2), pa.Table.from_pylist(rows))
    named, _ = runs(store)
    assert named["fold 0"].data.metrics == {
        "loss": 0.25,
        "pictures_per_second": 30.0,
        "object/any/auroc": 0.75,
        "object/youden/recall": 0.5,
        "object/youden/threshold": 0.25,
    }
    assert named["fold 1"].data.metrics == {"object/youden/recall": 0.6, "object/youden/threshold": 1.25}
    assert {named[f"fold {k}"].info.status for k in (0, 1)} == {"FINISHED"}


def test_a_store_that_fails_meanwhile_is_told_and_stops_nothing(tmp_path):
    store, said = tmp_path / "mlflow.db", []
    with mlflow_logging(str(store), said.append) as log:
        with sqlite3.connect(store) as tables:
            tables.execute("DROP TABLE runs")
        log.begin("/runs/first", SETTINGS, "parts", resumed=False)
        log.progress("/runs/first/folds/0", epoch(1, 0.5))
        log.finish("/runs/first", summary(planned=1, finished=1))
    assert len(said) == 1
    assert said[0].startswith(f"--mlflow {store}: the store failed")
    assert "\n" not in said[0]


@pytest.mark.parametrize(
    ("where", "sentence"),
    [
        ("{folder}", "name a file"),
        ("http://user:hidden@127.0.0.1:1", "MLFLOW_TRACKING_PASSWORD"),
        ("http://127.0.0.1:1", "cannot be used"),
        ("gopher://127.0.0.1/store", "cannot be used"),
    ],
)
def test_a_store_that_cannot_be_used_is_told_first(tmp_path, monkeypatch, where, sentence):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(UserError, match=sentence) as caught, mlflow_logging(where.format(folder=tmp_path), pytest.fail):
        pass
    assert "hidden" not in str(caught.value)
