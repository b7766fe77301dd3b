"""Who pipes a command into `head` gets no noise, and no answer that was not given."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(sys.executable).with_name("raylab2f")


@pytest.mark.parametrize("words", [["datasets", "list"], ["plan-samples", "--half-width", "0.1"], ["--help"]])
def test_that_nobody_reads_on_ends_a_command_as_it_ends_others(words):
    reader, writer = os.pipe()
    os.close(reader)
    try:
        ended = subprocess.run([PROGRAM, *words], stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    finally:
        os.close(writer)
    # As a shell says it of SIGPIPE: neither success, which is an answer of `accept`, nor a fault.
    assert (ended.returncode, ended.stderr) == (141, "")
