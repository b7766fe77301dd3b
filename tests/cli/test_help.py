"""Help texts reach the terminal as they are written."""

import pytest
import typer
from typer.testing import CliRunner

from raylab2f.cli.app import app
from raylab2f.cli.experiments import experiment_app


def commands(program, *names):
    """(words, command) of every command below a program."""
    command = typer.main.get_command(program) if isinstance(program, typer.Typer) else program
    for name, below in getattr(command, "commands", {}).items():
        yield from commands(below, *names, name)
    if not hasattr(command, "commands"):
        yield names, command


COMMANDS = [(app, words, command) for words, command in commands(app)]
COMMANDS += [(experiment_app("table1"), (), command) for _, command in commands(experiment_app("table1"))]


@pytest.mark.parametrize(
    ("program", "words", "command"), COMMANDS, ids=lambda part: " ".join(part) if isinstance(part, tuple) else ""
)
def test_help_is_shown_as_it_is_written(program, words, command):
    result = CliRunner().invoke(program, [*words, "--help"], env={"COLUMNS": "500", "TERM": "dumb"})
    assert result.exit_code == 0
    shown = " ".join(result.output.split())
    for sentence in command.help.split("\n\n"):
        assert " ".join(sentence.split()) in shown
    for parameter in command.params:
        if parameter.help:
            assert " ".join(parameter.help.split()) in shown, parameter.name
        if isinstance(parameter.show_default, str):
            assert f"[default: ({parameter.show_default})]" in shown, parameter.name


def test_the_address_of_a_cluster_says_what_holds_without_it():
    for words in (["run-cv"], ["segment"], ["diagnose"], ["cluster", "doctor"]):
        result = CliRunner().invoke(app, [*words, "--help"], env={"COLUMNS": "500"})
        assert "RAY_ADDRESS" in result.output
