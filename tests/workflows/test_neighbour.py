"""What a run leaves behind on a shared machine: nothing but its results."""

import signal
import time

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


def test_processes_and_temporary_files_are_gone_after_ctrl_c(csflow_command, csflow_run, tmp_path):
    out = tmp_path / "run"
    watched = Watched([*csflow_command, "--folds", "1", "--epochs", "100000", "--out", str(out)])
    watched.wait(until=(out / "folds" / "0" / "split.parquet").exists)
    time.sleep(1)
    watched.process.send_signal(signal.SIGINT)
    said, _ = watched.process.communicate(timeout=400)
    assert watched.process.returncode == 130, said
    assert_nothing_is_left(watched, out)
