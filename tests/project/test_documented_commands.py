"""Commands that the documentation shows exist, with the options that it gives them."""

import pytest
import typer
from documents import PAGES, ROOT, commands

from raylab2f.cli.app import app

#: A folder of classes is only read where its classes are named.
UNNAMED = "pictures/"


def understood(words, command):
    """Parse a command's words, and those of the command that it sends to a cluster."""
    while hasattr(command, "commands"):
        assert words[0] in command.commands, words
        command, words = command.commands[words[0]], list(words[1:])
    if "--config" in words:
        at = words.index("--config")
        assert any("--config" in part.opts for part in command.params)
        words = words[:at] + words[at + 2 :]
    context = command.make_context(command.name, list(words))
    if command.name == "submit":
        understood(context.params["command"], typer.main.get_command(app))
    return context.params


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_on_a_page_exist(page):
    for words in commands(page):
        values = understood(words, typer.main.get_command(app))
        if values.get("data") == UNNAMED:
            assert values["nominal"], words
            assert values["anomalous"], words


def test_there_are_commands_to_check():
    assert sum(len(list(commands(page))) for page in PAGES) > 50


def test_a_command_that_does_not_exist_is_found():
    with pytest.raises(typer.BadParameter.__base__, match="--fold"):
        understood(["run-cv", "--fold", "3"], typer.main.get_command(app))
