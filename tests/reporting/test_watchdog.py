"""A command that stands still says where, on standard error and nowhere else."""

import os
import re
import subprocess
import sys

import pytest

# `PyDLL` keeps the interpreter's lock while it sleeps: no thread of the process can run.
HANGS = """
import ctypes, time
from rich.console import Console
from raylab2f.reporting import Display
from raylab2f.reporting.watchdog import watched

def factorise():
    end = time.monotonic() + 1.3
    while time.monotonic() < end:
        ctypes.PyDLL(None).usleep(100_000)

with watched():
    display = Display(Console())
    with display.stage("read pictures"):
        pass
    with display.stage("diagnose leakage"):
        display.say("begun")
        factorise()
print("ended")
"""
MOVES = """
import time
from rich.console import Console
from raylab2f.reporting import Display
from raylab2f.reporting.watchdog import resting, watched

with watched():
    display = Display(Console(quiet=True))
    with display.stage("extract features") as progress:
        for done in range(3):
            progress(done, 3)
            time.sleep(0.6)
    with resting():
        time.sleep(1.3)
"""


def run(code, **environment):
    environment = {**os.environ, "RAYLAB2F_PATIENCE": "0.4", **environment}
    process = subprocess.Popen(
        [sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    return process.pid, out, err


def test_one_line_names_the_stage_and_how_to_see_more():
    pid, out, err = run(HANGS)
    [line] = [line for line in err.splitlines() if "nothing has moved" in line]
    assert re.search(r"the stage 'diagnose leakage' runs since \d\d:\d\d:\d\d", line)
    assert f"kill -USR1 {pid}" in line
    assert out == "begun\nended\n"


def test_verbose_shows_the_stacks_again_and_again_but_rarely():
    _, out, err = run(HANGS, RAYLAB2F_VERBOSE="1")
    # After 0.4 s and after 0.8 s; the next time would have been after 1.6 s.
    assert err.count("nothing has moved") == err.count("in factorise") == 2
    assert out == "begun\nended\n"


def test_nothing_is_said_while_there_is_progress_or_others_are_waited_for():
    assert run(MOVES, RAYLAB2F_PATIENCE="1")[1:] == ("", "")


def test_the_watcher_ends_with_a_process_that_is_killed():
    code = (
        "import os, signal; from raylab2f.reporting.watchdog import watched\n"
        "with watched(): os.kill(os.getpid(), signal.SIGKILL)"
    )
    # The pipe of standard error ends when nobody has it any more.
    process = subprocess.run([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True, timeout=20, check=False)
    assert process.stderr == ""


@pytest.mark.parametrize("patience", ["soon", "0", "-1", "nan", "inf"])
def test_a_patience_that_is_none_is_a_mistake_of_the_user(patience):
    program = "from raylab2f.cli import main; main()"
    environment = {**os.environ, "RAYLAB2F_PATIENCE": patience}
    process = subprocess.run(
        [sys.executable, "-c", program, "evaluate", "none"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 2
    assert process.stderr.startswith(f"error: RAYLAB2F_PATIENCE={patience}: ")
