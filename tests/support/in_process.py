"""The program within the tests' process: what a shell would see of it, without a new interpreter."""

import io
import os
import sys
from contextlib import redirect_stderr, redirect_stdout
from subprocess import CompletedProcess

import pytest

from raylab2f.cli.app import app, run_program


def raylab2f(*arguments):
    """Run `raylab2f ARGUMENTS` here to its end; returns what `subprocess.run` would have."""
    command = ["raylab2f", *map(str, arguments)]
    # As pipes are: bytes behind text, and no terminal.
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
    environment = dict(os.environ)
    try:
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
            patch.setattr(sys, "argv", command)
            with pytest.raises(SystemExit) as ending:
                run_program(app)
    finally:
        # A process takes what it set there with it.
        os.environ.clear()
        os.environ.update(environment)
    said, errors = (stream.buffer.getvalue().decode() for stream in (out, err))
    return CompletedProcess(command, ending.value.code, said, errors)
