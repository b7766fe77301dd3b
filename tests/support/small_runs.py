"""A small data set and a way to run the program on it as a user would."""

import contextlib
import csv
import json
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from in_process import raylab2f
from ray_head import Head
from watched import Watched

CSFLOW_EPOCHS = 20


@pytest.fixture(scope="session")
def pictures(tmp_path_factory):
    """A manifest of 18 good and 6 spotted plates, two pictures each; one spotted plate has no masks."""
    folder = tmp_path_factory.mktemp("pictures")
    generator = np.random.default_rng(0)
    with (folder / "plates.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["image_id", "path", "label", "object_id", "view", "mask_path"])
        for number in range(24):
            label = int(number >= 18)
            shade = generator.uniform(90, 150)
            for view in ("a", "b"):
                picture = generator.normal(shade, 12, (96, 96, 3))
                name, mask = f"plate {number:02d} {view}.png", ""
                if label:
                    row, column = generator.integers(20, 76, 2)
                    cv2.circle(picture, (int(column), int(row)), 11, (250, 30, 30), -1)
                if label and number < 23:
                    mask = f"mask {number:02d} {view}.png"
                    spot = np.zeros(picture.shape[:2], np.uint8)
                    cv2.imwrite(str(folder / mask), cv2.circle(spot, (int(column), int(row)), 11, 255, -1))
                cv2.imwrite(str(folder / name), picture.clip(0, 255).astype(np.uint8))
                writer.writerow([name, name, label, f"plate{number:02d}", view, mask])
    return folder / "plates.csv"


@pytest.fixture(scope="session")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def command(pictures, cache):
    """The command line of a small run, to which tests append."""
    program = Path(sys.executable).with_name("raylab2f")
    options = ["--preset", "fast", "--epochs", "2", "--size", "64", "--replicates", "200", "--cache", cache]
    return [str(part) for part in (program, "run-cv", "--data", pictures, *options)]


class _SharedRay:
    """One private cluster of two slots, of this process, while tests in a row ask for it: starting takes long.

    It ends with the last of them. Its processes, idle as they are, take time from all others, and where these leave
    them none for half a minute, Ray ends the process that started it.
    """

    def __init__(self):
        self._stack = None

    def start(self):
        if self._stack is not None:
            return
        # Imported here, for it takes seconds, and most tests do without.
        from raylab2f.cluster.session import ray_session

        with contextlib.ExitStack() as stack:
            # A cluster of its own, also where the environment names one.
            stack.enter_context(pytest.MonkeyPatch.context()).delenv("RAY_ADDRESS", raising=False)
            stack.enter_context(ray_session(cpus=2))
            self._stack = stack.pop_all()

    def stop(self):
        stack, self._stack = self._stack, None
        if stack is not None:
            stack.close()


_shared_ray = _SharedRay()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    if "shared_ray" in item.fixturenames:
        _shared_ray.start()


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item, nextitem):
    if nextitem is None or "shared_ray" not in nextitem.fixturenames:
        _shared_ray.stop()


@pytest.fixture(scope="session")
def shared_ray():
    """A cluster of this process runs, see `_SharedRay`."""


@pytest.fixture(scope="session")
def ask(command):
    """Run the program in this process, where it takes no cluster; returns the finished process."""
    # One fold at a time, for a process that trains takes longer to start than to train.
    return lambda *options: raylab2f(*command[1:], "--max-parallel-folds", 1, *options)


@pytest.fixture(scope="session")
def run(ask, shared_ray):
    """Run the program in this process, on the shared cluster, to its end; returns the finished process."""

    def run_with(*options, check=True):
        process = ask(*options)
        if check:
            assert process.returncode == 0, process.stdout + process.stderr
        return process

    return run_with


@pytest.fixture(scope="session")
def read_summary():
    def read(folder):
        return json.loads((folder / "summary.json").read_text(encoding="utf-8"))

    return read


@pytest.fixture(scope="session")
def finished_run(run, tmp_path_factory):
    """A GLASS run of 3 folds, and what the program said."""
    folder = tmp_path_factory.mktemp("runs") / "first"
    process = run("--detector", "glass", "--folds", 3, "--out", folder)
    return folder, process


@pytest.fixture(scope="session")
def csflow_command(command):
    """The command line of a small CS-Flow run."""
    return [*command, "--detector", "csflow", "--layers", "blocks.4"]


@pytest.fixture(scope="session")
def csflow_run(csflow_command, tmp_path_factory):
    """An undisturbed CS-Flow run of 6 folds, and what it left behind; see `Watched`."""
    folder = tmp_path_factory.mktemp("runs") / "csflow"
    options = ["--folds", "6", "--epochs", str(CSFLOW_EPOCHS), "--out", str(folder)]
    watched = Watched([*csflow_command, *options])
    said = watched.wait()
    assert watched.process.returncode == 0, said
    return folder, watched


@pytest.fixture(scope="session")
def head(tmp_path_factory):
    """A running head node with token authentication and a dashboard."""
    pytest.importorskip("aiohttp_cors", reason="needs raylab2f[cluster]")
    with Head(tmp_path_factory.mktemp("head")) as head:
        yield head
