"""Signals end a command once, and leave its clean-up in peace."""

import os
import signal
import subprocess
import sys

import pytest

PROGRAM = """
import os, signal, sys, time
from raylab2f.reporting.stopping import *
numbers = [getattr(signal, name) for name in sys.argv[1:]]
try:
    with stopped_by_signals():
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(15))  # as a library might
        hear_signals_again()
        say_how_to_go_on(lambda: "go on so")
        try:
            os.kill(os.getpid(), numbers[0])
            time.sleep(60)
        finally:
            for number in numbers[1:]:
                os.kill(os.getpid(), number)
                time.sleep(0.1)
            print("cleaned up", flush=True)
except KeyboardInterrupt:
    print(how_to_go_on(), flush=True)
    sys.exit(exit_code())
"""


def run(*names, **options):
    command = [sys.executable, "-c", PROGRAM, *names]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, **options)


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)])
def test_a_signal_ends_with_its_own_code_and_a_second_does_not_disturb_the_clean_up(name, code):
    done = run(name, "SIGTERM")
    assert done.returncode == code, done.stderr
    assert done.stdout.splitlines() == ["cleaned up", "go on so"]


def test_a_third_ends_the_process_at_once():
    done = run("SIGTERM", "SIGINT", "SIGINT")
    assert done.returncode == 143
    assert "cleaned up" not in done.stdout


def test_a_closed_terminal_stays_ignored_where_it_was(tmp_path):
    def ignore():
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    source = "import os, signal\nfrom raylab2f.reporting.stopping import *\n"
    source += "with stopped_by_signals():\n    os.kill(os.getpid(), signal.SIGHUP)\nprint('went on')\n"
    command = [sys.executable, "-c", source]
    done = subprocess.run(command, capture_output=True, text=True, preexec_fn=ignore, env=os.environ, check=False)
    assert done.stdout == "went on\n", done.stderr


def test_the_code_is_the_same_amid_an_import_and_of_a_module_that_is_run(tmp_path):
    # Python itself would end with 130 here, as after Ctrl-C.
    stop = "os.kill(os.getpid(), numbers[0])"
    source = PROGRAM.replace(stop, f"exec('{stop}; time.sleep(60)')")
    (tmp_path / "stopped.py").write_text(source, encoding="utf-8")
    command = [sys.executable, "-m", "stopped", "SIGTERM"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 143, done.stderr
    assert done.stdout.splitlines() == ["cleaned up", "go on so"]
