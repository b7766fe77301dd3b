"""Folders of private clusters end with their runs, or with the next one."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from raylab2f.cluster import leftovers

KEEPING = """
import sys, time
from pathlib import Path
from raylab2f.cluster import leftovers
leftovers._SETTLED_SECONDS = -1
leftovers.Path = lambda place: Path(sys.argv[1]) if place == "/tmp" else Path(place)
with leftovers.own_folder() as folder:
    print(folder, flush=True)
    time.sleep(600)
"""


@pytest.fixture
def above(monkeypatch):
    with tempfile.TemporaryDirectory() as folder:
        monkeypatch.setattr(leftovers, "Path", lambda place: Path(folder) if place == "/tmp" else Path(place))
        monkeypatch.setattr(leftovers, "_SETTLED_SECONDS", -1)
        yield Path(folder)


def test_it_is_its_users_alone_and_goes_with_the_block(above):
    with leftovers.own_folder() as folder:
        assert folder.parent == above
        assert folder.stat().st_mode & 0o777 == 0o700
        (folder / "ray").mkdir()
    assert not list(above.iterdir())
    with pytest.raises(ZeroDivisionError), leftovers.own_folder():
        1 / 0  # noqa: B018
    assert not list(above.iterdir())


def test_what_a_killed_run_left_goes_and_what_lives_stays(above):
    process = subprocess.Popen([sys.executable, "-c", KEEPING, str(above)], stdout=subprocess.PIPE, text=True)
    try:
        theirs = Path(process.stdout.readline().strip())
        (theirs / "token").write_text("secret")
        with leftovers.own_folder():
            assert (theirs / "token").exists()
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert (theirs / "token").exists()
    with leftovers.own_folder():
        assert not theirs.exists()


def test_what_is_not_a_clusters_folder_or_is_new_stays(above, monkeypatch):
    (above / "raylab2f-home-7").mkdir()
    (above / "raylab2f-file").write_text("")
    fresh = above / "raylab2f-fresh"
    fresh.mkdir()
    (fresh / "alive.lock").write_text("")
    (above / "raylab2f-link").symlink_to(fresh)
    monkeypatch.setattr(leftovers, "_SETTLED_SECONDS", 60)
    with leftovers.own_folder():
        assert {path.name for path in above.iterdir()} > {"raylab2f-home-7", "raylab2f-file", "raylab2f-fresh"}
    os.utime(fresh / "alive.lock", (time.time() - 100,) * 2)
    with leftovers.own_folder():
        assert not fresh.exists()
        assert (above / "raylab2f-home-7").exists()
