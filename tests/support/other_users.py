"""Python run as somebody else, which only root can do; a module that needs it is skipped otherwise."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

__all__ = ["ANN", "BOB", "LAB", "STRANGER", "as_user", "folder_for_all", "needs_other_users"]

ANN, BOB, STRANGER = 61_001, 61_002, 61_003
#: The group of the first two.
LAB = 61_000

needs_other_users = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0 or not shutil.which("setpriv"),
    reason="only root can act as other users",
)


def as_user(
    user: int, source: str, *arguments: object, umask: int = 0o022, check: bool = True
) -> subprocess.CompletedProcess[str]:
    """Run a program as a user whose own group has the user's number; `ANN` and `BOB` are in the group `LAB` besides."""
    groups = f"--groups={LAB}" if user in (ANN, BOB) else "--clear-groups"
    command = ["setpriv", f"--reuid={user}", f"--regid={user}", groups, sys.executable, "-c", source]
    return subprocess.run(
        [*command, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=check,
        umask=umask,
        env={**os.environ, "HOME": "/nonexistent", "PYTHONPATH": str(Path(__file__).parents[2])},
        cwd="/",
    )


@contextmanager
def folder_for_all() -> Iterator[Path]:
    """A folder that everybody may enter, which pytest's own are not; gone at the end."""
    folder = Path(tempfile.mkdtemp(prefix="raylab2f-users-", dir="/tmp"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)
