"""What the documentation shows: its pages, and the commands and Python in their blocks of code."""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
_FIRST = ("README.md", "docs/start.md", "docs/howto/own-pictures.md")
#: Every page, in the order in which a reader would come to them: later ones use what earlier ones made.
PAGES = [
    *(ROOT / name for name in _FIRST),
    *(page for page in sorted((ROOT / "docs").rglob("*.md")) if str(page.relative_to(ROOT)) not in _FIRST),
    ROOT / "CONTRIBUTING.md",
]

# A block with a title is a file that the page prints.
_BLOCK = re.compile(r"^```(\w*)( title=[^\n]*)?\n(.*?)^```", re.MULTILINE | re.DOTALL)
_PROGRAM = re.compile(r"\s*(?:\$ )?(?:\S*/|uv run )?raylab2f (.*)")


@dataclass(frozen=True)
class Step:
    """One thing that a page tells its reader to do.

    Attributes:
        page: relative to the project.
        words: of a command of ours, without the program's name; empty for Python.
        source: of Python; empty for a command.
    """

    page: str
    words: tuple[str, ...] = ()
    source: str = ""

    def __str__(self):
        return f"{self.page}: {shlex.join(self.words) or 'python'}"


def steps(page):
    """Those of a page, from top to bottom."""
    name = str(page.relative_to(ROOT))
    for language, title, block in _BLOCK.findall(page.read_text(encoding="utf-8")):
        if title:
            continue
        if language == "python":
            yield Step(name, source=block)
        for line in block.replace("\\\n", " ").splitlines() if language != "python" else ():
            if match := _PROGRAM.match(line):
                yield Step(name, words=tuple(shlex.split(match.group(1), comments=True)))


def commands(page):
    """Words of every command of ours on a page."""
    return [step.words for step in steps(page) if step.words]
