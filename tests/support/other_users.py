"""Acting as somebody else, which only root can do; tests that need it are skipped otherwise."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest

__all__ = [
    "ANN",
    "BOB",
    "LAB",
    "OPERATOR",
    "STRANGER",
    "acting_as",
    "folder_for_all",
    "interpreter_for_all",
    "needs_other_users",
    "start_as",
]

ANN, BOB, STRANGER, OPERATOR = 61_001, 61_002, 61_003, 61_004
#: The group of all but the stranger.
LAB = 61_000

needs_other_users = pytest.mark.skipif(
    not hasattr(os, "setresuid") or os.geteuid() != 0 or not shutil.which("setpriv"),
    reason="only root can act as other users",
)


def _groups(user: int) -> list[int]:
    return [] if user == STRANGER else [LAB]


@contextmanager
def acting_as(user: int, umask: int = 0o022) -> Iterator[None]:
    """Be a user whose own group has the user's number; all but `STRANGER` are in the group `LAB` besides."""
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


def start_as(
    user: int,
    source: str,
    *arguments: object,
    umask: int = 0o022,
    group: int | None = None,
    output: Path | None = None,
    **environment: str,
) -> subprocess.Popen[str]:
    """A Python program of a user's, who is as in `acting_as`, or has another `group` first.

    What it prints is in the file `output`, or can be read from the process; a pipe stays open as long as any process
    has it that the program started.
    """
    groups = "--groups=" + ",".join(map(str, _groups(user))) if _groups(user) else "--clear-groups"
    identity = ["setpriv", f"--reuid={user}", f"--regid={group or user}", groups]
    program, path = interpreter_for_all()
    with output.open("w", encoding="utf-8") if output else nullcontext(subprocess.PIPE) as told:
        return subprocess.Popen(
            [*identity, program, "-c", source, *map(str, arguments)],
            stdout=told,
            stderr=subprocess.STDOUT,
            text=True,
            umask=umask,
            env={**os.environ, "HOME": "/nonexistent", "PYTHONPATH": path, **environment},
            cwd="/",
        )


def interpreter_for_all() -> tuple[str, str]:
    """A Python that every user may start, and where it imports from; this one's version.

    A test is skipped where there is none: a virtual environment may lead into a home that is closed.
    """
    project = str(Path(__file__).parents[2])
    path = os.pathsep.join(filter(None, [project, sysconfig.get_path("purelib"), os.environ.get("PYTHONPATH", "")]))
    for program in (sys.executable, f"/usr/bin/python{sys.version_info.major}.{sys.version_info.minor}"):
        found = Path(program).resolve()
        if found.exists() and all(folder.stat().st_mode & stat.S_IXOTH for folder in found.parents):
            return program, path
    pytest.skip("no Python of this version that other users may start")


@contextmanager
def folder_for_all() -> Iterator[Path]:
    """A folder that everybody may enter, which pytest's own are not; gone at the end."""
    folder = Path(tempfile.mkdtemp(prefix="raylab2f-users-", dir="/tmp"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)
