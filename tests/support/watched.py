"""A run of the program whose processes and temporary folders can be told from everybody else's."""

import os
import subprocess
import time
import uuid
from pathlib import Path

from ray_head import MARK, marked_processes


def temporary_folders():
    return set(Path("/tmp").glob("raylab2f-*"))


class Watched:
    """A command that runs; `mark` is that of its processes.

    Arguments:
        command: words of the command line.
        environment: variables besides those that are set.
    """

    def __init__(self, command, environment=None):
        self.mark = uuid.uuid4().hex
        self.temporary = set()
        self._before = temporary_folders()
        inherited = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
        self.process = subprocess.Popen(
            command,
            env={**inherited, **(environment or {}), MARK: self.mark},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def wait(self, until=lambda: False, seconds=400):
        """Wait for the end, or until something holds; returns what the command said, if it has ended."""
        deadline = time.monotonic() + seconds
        while self.process.poll() is None and not until():
            assert time.monotonic() < deadline
            self.temporary |= {path for path in temporary_folders() - self._before if self._uses(path)}
            time.sleep(0.1)
        return None if self.process.poll() is None else self.process.communicate()[0]

    def wait_for_processes(self, seconds=60):
        """Wait until none of its processes is left."""
        deadline = time.monotonic() + seconds
        while left := marked_processes(self.mark):
            assert time.monotonic() < deadline, left
            time.sleep(0.1)

    def _uses(self, folder):
        """Whether one of its processes was given this folder."""
        lines = (Path(f"/proc/{pid}/cmdline") for pid in marked_processes(self.mark))
        return any(str(folder).encode() in line.read_bytes() for line in lines if line.exists())
