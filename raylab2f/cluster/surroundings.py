"""What a process gives Ray to read while it starts or joins a cluster, and what it takes from it to show."""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

from raylab2f.reporting.watchdog import is_verbose

__all__ = ["core_lines_aside", "environment_with", "environment_without"]

# As Ray's core begins a line: `[2026-01-31 12:00:00,123 W 4711 4711] gcs_client.cc:210: ...`.
_CORE_LINE = re.compile(rb"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} [A-Z] \d+ \d+\] ")


@contextmanager
def environment_with(values: Mapping[str, str]) -> Iterator[None]:
    """These environment variables inside the block, where the user has set no others."""
    added = [name for name in values if name not in os.environ]
    os.environ.update({name: values[name] for name in added})
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)


@contextmanager
def environment_without(names: Iterable[str]) -> Iterator[None]:
    """None of these environment variables inside the block."""
    kept = {name: os.environ.pop(name) for name in names if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(kept)


@contextmanager
def core_lines_aside() -> Iterator[None]:
    """Keep from the user what Ray's core writes to standard error past Python.

    With `--verbose` it comes after the block. Whatever else is written there meanwhile comes then in any case.
    """
    if sys.stderr is None:
        # Started without a standard error, and so with nobody to see it.
        yield
        return
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as file:
        os.dup2(file.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)
            file.seek(0)
            for line in file:
                if is_verbose() or not _CORE_LINE.match(line):
                    os.write(2, line)
