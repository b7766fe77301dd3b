"""Tables lose nothing in a narrow terminal, and break no word."""

import io
import json

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from in_process import raylab2f
from rich.console import Console
from rich.text import Text

from raylab2f.evaluation import evaluate
from raylab2f.reporting import print_summary, print_table

WORDS = st.text(st.characters(codec="ascii", categories=("L", "N", "P")), min_size=1, max_size=30)
CELLS = st.lists(WORDS, max_size=4).map(" ".join)


def printed(show, width):
    console = Console(file=io.StringIO(), width=width)
    show(console)
    return console.file.getvalue()


def words(text):
    """What stands in it, without lines drawn around cells."""
    return [word for word in text.split() if not set(word) <= set("│┃─━┏┓┗┛┡┩└┘├┤┬┴┼╇┳┻╋╈")]


@given(rows=st.lists(st.tuples(WORDS, CELLS, CELLS), min_size=1, max_size=5), width=st.integers(20, 120))
def test_every_word_is_there_whole_at_any_width(rows, width):
    text = printed(lambda console: print_table(("a", "b", "c"), rows, console, title="t/i/t/l/e"), width)
    shown = words(text)
    for row in rows:
        for cell in row:
            assert set(cell.split()) <= set(shown)
    assert "…" not in text


def test_markup_in_cells_is_text():
    text = printed(lambda console: print_table(("a", "b"), [("[red]x[/]", Text("y", style="red"))], console), 40)
    assert "[red]x[/]" in text


@pytest.mark.parametrize("width", [40, 80, 120])
def test_a_summary_can_be_copied(width):
    table = {"image_id": [str(i) for i in range(40)], "label": [0, 1] * 20, "score": [i * 7 % 40 for i in range(40)]}
    values = evaluate(pa.table(table), replicates=50).to_dict()
    text = printed(lambda console: print_summary(values, console), width)
    shown = words(text)
    for row in values["estimates"]:
        if row["strategy"] == "youden" and row["metric"] in ("recall", "balanced_accuracy"):
            assert row["metric"] in " ".join(shown)
            assert f"{row['mean']:.3f}" in shown
            assert f"({row['interval']['low']:.3f}" in shown


@pytest.mark.parametrize("width", ["40", "80"])
@pytest.mark.parametrize(
    "command",
    [
        ["datasets", "list"],
        ["plan-samples", "--half-width", "0.03", "--recall", "0.97", "--run", "A"],
        ["compare", "A", "B", "--replicates", "100"],
    ],
    ids=lambda command: command[0],
)
def test_commands_cut_nothing(command, width, write_run, tmp_path, monkeypatch):
    runs = {"A": tmp_path / "the first run", "B": tmp_path / "the second run"}
    for seed, run in enumerate(runs.values()):
        write_run(run, seed=seed)
    arguments = [runs.get(word, word) for word in command]
    monkeypatch.setenv("COLUMNS", "300")
    wide = raylab2f(*arguments)
    monkeypatch.setenv("COLUMNS", width)
    narrow = raylab2f(*arguments)
    assert narrow.returncode == wide.returncode == 0, narrow.stderr
    assert "…" not in narrow.stdout
    missing = set(words(wide.stdout)) - {part for word in words(narrow.stdout) for part in (word, word.rstrip(":"))}
    assert not missing, json.dumps(sorted(missing))
