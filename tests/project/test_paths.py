"""Files and tests that the documentation names are there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for pattern in ("*.md", "docs/**/*.md", "benchmarks/*.md")
    for path in ROOT.glob(pattern)
)
_FILE = re.compile(
    r"(?<![\w/.-])(?P<path>(?:raylab2f|tests|benchmarks|jobs|tools)/[\w./-]+\.(?:py|md|yaml|npz)|[\w./-]*\btest_\w+\.py)"
    r"(?:::(?P<test>\w+))?"
)


def missing_in(text):
    for found in _FILE.finditer(text):
        path = ROOT / found["path"]
        if not path.is_file():
            yield found["path"]
        elif found["test"] and not re.search(rf"^ *def {found['test']}\(", path.read_text("utf-8"), re.MULTILINE):
            yield found[0]


@pytest.mark.parametrize("page", PAGES)
def test_every_file_and_test_that_a_page_names_is_there(page):
    assert list(missing_in((ROOT / page).read_text(encoding="utf-8"))) == []


def test_what_is_not_there_is_seen():
    here = f"tests/project/{Path(__file__).name}"
    names = [f"{here}::test_what_is_not_there_is_seen", f"{here}::test_of_nothing", "raylab2f/gone.py", "test_gone.py"]
    assert list(missing_in(f"See `{'`, `'.join(names)}` and raylab2f/diagnostics/<module>.py.")) == names[1:]
