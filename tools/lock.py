"""Renew the pins of `requirements.lock` that `pyproject.toml` no longer allows; with `--upgrade` all of them.

uv asks the main index that pip is told of here, in the way that pip is told (certificates, proxy). What fits this
machine alone (further indexes, folders of wheels, constraints) does not count: the lock is for all.

    .venv/bin/python tools/lock.py
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping

from install import LOCK, ROOT, uv_environment

__all__ = ["for_all", "main"]

_OF_THIS_MACHINE = ("UV_CONSTRAINT", "UV_FIND_LINKS", "UV_INDEX", "UV_INDEX_STRATEGY")
_EXTRAS = ("dev", "docs", "cluster", "segment", "mlflow", "serve", "onnx", "openvino", "anomalib")


def for_all(environment: Mapping[str, str]) -> dict[str, str]:
    """An environment without what makes uv choose for one machine."""
    return {name: value for name, value in environment.items() if name not in _OF_THIS_MACHINE}


def main(arguments: list[str]) -> int:
    """Write the lock; the exit code is uv's, to which the arguments go."""
    extras = [part for extra in _EXTRAS for part in ("--extra", extra)]
    options = ["--quiet", "--universal", "--python-version", "3.10", "--no-header", *extras, *arguments]
    # Names, not paths, for they stand in what uv writes.
    command = [sys.executable, "-m", "uv", "pip", "compile", *options, "pyproject.toml", "-o", LOCK.name]
    return subprocess.run(command, cwd=ROOT, env=for_all(uv_environment())).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
