"""Settings of detectors as the command line gives them."""

from pathlib import Path

import pytest

from raylab2f.cli.detector_options import configure
from raylab2f.errors import UserError

UNCHANGED = {"epochs": None, "size": None, "backbone": None, "layers": None, "weights": None}


def configured(detector="glass", settings=(), **changes):
    return configure(detector, "fast", {**UNCHANGED, **changes}, settings)


def test_files_are_found_from_any_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = configured(weights="mine.safetensors", settings=["textures=photographs/stone"])
    assert config["weights"] == str(tmp_path / "mine.safetensors")
    assert config["textures"] == str(tmp_path / "photographs/stone")
    assert configured("csflow", settings=["weights=./mine.pth"])["weights"] == str(tmp_path / "mine.pth")
    assert configured(weights="~/mine.pth")["weights"] == str(Path.home() / "mine.pth")


@pytest.mark.parametrize("name", ["bundled", "hub"])
def test_weights_by_name_are_no_files(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = configured(weights=name)
    assert (config["weights"], config["textures"]) == (name, None)


def test_files_lie_on_no_store():
    with pytest.raises(UserError, match=r"weights s3://bucket/mine\.pth"):
        configured(weights="s3://bucket/mine.pth")
