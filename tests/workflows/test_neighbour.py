"""What a run leaves behind on a shared machine: nothing but its results."""

import signal
import time

import pytest
from watched import Watched, temporary_folders


def assert_nothing_is_left(watched, out):
    watched.wait_for_processes()
    assert len(watched.temporary) == 1
    assert not watched.temporary & temporary_folders()
    assert not (out / ".raylab2f-tune").exists()
    assert [path for path in out.rglob("*") if path.name.endswith(".tmp")] == []


def test_processes_and_temporary_files_are_gone_after_the_end(csflow_run):
    folder, watched = csflow_run
    assert_nothing_is_left(watched, folder)


@pytest.mark.parametrize(
    ("number", "code", "word"),
    [
        (signal.SIGINT, 130, "interrupted"),
        pytest.param(signal.SIGTERM, 143, "stopped by SIGTERM", marks=pytest.mark.slow),
        pytest.param(signal.SIGHUP, 129, "SIGHUP", marks=pytest.mark.slow),
    ],
    ids=["ctrl-c", "kill", "closed terminal"],
)
def test_processes_and_temporary_files_are_gone_after_a_signal(
    csflow_command, csflow_run, tmp_path, number, code, word
):
    out = tmp_path / "a run"
    watched = Watched([*csflow_command, "--folds", "1", "--epochs", "100000", "--out", str(out)])
    watched.wait(until=(out / "folds" / "0" / "split.parquet").exists)
    time.sleep(1)
    watched.process.send_signal(number)
    said, _ = watched.process.communicate(timeout=400)
    assert watched.process.returncode == code, said
    last = said.splitlines()[-1]
    assert word in last
    assert f"raylab2f run-cv --resume --out '{out}' goes on from there" in last
    assert_nothing_is_left(watched, out)
