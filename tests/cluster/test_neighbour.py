"""What a run leaves behind on a shared machine: nothing but its results."""

import os
import signal
import subprocess
import time
import uuid
from pathlib import Path

import pytest
from ray_head import MARK, marked_processes


def leftovers():
    return set(Path("/tmp").glob("raylab2f-*"))


@pytest.mark.parametrize("interrupted", [False, True], ids=["after its end", "after Ctrl-C"])
def test_processes_and_temporary_files_are_gone(command, tmp_path, interrupted):
    mark = uuid.uuid4().hex
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    out = tmp_path / "run"
    epochs = "100000" if interrupted else "1"
    before = leftovers()
    process = subprocess.Popen(
        [
            *command,
            "--detector",
            "csflow",
            "--layers",
            "blocks.4",
            "--folds",
            "1",
            "--epochs",
            epochs,
            "--out",
            str(out),
        ],
        env={**environment, MARK: mark},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    mine = set()
    deadline = time.monotonic() + 240
    while process.poll() is None and not (interrupted and (out / "folds" / "0" / "split.parquet").exists()):
        assert time.monotonic() < deadline
        mine |= {path for path in leftovers() - before if used_by(path, mark)}
        time.sleep(0.2)
    if interrupted:
        time.sleep(1)
        process.send_signal(signal.SIGINT)
    said, errors = process.communicate(timeout=400)
    assert process.returncode == (130 if interrupted else 0), said + errors
    deadline = time.monotonic() + 60
    while marked_processes(mark):
        assert time.monotonic() < deadline, marked_processes(mark)
        time.sleep(0.2)
    assert len(mine) == 1
    assert not mine & leftovers()
    assert not (out / ".ray").exists()
    assert [path for path in out.rglob("*") if path.name.endswith(".tmp")] == []


def used_by(folder, mark):
    """Whether a process with the mark was given this folder."""
    lines = (Path(f"/proc/{pid}/cmdline") for pid in marked_processes(mark))
    return any(str(folder).encode() in line.read_bytes() for line in lines if line.exists())
