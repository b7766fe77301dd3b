import importlib.util
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_SPEC = importlib.util.spec_from_file_location("install", ROOT / "tools" / "install.py")
install = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(install)


def pip_config(tmp_path, text, **variables):
    """What pip says of a configuration."""
    path = tmp_path / "pip.conf"
    path.write_text(text, encoding="utf-8")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    # A file that the variable names stands beside those of machine and user, which a test does not own.
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"],
        env={**kept, "PIP_CONFIG_FILE": str(path), **variables},
        capture_output=True,
        text=True,
        check=True,
    )
    return listed.stdout


def test_pips_configuration_reaches_uv(tmp_path):
    config = pip_config(
        tmp_path,
        "[global]\nindex-url = https://a.example/simple\nextra-index-url = https://b.example/simple\n    file:///c\n"
        "[install]\nfind-links = /one\n  /two\ntrusted-host = b.example\n[download]\nproxy = http://elsewhere.example\n",
        PIP_INDEX_URL="https://d.example/simple",
    )
    variables = install.uv_variables(config, {"UV_FIND_LINKS": "/mine"})
    assert variables["UV_DEFAULT_INDEX"] == "https://d.example/simple"
    assert variables["UV_INDEX"] == "https://b.example/simple file:///c"
    assert variables["UV_INDEX_STRATEGY"] == "unsafe-best-match"
    assert variables["UV_INSECURE_HOST"] == "b.example"
    assert "UV_FIND_LINKS" not in variables
    assert variables.get("ALL_PROXY") != "http://elsewhere.example"


def test_nothing_configured_is_nothing_handed_on():
    assert install.uv_variables("", {}) == {}


def wheel(folder, name):
    folder.mkdir()
    with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w") as archive:
        archive.writestr(f"{name}.py", "")
        archive.writestr(f"{name}-1.0.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        archive.writestr(
            f"{name}-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{name}-1.0.dist-info/RECORD", "")


def test_uv_finds_what_pip_would_find(tmp_path):
    for name in ("raylab_first", "raylab_second"):
        wheel(tmp_path / name, name)
    links = f"{tmp_path / 'raylab_first'}\n  {tmp_path / 'raylab_second'}"
    variables = install.uv_variables(pip_config(tmp_path, f"[install]\nno-index = true\nfind-links = {links}\n"), {})
    into = tmp_path / "into"
    subprocess.run(
        [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--target", into, "raylab-first", "raylab-second"],
        env={**os.environ, "UV_CACHE_DIR": str(tmp_path / "cache"), "UV_FIND_LINKS": variables["UV_FIND_LINKS"]}
        | {"UV_NO_INDEX": variables["UV_NO_INDEX"]},
        check=True,
    )
    assert (into / "raylab_first.py").exists()
    assert (into / "raylab_second.py").exists()


def test_uv_itself_is_pinned():
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert install.pinned(lock, "uv").startswith("uv==")
    with pytest.raises(KeyError):
        install.pinned(lock, "v")


def test_a_lock_without_uv_lacks_nothing_else():
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    gone = [line for line in lock.splitlines() if line not in install.without(lock, "uv").splitlines()]
    assert gone == [install.pinned(lock, "uv")]
    assert install.without("a==1\nuv==2\n    # via\n    #   b\nuvicorn==3\n", "uv") == "a==1\nuvicorn==3\n"
