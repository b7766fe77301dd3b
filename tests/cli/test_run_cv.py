"""Mistakes in `run-cv`'s options, found before anything is read."""

import pytest
from typer.testing import CliRunner

from raylab2f.cli.app import app
from raylab2f.cli.experiments import experiment_app
from raylab2f.errors import UserError


@pytest.mark.parametrize(
    ("program", "options"),
    [
        (app, ["run-cv", "--detector", "csflow", "--detector", "glass", "--detector", "csflow"]),
        (app, ["run-cv", "--seed", "1", "--seed", "1"]),
        (experiment_app("table1"), ["--detector", "glass", "--detector", "glass"]),
    ],
)
def test_no_two_runs_share_a_folder(program, options, tmp_path):
    result = CliRunner().invoke(program, [*options, "--data", str(tmp_path / "nowhere"), "--out", str(tmp_path)])
    assert isinstance(result.exception, UserError)
    assert f"{options[-2]} {options[-1]} is given twice" in str(result.exception)
