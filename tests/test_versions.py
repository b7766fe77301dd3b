"""Versions are those of the code that runs."""

import subprocess
import sys
from pathlib import Path

import numpy

import raylab2f


def test_metadata_left_in_the_working_folder_fool_nobody(tmp_path):
    """As building a wheel in a checkout leaves them; the working folder is searched first."""
    for package in ("raylab2f", "numpy", "scikit_learn"):
        folder = tmp_path / f"{package}.egg-info"
        folder.mkdir()
        (folder / "PKG-INFO").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 0.0.1\n", encoding="utf-8")
    code = (
        "import importlib.metadata as m; from raylab2f.versions import version_of as v\n"
        "print(m.version('numpy'), v('raylab2f'), v('numpy'), v('scikit-learn') != '0.0.1', v('no-such-package'))"
    )
    root = str(Path(raylab2f.__file__).parents[1])
    process = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.append({root!r})\n{code}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert process.stdout.split() == ["0.0.1", raylab2f.__version__, numpy.__version__, "True", "missing"]
