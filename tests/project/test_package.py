"""What is said of the package, and what it is made of."""

import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from setuptools.config.pyprojecttoml import read_configuration

import raylab2f

ROOT = Path(__file__).parents[2]
PROJECT = read_configuration(ROOT / "pyproject.toml", expand=False)["project"]
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
PINS = [Requirement(line) for line in re.findall(r"^[a-z0-9][^#\n]*$", LOCK, re.MULTILINE)]


def required():
    extras = PROJECT["optional-dependencies"]
    for extra, lines in {"": PROJECT["dependencies"], **extras}.items():
        for line in lines:
            yield extra, Requirement(line)


def test_the_version_is_one():
    assert PROJECT["version"] == raylab2f.__version__


def test_every_dependency_has_one_pin_that_fits_on_every_python():
    for python in ("3.10", "3.11", "3.12"):
        here = {
            "python_version": python,
            "python_full_version": f"{python}.7",
            "sys_platform": "linux",
            "platform_machine": "x86_64",
            "platform_python_implementation": "CPython",
        }
        pinned = [pin for pin in PINS if pin.marker is None or pin.marker.evaluate(here)]
        names = [pin.name for pin in pinned]
        assert len(set(names)) == len(names)
        versions = {pin.name: next(iter(pin.specifier)).version for pin in pinned}
        for extra, requirement in required():
            name = requirement.name.lower()
            assert requirement.specifier.contains(versions[name]), f"{requirement} of {extra!r} on {python}"


def test_the_lock_says_what_is_asked_for_directly_and_nothing_of_one_machine():
    reasons = dict(re.findall(r"^([a-z0-9-]+)==[^\n]*\n((?:[ ]+#[^\n]*\n)*)", LOCK, re.MULTILINE))
    for _, requirement in required():
        assert "raylab2f (pyproject.toml)" in reasons[re.sub(r"[._]", "-", requirement.name).lower()], requirement
    assert not re.search(r"-c |://", LOCK)


def test_the_interpreters_named_are_those_that_may_install():
    named = [c.rsplit(" ", 1)[1] for c in PROJECT["classifiers"] if re.search(r":: 3\.\d+$", c)]
    assert PROJECT["requires-python"] == f">={named[0]}"
    assert f"{sys.version_info.major}.{sys.version_info.minor}" in named


def test_type_checkers_of_others_see_our_types():
    assert (Path(raylab2f.__file__).parent / "py.typed").exists()
    assert (
        "py.typed"
        in read_configuration(ROOT / "pyproject.toml", expand=False)["tool"]["setuptools"]["package-data"]["raylab2f"]
    )


def test_the_image_of_the_cluster_is_the_one_that_the_dockerfile_says_how_to_build():
    built = set(re.findall(r"-t (\S+)", (ROOT / "Dockerfile").read_text(encoding="utf-8")))
    assert all(image.split(":")[1].split("-")[0] == raylab2f.__version__ for image in built)
    spec = yaml.safe_load((ROOT / "jobs" / "run_cv.yaml").read_text(encoding="utf-8"))["spec"]["rayClusterSpec"]
    groups = [spec["headGroupSpec"], *spec["workerGroupSpecs"]]
    used = {container["image"] for group in groups for container in group["template"]["spec"]["containers"]}
    assert used <= built


def test_the_image_is_made_of_files_that_it_is_given():
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert "*" in ignored
    copied = {source for line in re.findall(r"^COPY (.*)$", text, re.MULTILINE) for source in line.split()[:-1]}
    assert copied == {line[1:] for line in ignored if line.startswith("!")}
    assert all((ROOT / source).exists() for source in copied)
    for extra in re.findall(r"--extra (\S+)", text):
        assert extra in PROJECT["optional-dependencies"]


def test_a_wheel_holds_the_package_its_types_and_its_licence(tmp_path):
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path / name)
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "raylab2f", tmp_path / "raylab2f", ignore=ignored)
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "__init__.py").touch()
    code = "from setuptools import build_meta; print(build_meta.build_wheel('.'))"
    built = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    with zipfile.ZipFile(tmp_path / built.stdout.splitlines()[-1]) as wheel:
        names = set(wheel.namelist())
    sources = {str(path.relative_to(ROOT)) for path in (ROOT / "raylab2f").rglob("*.py")}
    about = f"raylab2f-{raylab2f.__version__}.dist-info"
    page = {
        str(path.relative_to(ROOT))
        for folder in ("templates", "static", "vendor")
        for path in (ROOT / "raylab2f" / "reporting" / "page" / folder).iterdir()
    }
    page |= {str(path.relative_to(ROOT)) for path in (ROOT / "raylab2f" / "cluster" / "serving" / "static").iterdir()}
    assert {name for name in names if not name.startswith(about)} == sources | page | {"raylab2f/py.typed"}
    assert f"{about}/licenses/LICENSE" in names


def test_an_environment_is_never_kept_in_the_repository():
    """A link called .venv that is kept sends `make setup` of a copy into somebody else's environment."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("no repository")
    kept = subprocess.run(["git", "ls-files", "--", ".venv"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert kept.stdout == ""
    assert ".venv" in (ROOT / ".gitignore").read_text(encoding="utf-8").split()  # With a slash, a link is not ignored.
