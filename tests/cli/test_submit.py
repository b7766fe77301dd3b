"""What `submit` finds wrong with a command before anything is sent; nobody answers at the address it is given."""

import pytest
from typer.testing import CliRunner

from raylab2f.cli.app import app
from raylab2f.errors import UserError

RUN = ["run-cv", "--out", "s3://b/run", "--cache", "s3://b/cache"]


def said_of(*command):
    result = CliRunner().invoke(app, ["submit", "--address", "http://127.0.0.1:1", "--", *command])
    assert isinstance(result.exception, UserError), result.output
    return str(result.exception)


@pytest.mark.parametrize(
    "command",
    [
        ["run-cv", "--out", "{}", "--cache", "/shared/cache"],
        ["run-cv", "--out", "/shared/run", "--cache", "{}"],
        [*RUN, "--data", "{}"],
        [*RUN, "--mlflow", "{}"],
        [*RUN, "--mlflow", "sqlite:///{}"],
        [*RUN, "--weights", "{}"],
        [*RUN, "--set", "weights={}"],
        [*RUN, "--set", "epochs=3", "--set", "textures={}"],
        ["evaluate", "{}"],
        ["evaluate", "s3://b/scores.csv", "--out", "{}"],
        ["compare", "s3://b/one", "{}"],
        ["compare", "s3://b/one", "s3://b/two", "--out", "{}"],
        ["diagnose", "{}", "--cache", "/shared/cache"],
        ["diagnose", "/shared/run", "--cache", "{}"],
        ["segment", "{}", "--out", "/shared/segmented", "--cache", "/shared/cache"],
        ["segment", "/shared/parts", "--out", "{}", "--cache", "/shared/cache"],
        ["plan-samples", "--run", "{}"],
        ["plan-samples", "--curve", "/shared/run", "--curve", "{}"],
        ["datasets", "manifest", "{}"],
        ["datasets", "manifest", "/shared/parts", "--out", "{}"],
        ["datasets", "download", "mtd", "--out", "{}"],
    ],
    ids=" ".join,
)
def test_every_place_must_be_the_same_on_all_nodes(command):
    relative = said_of(*(word.format("here/parts") for word in command))
    assert "here/parts must be an absolute path" in relative
    assert "no Ray dashboard" in said_of(*(word.format("/here/parts") for word in command))


@pytest.mark.parametrize(
    "command",
    [
        ["evaluate", "s3://key:secret@b/s.csv"],
        ["compare", "s3://b/one", "s3://key:secret@b/two"],
        ["diagnose", "s3://key:secret@b/run", "--cache", "s3://b/cache"],
        [*RUN, "--data", "s3://key:secret@b/parts.csv"],
        [*RUN, "--mlflow", "https://me:secret@tracking"],
    ],
    ids=" ".join,
)
def test_no_secret_becomes_part_of_a_job(command):
    said = said_of(*command)
    assert "credentials" in said or "password" in said
    assert "secret@" not in said


@pytest.mark.parametrize(
    "store", ["sqlite:////shared/m.db", "https://tracking", "postgresql://db/mlflow", "/shared/m.db"]
)
def test_whatever_mlflow_takes_may_be_its_store(store):
    assert "no Ray dashboard" in said_of(*RUN, "--mlflow", store)


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        (["run-cv", "--cache", "/shared/cache"], "--out"),
        (["run-cv", "--out", "/shared/run"], "--cache"),
        (["diagnose", "/shared/run"], "--cache"),
        (["segment", "/shared/parts", "--out", "/shared/segmented"], "--cache"),
        (["segment", "/shared/parts", "--cache", "/shared/cache"], "--out segmented"),
        ([*RUN, "--weights", "s3://b/mine.pth"], "no URI"),
        (["datasets"], "download"),
        (["datasets", "jobs"], "download"),
        (["jobs", "list"], "run-cv"),
    ],
)
def test_what_is_missing_is_named(command, sentence):
    assert sentence in said_of(*command)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--detector", "csflo"], "do you mean csflow"),
        (["--detector", "glass", "--set", "nonsense=1"], "nonsense"),
        (["--detector", "csflow", "--set", "kernel_sizes=4,4"], "odd"),
        (["--detector", "glass", "--preset", "slow"], "--preset slow"),
        (["--detector", "csflow", "--size", "48"], "the smallest square"),
        (["--detector", "glass", "--size", "8"], "at least 16x16 pixels"),
        (["--detector", "csflow", "--layers", "blocks.4", "--size", "40x64"], "64x64 is the smallest square"),
        (["--detector", "glass", "--layers", "blocks.99"], "--layers blocks.99"),
        # Weights that only the nodes have.
        (["--detector", "glass", "--weights", "/shared/mine.pth"], "no Ray dashboard"),
        # A detector of a package that only the nodes have.
        (["--detector", "somebodys-own"], "no Ray dashboard"),
    ],
)
def test_a_detector_that_cannot_be_is_told_before_anything_is_sent(options, sentence):
    assert sentence in said_of(*RUN, *options)


def test_a_run_that_goes_on_knows_its_cache():
    assert "no Ray dashboard" in said_of("run-cv", "--resume", "--out", "/shared/run")


def test_two_dashes_before_the_command_may_be_left_out():
    words = ["submit", "--address", "http://127.0.0.1:1", *RUN, "--data", "here/parts"]
    result = CliRunner().invoke(app, words)
    assert "here/parts must be an absolute path" in str(result.exception)


def test_where_rays_client_looks_is_named(monkeypatch):
    monkeypatch.setenv("RAY_API_SERVER_ADDRESS", "http://127.0.0.1:1")
    result = CliRunner().invoke(app, ["jobs", "status", "first"])
    assert str(result.exception).startswith("RAY_API_SERVER_ADDRESS=http://127.0.0.1:1: no Ray dashboard")
