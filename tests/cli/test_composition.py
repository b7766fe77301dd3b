"""What several commands have in common is declared once, and the command line stays as it was."""

import ast
import subprocess
import sys
import tokenize
from itertools import combinations
from keyword import iskeyword
from pathlib import Path

import typer

import raylab2f.cli
from raylab2f.cli.app import app
from raylab2f.cli.experiments import experiment_app
from raylab2f.datasets.layouts import LAYOUTS
from raylab2f.options.declaration import declared

FOLDER = Path(raylab2f.cli.__file__).parent


def callbacks(program):
    """The functions behind all commands of a program, as they were composed."""
    for info in program.registered_commands:
        yield info.callback
    for group in program.registered_groups:
        yield from callbacks(group.typer_instance)


COMMANDS = [f for f in (*callbacks(app), *callbacks(experiment_app("table1"))) if hasattr(f, "__options__")]


def test_an_option_that_is_the_same_for_two_commands_is_declared_once():
    for one, other in combinations(COMMANDS, 2):
        for name, part in declared(one).items():
            twin = declared(other).get(name)
            if twin is not None and (part.option, part.annotation, part.default) == (
                twin.option, twin.annotation, twin.default,
            ):  # fmt: skip
                assert part.option is twin.option or not part.option.help, f"{one.__name__}, {other.__name__}: {name}"


def test_names_are_unique_within_a_command():
    for command in COMMANDS:
        names = [part.name for part in declared(command).values()]
        assert len(names) == len(set(names))


def test_modules_of_the_command_line_import_each_other_in_no_circle():
    graph = {}
    for path in FOLDER.glob("*.py"):
        names = [n.module for n in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(n, ast.ImportFrom)]
        graph[path.stem] = {n.split(".")[2] for n in names if n and n.startswith("raylab2f.cli.")}
    while free := [name for name, needs in graph.items() if not needs & set(graph)]:
        for name in free:
            del graph[name]
    assert not graph


def shapes(path):
    """Every line of code, imports and lone punctuation aside, with its names, numbers and texts taken out."""
    lines, importing = {}, False
    with path.open("rb") as file:
        for token in tokenize.tokenize(file.readline):
            if token.string in ("import", "from") and not token.line[: token.start[1]].strip():
                importing = True
            if token.type == tokenize.NEWLINE:
                importing = False
            if token.type in (tokenize.NAME, tokenize.NUMBER, tokenize.STRING, tokenize.OP) and not importing:
                shape = token.string if token.type == tokenize.OP or iskeyword(token.string) else "x"
                lines.setdefault(token.start[0], []).append(shape)
    return ["".join(line) for _, line in sorted(lines.items()) if "x" in line]


def test_no_two_modules_share_six_lines_of_one_shape():
    runs = {}
    for path in FOLDER.glob("*.py"):
        lines = shapes(path)
        runs[path.name] = {tuple(lines[start : start + 6]) for start in range(len(lines) - 5)}
    for one, other in combinations(runs, 2):
        # Six lines of one word each, such as the names in `__all__`, say nothing.
        assert not {run for run in runs[one] & runs[other] if len(set(run)) > 2}, f"{one} and {other}"


def test_help_lists_all_layouts():
    run_cv = typer.main.get_command(app).commands["run-cv"]
    [layout] = [p for p in run_cv.params if p.name == "layout"]
    assert set(layout.help.rstrip(".").replace(" or ", ", ").split(", ")) == {"auto", *LAYOUTS}


def test_help_loads_nothing_heavy():
    heavy = ("ray", "torch", "pandas", "scipy", "sklearn", "cv2", "matplotlib")
    code = f"""
import sys
from raylab2f.cli import main
sys.argv = ["raylab2f", "run-cv", "--help"]
try:
    main()
except SystemExit:
    print([name for name in {heavy} if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().splitlines()[-1] == "[]"
