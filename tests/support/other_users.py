"""Acting as somebody else, which only root can do; tests that need it are skipped otherwise."""

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

__all__ = ["ANN", "BOB", "LAB", "STRANGER", "acting_as", "folder_for_all", "needs_other_users", "start_as"]

ANN, BOB, STRANGER = 61_001, 61_002, 61_003
#: The group of the first two.
LAB = 61_000

needs_other_users = pytest.mark.skipif(
    not hasattr(os, "setresuid") or os.geteuid() != 0 or not shutil.which("setpriv"),
    reason="only root can act as other users",
)


def _groups(user: int) -> list[int]:
    return [LAB] if user in (ANN, BOB) else []


@contextmanager
def acting_as(user: int, umask: int = 0o022) -> Iterator[None]:
    """Be a user whose own group has the user's number; `ANN` and `BOB` are in the group `LAB` besides."""
    groups, mask = os.getgroups(), os.umask(umask)
    os.setgroups(_groups(user))
    os.setresgid(user, user, 0)
    os.setresuid(user, user, 0)
    try:
        yield
    finally:
        os.setresuid(0, 0, 0)
        os.setresgid(0, 0, 0)
        os.setgroups(groups)
        os.umask(mask)


def start_as(user: int, source: str, *arguments: object, umask: int = 0o022) -> subprocess.Popen[str]:
    """A Python program of a user's, who is as in `acting_as`."""
    groups = "--groups=" + ",".join(map(str, _groups(user))) if _groups(user) else "--clear-groups"
    path = [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]
    return subprocess.Popen(
        ["setpriv", f"--reuid={user}", f"--regid={user}", groups, sys.executable, "-c", source, *map(str, arguments)],
        stdout=subprocess.PIPE,
        text=True,
        umask=umask,
        env={**os.environ, "HOME": "/nonexistent", "PYTHONPATH": os.pathsep.join(filter(None, path))},
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
