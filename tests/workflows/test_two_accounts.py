"""Two accounts share a head, a cache and a folder of runs: both finish, and neither reaches what is the other's."""

import json
import os
import shutil
import signal
import subprocess
import time
from contextlib import contextmanager

import pytest
from other_users import ANN, BOB, LAB, OPERATOR, STRANGER, acting_as, folder_for_all, needs_other_users, start_as
from ray_head import DAEMONS, free_ports

pytestmark = [needs_other_users, pytest.mark.slow]

PROGRAM = "import sys; from raylab2f.cli import main; sys.argv[0] = 'raylab2f'; main()"
RAY = "import sys; from ray.scripts.scripts import main; sys.argv[0] = 'ray'; main()"
SMALL = ["--preset", "fast", "--size", "64", "--epochs", "2", "--folds", "2", "--replicates", "200"]
NAMES = {"ann": ANN, "bob": BOB, "operator": OPERATOR, "stranger": STRANGER}


@pytest.fixture
def place(pictures):
    """What an administrator makes: homes, a folder of the group's with pictures, and the group's token in each home."""
    with folder_for_all() as place:
        for name, user in NAMES.items():
            home = place / name
            home.mkdir(mode=0o700)
            if user != STRANGER:
                (home / ".ray").mkdir(mode=0o700)
                (home / ".ray" / "auth_token").write_text("0123456789abcdef" * 4, encoding="utf-8")
                (home / ".ray" / "auth_token").chmod(0o600)
            for path in (home, *home.rglob("*")):
                os.chown(path, user, user)
        shutil.copytree(pictures.parent, place / "lab" / "pictures")
        for name in ("cache", "runs"):
            (place / "lab" / name).mkdir()
        for path in (place / "lab", *(place / "lab").iterdir()):
            os.chown(path, OPERATOR, LAB)
            path.chmod(0o2770)
        for path in (place / "lab" / "pictures").iterdir():
            os.chown(path, OPERATOR, LAB)
            path.chmod(0o640)
        yield place


@contextmanager
def head(place, umask):
    """The address of a head that the operator starts with this umask."""
    # All its own: another head on this machine may hold the usual ones, and Ray ends one that does not get them.
    port, dashboard, client, agent = free_ports(4)
    options = {
        "port": port,
        "node-ip-address": "127.0.0.1",
        "dashboard-host": "127.0.0.1",
        "dashboard-port": dashboard,
        "dashboard-agent-listen-port": agent,
        "ray-client-server-port": client,
        "min-worker-port": 0,
        "max-worker-port": 0,
        "num-cpus": 2,
        "temp-dir": place / "ray" / "head",
        "object-store-memory": 200_000_000,
    }
    (place / "ray").mkdir()
    os.chown(place / "ray", OPERATOR, LAB)
    (place / "ray").chmod(0o2770)
    words = ["start", "--head", "--block", *(f"--{name}={value}" for name, value in options.items())]
    log = place / "head.log"
    home = str(place / "operator")
    # As by `sg lab`: what Ray makes belongs to the group.
    head = start_as(OPERATOR, RAY, *words, umask=umask, group=LAB, output=log, HOME=home, **DAEMONS)
    try:
        while "Ray runtime started" not in log.read_text(encoding="utf-8"):
            assert head.poll() is None, log.read_text(encoding="utf-8")
            time.sleep(0.2)
        yield f"127.0.0.1:{port}"
    finally:
        head.kill()
        head.wait()
        _end(OPERATOR)


def _end(user):
    """Kill all that a user runs; users of tests run nothing else."""
    while subprocess.run(["pkill", "-KILL", "-u", str(user)], check=False).returncode == 0:
        time.sleep(0.1)


def start(place, name, *words, **options):
    """The program as this account; and what it said, so far, as a function."""
    log = place / f"{name}-{words[0]}.log"
    process = start_as(NAMES[name], PROGRAM, *words, output=log, HOME=str(place / name), **options)
    return process, lambda: log.read_text(encoding="utf-8")


def test_both_finish_and_neither_reaches_what_is_the_others(place):
    with head(place, 0o002) as address:
        check(place, address)


def test_who_may_not_use_the_heads_sockets_is_told(place):
    with head(place, 0o022) as address:
        words = ["run-cv", "--data", place / "lab" / "pictures" / "plates.csv", "--address", address, *SMALL]
        refused, said = start(place, "ann", *words, "--out", place / "lab" / "runs" / "ann")
        assert refused.wait(timeout=100) == 2, said()
    assert "raylab2f submit" in said()
    assert not (place / "lab" / "runs" / "ann").exists()


def check(place, address):
    lab = place / "lab"
    shared = ["--data", lab / "pictures" / "plates.csv", "--cache", lab / "cache", "--address", address, *SMALL]
    runs = {
        name: start(place, name, "run-cv", *shared, "--out", lab / "runs" / name, umask=0o077)
        for name in ("ann", "bob")
    }
    try:
        deadline = time.monotonic() + 300
        while not all((lab / "runs" / name / "run.json").exists() for name in runs):
            for run, said in runs.values():
                assert run.poll() in (None, 0), said()
            assert time.monotonic() < deadline
            time.sleep(0.2)

        with acting_as(BOB):
            with pytest.raises(PermissionError):
                os.kill(runs["ann"][0].pid, signal.SIGTERM)
            for name in ("ann", "operator"):
                with pytest.raises(PermissionError):
                    (place / name / ".ray" / "auth_token").read_text(encoding="utf-8")
        for name, (run, said) in runs.items():
            assert run.wait(timeout=400) == 0, said()
            summary = json.loads((lab / "runs" / name / "summary.json").read_text(encoding="utf-8"))
            assert summary["folds"] == {"planned": 2, "finished": 2}
    finally:
        for run, _ in runs.values():
            run.kill()
            run.wait()
    # Whoever made it, the group may go on with it, and nobody else may look.
    for path in lab.rglob("*"):
        assert path.stat().st_gid == LAB, path
        assert path.stat().st_mode & 0o060 == 0o060 or path.parent.name == "pictures", (path, oct(path.stat().st_mode))

    looked, said = start(place, "bob", "diagnose", lab / "runs" / "ann", "--cache", lab / "cache", "--stored-only")
    assert looked.wait(timeout=200) == 0, said()
    refused, said = start(place, "stranger", "run-cv", *shared, "--out", place / "stranger" / "run")
    assert refused.wait(timeout=100) == 2, said()
    assert "ermission" in said()
