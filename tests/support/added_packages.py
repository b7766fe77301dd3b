"""Packages that add parts to raylab2f, in folders of their own, never in the environment.

What `importlib.metadata` knows of an installed package is its `NAME-VERSION.dist-info` folder on `sys.path`; there is
no other record. `write_package` makes that folder by hand, beside a module: all that the discovery of entry points can
see of an installation. `install_example` has the package of the guide built and installed by an installer.
"""

import importlib
import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

GUIDE = Path(__file__).parents[2] / "docs" / "howto" / "extend.md"

_FILE = re.compile(r'^```\w+ title="([^"]+)"\n(.*?)^```', re.DOTALL | re.MULTILINE)


def write_package(folder, name, source, version="1.0", **points):
    """A package with one module of its own name; `points` are `detectors={"entry": "object"}` and so on."""
    module = name.replace("-", "_")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{module}.py").write_text(source, encoding="utf-8")
    information = folder / f"{module}-{version}.dist-info"
    information.mkdir()
    (information / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", encoding="utf-8"
    )
    lines = []
    for group, entries in points.items():
        lines += [f"[raylab2f.{group}]", *(f"{entry} = {module}:{item}" for entry, item in entries.items())]
    (information / "entry_points.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    importlib.invalidate_caches()
    return folder


@pytest.fixture(scope="session")
def example(tmp_path_factory):
    """The folder into which the guide's package is installed."""
    return install_example(tmp_path_factory.mktemp("example"))


def install_example(folder):
    """Build the package of docs/howto/extend.md and install it into a folder; returns that."""
    source, target = folder / "source", folder / "installed"
    source.mkdir()
    files = re.findall(
        r'^```\w+ title="([^"]+)"\n(.*?)^```', GUIDE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )
    assert [name for name, _ in files] == ["pyproject.toml", "raylab2f_tiny.py"]
    for name, text in files:
        (source / name).write_text(text, encoding="utf-8")
    # Without a network, and with the setuptools that is here.
    options = ["--offline", "--no-cache", "--no-deps", "--no-build-isolation", "--python", sys.executable]
    subprocess.run(
        [Path(sys.executable).with_name("uv"), "pip", "install", "--quiet", *options, "--target", target, source],
        check=True,
        capture_output=True,
        timeout=120,
    )
    return target


def write_parts(folder, good=3, defective=2):
    """Pictures in the layout of the guide's package, which none of raylab2f's own recognises."""
    folder.mkdir()
    generator = np.random.default_rng(0)
    for part in range(good + defective):
        picture = generator.normal(120, 10, (64, 64, 3))
        label = "ok" if part < good else "ng"
        if label == "ng":
            cv2.circle(picture, tuple(map(int, generator.integers(16, 48, 2))), 9, (250, 30, 30), -1)
        cv2.imwrite(str(folder / f"{label}-{part:02d}-top.png"), picture.clip(0, 255).astype(np.uint8))
    return folder
