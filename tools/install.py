"""Install what `requirements.lock` pins, and this project, into the environment whose Python runs this file.

`uv` does it, in parallel and with progress; it comes from the same package index as all else, in the version that the
lock pins. It does not read pip's configuration, so what pip was told (indexes, folders of wheels, constraints,
certificates) is handed to it as its own variables. Where uv cannot be had, or fails, pip does the work, in minutes.

    .venv/bin/python tools/install.py
"""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

__all__ = ["main", "pinned", "uv_environment", "uv_variables", "without"]

ROOT = Path(__file__).resolve().parents[1]
LOCK = ROOT / "requirements.lock"
PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check"]

#: pip's option -> uv's variable, and how uv separates several values (pip: by white space).
VARIABLES = {
    "index-url": ("UV_DEFAULT_INDEX", " "),
    "extra-index-url": ("UV_INDEX", " "),
    "find-links": ("UV_FIND_LINKS", ","),
    "no-index": ("UV_NO_INDEX", " "),
    "constraint": ("UV_CONSTRAINT", " "),
    "trusted-host": ("UV_INSECURE_HOST", " "),
    "cert": ("SSL_CERT_FILE", " "),
    "proxy": ("ALL_PROXY", " "),
    "timeout": ("UV_HTTP_TIMEOUT", " "),
    "default-timeout": ("UV_HTTP_TIMEOUT", " "),
}
# Sections of pip's configuration, the later wins.
_SECTIONS = ("global", "install", ":env:")
_LINE = re.compile(r"(?P<section>[^.]+)\.(?P<option>[a-z-]+)=(?P<value>.*)")


def uv_variables(pip_config: str, environment: Mapping[str, str]) -> dict[str, str]:
    """What uv must be told to look where pip looks.

    Arguments:
        pip_config: what `pip config list` prints.
        environment: variables that are set; those that uv reads win over pip's configuration.

    Returns:
        Variables to add to the environment.
    """
    options: dict[str, dict[str, str]] = {section: {} for section in _SECTIONS}
    for line in pip_config.splitlines():
        found = _LINE.fullmatch(line.strip())
        if found and found["section"] in options:
            options[found["section"]][found["option"]] = str(ast.literal_eval(found["value"]))
    variables = {}
    for section in _SECTIONS:
        for option, value in options[section].items():
            if option in VARIABLES and value.split():
                name, separator = VARIABLES[option]
                variables[name] = separator.join(value.split())
    if "UV_INDEX" in variables and "UV_INDEX" not in environment:
        # As pip does: every index counts, the order does not matter.
        variables["UV_INDEX_STRATEGY"] = "unsafe-best-match"
    return {name: value for name, value in variables.items() if name not in environment}


def uv_environment() -> dict[str, str]:
    """This process's environment, with what uv must be told to look where pip looks here."""
    listed = subprocess.run([*PIP, "config", "list"], check=True, capture_output=True, text=True).stdout
    return {**os.environ, **uv_variables(listed, os.environ)}


def pinned(lock: str, package: str) -> str:
    """The requirement of a package in the text of a lock.

    Raises:
        KeyError: it is not there.
    """
    found = re.search(rf"^{re.escape(package)}==[^\s;]+", lock, re.MULTILINE)
    if not found:
        raise KeyError(package)
    return found[0]


def without(lock: str, package: str) -> str:
    """The text of a lock without a package."""
    return re.sub(rf"^{re.escape(package)}==.*\n(?:[ ]+#.*\n)*", "", lock, flags=re.MULTILINE)


def main() -> int:
    """Install everything; the exit code."""
    lock = LOCK.read_text(encoding="utf-8")
    itself = ["--no-deps", "--no-build-isolation", "-e", "."]
    uv = _uv(lock)
    if uv is not None:
        environment = uv_environment()
        # pip compiles what it installs; without that, the first start of every command takes half a minute.
        steps = [[*uv, "--compile-bytecode", "-r", str(LOCK)], [*uv, *itself]]
        if all(subprocess.run(step, cwd=ROOT, env=environment).returncode == 0 for step in steps):
            return 0
        print("uv could not install everything, so pip does it, which takes some minutes.", file=sys.stderr)
    else:
        print("uv cannot be had from the package index, so pip installs, which takes some minutes.", file=sys.stderr)
    with tempfile.TemporaryDirectory() as folder:
        rest = Path(folder) / LOCK.name
        rest.write_text(without(lock, "uv"), encoding="utf-8")
        for arguments in (["-r", str(rest)], itself):
            code = subprocess.run([*PIP, "install", *arguments], cwd=ROOT).returncode
            if code:
                return code
    return 0


def _uv(lock: str) -> list[str] | None:
    """The command with which uv installs into this environment; `None` where uv cannot be had."""
    if subprocess.run([*PIP, "install", "--quiet", pinned(lock, "uv")]).returncode:
        return None
    return [sys.executable, "-m", "uv", "pip", "install", "--python", sys.executable]


if __name__ == "__main__":
    sys.exit(main())
