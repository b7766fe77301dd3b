"""Users without a home, without a name, or with a home that is not theirs."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

import raylab2f
from raylab2f.errors import UserError
from raylab2f.files.home import ensure_home, user_cache

SOURCES = str(Path(raylab2f.__file__).parents[1])
NOBODY = 123_456


@pytest.fixture
def as_nobody(tmp_path_factory):
    """as_nobody(code, **environment): a program of a user whom no passwd file knows, with PATH and nothing else."""
    setpriv = shutil.which("setpriv")
    if setpriv is None or os.getuid() != 0:
        pytest.skip("only root can be somebody else, by setpriv")
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    folder.chmod(0o777)

    def run(code, **environment):
        become = [setpriv, f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
        command = [*become, sys.executable, "-c", f"import sys; sys.path.insert(0, {SOURCES!r})\n{code}"]
        return subprocess.run(
            command,
            env={"PATH": os.environ["PATH"], "TMPDIR": str(folder), **environment},
            cwd="/",
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    if run("import raylab2f.files.home").returncode == 0:
        yield run
    else:
        pytest.skip("others may not read this checkout, or run this interpreter")
    shutil.rmtree(folder)


def test_who_has_no_home_and_no_name_gets_both(as_nobody):
    code = """
import getpass, pathlib, stat
from raylab2f.files.home import ensure_home, user_cache
said, again = ensure_home(), ensure_home()
home = pathlib.Path.home()
print(getpass.getuser(), oct(stat.S_IMODE(home.stat().st_mode)), again)
print(home in user_cache("X").parents, str(home) in said)
"""
    process = as_nobody(code)
    assert process.stdout.split() == [f"uid{NOBODY}", "0o700", "None", "True", "True"], process.stderr


def test_a_home_that_cannot_be_written_is_one_sentence(as_nobody):
    code = """
import os
from raylab2f.errors import UserError
from raylab2f.files.home import user_cache
for os.environ["HOME"] in ("/", "/proc/none", "/root/none", "/etc/passwd"):
    try:
        user_cache("--cache or RAYLAB2F_CACHE")
    except UserError as error:
        print(error)
"""
    process = as_nobody(code)
    lines = process.stdout.splitlines()
    assert len(lines) == 4, process.stderr
    assert all("set --cache or RAYLAB2F_CACHE, or HOME, to a folder that can be written" in line for line in lines)


@pytest.fixture
def homeless(monkeypatch, tmp_path):
    """This process's user is unknown, and the temporary folder is `tmp_path`."""
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr(os.path, "expanduser", lambda path: os.environ.get("HOME", path) if path == "~" else path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path / f"raylab2f-home-{os.getuid()}"


@pytest.mark.parametrize("trap", ["link", "open to others", "file"])
def test_a_folder_that_somebody_else_prepared_is_refused(homeless, trap, tmp_path):
    if trap == "link":
        homeless.symlink_to(tmp_path)
    elif trap == "file":
        homeless.touch()
    else:
        homeless.mkdir()
        homeless.chmod(0o777)
    with pytest.raises(UserError, match="set HOME"):
        ensure_home()


def test_a_home_that_is_there_is_left_alone(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert ensure_home() is None
    assert os.environ["HOME"] == str(tmp_path)
    assert tmp_path in user_cache("X").parents
    assert not list(tmp_path.iterdir())
