"""A griffe extension: docstrings describe parameters that belong together in one line, `height, width: in pixels.`

Griffe knows one name a line and would take the list for one name. Here such a line becomes one line for each name, so
that names which the signature lacks are still reported when the site is built.
"""

from __future__ import annotations

import re
from typing import Any

import griffe

__all__ = ["JointParameters", "split_joint"]

_SECTION = re.compile(r"(?:Arguments|Attributes):\s*")
_JOINT = re.compile(r"(?P<indent> +)(?P<names>\w+(?:, \w+)+): (?P<text>.*)")


def split_joint(docstring: str) -> str:
    """The docstring with one line for each parameter; the later ones point to the first."""
    lines: list[str] = []
    pending: list[str] = []
    inside, depth = False, 0
    for line in docstring.splitlines():
        if pending and not line.startswith(" " * (depth + 1)):
            # The text of the first one, which may go on over lines, has ended.
            lines += pending
            pending = []
        if line and not line.startswith(" "):
            inside = _SECTION.fullmatch(line) is not None
        joint = _JOINT.fullmatch(line) if inside else None
        if joint is None:
            lines.append(line)
            continue
        first, *others = joint["names"].split(", ")
        depth = len(joint["indent"])
        lines.append(f"{joint['indent']}{first}: {joint['text']}")
        pending = [f"{joint['indent']}{name}: see `{first}`." for name in others]
    return "\n".join(lines + pending)


class JointParameters(griffe.Extension):
    """Applies `split_joint` to the docstrings of functions and classes."""

    def on_function(self, *, func: griffe.Function, **_: Any) -> None:
        _split(func)

    def on_class(self, *, cls: griffe.Class, **_: Any) -> None:
        _split(cls)


def _split(found: griffe.Object) -> None:
    if found.docstring is not None:
        found.docstring.value = split_joint(found.docstring.value)
