"""What a command found, as JSON in a file and on the terminal."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, redirect_stdout
from typing import Any

import typer

from raylab2f.files.places import name_of, parent_of

__all__ = ["others_aside", "put_json"]


def put_json(values: dict[str, Any], out: str | None, *, printed: bool) -> bool:
    """Write `values` to the file or URI `out`, if there is one, and print them if that is asked for.

    Returns:
        `printed`: nothing else is to be said then.
    """
    from raylab2f.files.atomic import write_json
    from raylab2f.files.mirror import local, publish

    if out is not None:
        write_json(local(out), values)
        publish(parent_of(out), [name_of(out)])
    if printed:
        typer.echo(json.dumps(values, indent=2, allow_nan=False))
    return printed


@contextmanager
def others_aside(aside: bool = True) -> Iterator[None]:
    """Let the standard error have what code of others prints meanwhile: the standard output is for JSON alone.

    Arguments:
        aside: whether JSON is asked for.
    """
    with redirect_stdout(sys.stderr) if aside else nullcontext():
        yield
