"""The classes that docs/howto/detectors.md prints are detectors, as they stand there."""

import re
import subprocess
from pathlib import Path

import pytest
from documents import commands

PAGE = Path(__file__).parents[2] / "docs" / "howto" / "detectors.md"
FILES = dict(
    re.findall(r'^```python title="([^"]+)"\n(.*?)^```', PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
)
FEW = ("--folds", "2", "--replicates", "100", "--max-parallel-folds", "1")


def test_a_complete_detector_takes_fewer_than_forty_lines():
    for name in ("colours.py", "program.py"):
        assert len(FILES[name].splitlines()) < 40


@pytest.mark.parametrize("name", ["colours", "program"])
def test_what_the_page_shows_runs(name, command, pictures, cache, tmp_path, read_summary):
    for file, text in FILES.items():
        (tmp_path / file).write_text(text, encoding="utf-8")
    [words] = [words for words in commands(PAGE) if any(word.startswith(f"{name}:") for word in words)]
    given = [str(pictures) if word == "parts.csv" else word for word in words]
    done = subprocess.run(
        [command[0], *given, *FEW, "--cache", str(cache)], cwd=tmp_path, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = tmp_path / "runs" / name
    summary = read_summary(found if (found / "summary.json").exists() else found / "program-Program-seed0")
    [auroc] = [e["mean"] for e in summary["estimates"] if (e["level"], e["metric"]) == ("image", "auroc")]
    assert auroc > 0.9
