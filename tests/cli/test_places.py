"""Commands whose runs, tables and results lie on a store."""

import json

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from raylab2f.cli.app import app
from raylab2f.datasets.manifest import read_manifest
from raylab2f.errors import UserError
from raylab2f.files.mirror import fetch_file, local, publish


@pytest.fixture
def here(monkeypatch, tmp_path):
    """This machine's mirror, and the folder it works in; `here("other")` becomes another machine."""
    monkeypatch.chdir(tmp_path)

    def become(name):
        monkeypatch.setenv("RAYLAB2F_MIRROR", str(tmp_path / "mirrors" / name))

    become("first")
    return become


@pytest.fixture
def runs(s3, here, write_run):
    """Three runs on the store, unknown to the machine that we then are; the third trained on half of the parts."""
    variants = {"weak": {"separation": 1}, "strong": {"separation": 2}, "half": {"train_fraction": 0.5}}
    places = [s3.uri(f"bucket/cli/{name}") for name in variants]
    for place, variant in zip(places, variants.values(), strict=True):
        write_run(local(place), folds=2, **variant)
        publish(place)
    here("second")
    return places


@pytest.fixture
def tiny_pictures(tmp_path):
    """Two good and two bad pictures in a folder each."""
    for number, kind in enumerate(["good", "good", "bad", "bad"]):
        (tmp_path / "pictures" / kind).mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(tmp_path / "pictures" / kind / f"{number}.png"), np.full((8, 8, 3), number, np.uint8))
    return tmp_path / "pictures"


def run(*words):
    return CliRunner().invoke(app, [*map(str, words)], env={"COLUMNS": "200"})


def test_a_comparison_is_read_from_and_written_to_a_store(s3, here, runs, tmp_path):
    out = s3.uri("bucket/cli/compared/differences.json")
    result = run("compare", *runs[:2], "--replicates", 100, "--out", out, "--json")
    assert result.exit_code == 0, result.exception
    here("third")
    assert json.loads(fetch_file(out).read_text("utf-8")) == json.loads(result.stdout)
    assert [path.name for path in tmp_path.iterdir()] == ["mirrors"]


def test_samples_are_planned_from_runs_on_a_store(runs):
    result = run("plan-samples", "--run", runs[0], "--curve", runs[1], "--curve", runs[2], "--json")
    assert result.exit_code == 0, result.exception
    values = json.loads(result.stdout)
    assert values["half_width"][0]["pictures"] == 2
    assert {point["run"] for point in values["learning_curve"]} == {"strong", "half"}


def test_a_run_that_is_not_on_the_store_is_named(s3, here):
    result = run("plan-samples", "--run", s3.uri("bucket/cli/nothing"))
    assert isinstance(result.exception, UserError)
    assert "s3://bucket/cli/nothing" in str(result.exception)


def test_a_manifest_is_written_to_a_store(s3, here, tiny_pictures):
    out = s3.uri("bucket/cli/parts.parquet")
    result = run("datasets", "manifest", tiny_pictures, "--nominal", "good", "--anomalous", "bad", "--out", out)
    assert result.exit_code == 0, result.exception
    here("second")
    assert len(read_manifest(fetch_file(out))) == 4


def test_downloads_and_masks_stay_on_this_machine(here):
    for words in (["datasets", "download", "mtd"], ["segment"]):
        result = run(*words, "--out", "s3://bucket/somewhere")
        assert isinstance(result.exception, UserError)
        assert "s3://bucket/somewhere: a path of this machine" in str(result.exception)
