"""Settings of detectors as the command line gives them."""

from pathlib import Path

import pytest

from raylab2f.detectors.registry import DETECTORS, config_to_dict, preset_config
from raylab2f.errors import UserError
from raylab2f.options.detector import DetectorChoice
from raylab2f.options.detector_settings import configure

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


@pytest.mark.parametrize("detector", sorted(DETECTORS))
@pytest.mark.parametrize("preset", ["demo", "fast", "paper"])
def test_every_setting_given_as_the_preset_has_it_changes_nothing(detector, preset):
    def text(value):
        return ",".join(map(str, value)) if isinstance(value, list) else str(value)

    config = config_to_dict(preset_config(detector, preset))
    values = {**config, **config["schedule"]}
    height, width = config["size"]
    values |= {"size": f"{height}x{width}"}
    settings = [f"{name}={text(value)}" for name, value in values.items() if name not in ("schedule", "init_seed")]
    assert configure(detector, preset, UNCHANGED, settings) == config


def test_what_is_off_in_the_preset_is_switched_on_and_what_is_on_off():
    schedule = configured("csflow", settings=["samples_per_epoch=5", "max_grad_norm=none"])["schedule"]
    assert schedule["samples_per_epoch"] == 5
    assert schedule["max_grad_norm"] is None
    assert configured(settings=["samples_per_epoch=none", "max_grad_norm=2.5"])["schedule"]["max_grad_norm"] == 2.5


def test_options_and_settings_are_read_alike():
    config = configured(epochs=3, size="64x96", layers="blocks.1,blocks.3", backbone="resnet18")
    settings = ["epochs=3", "size=64x96", "layers=blocks.1, blocks.3", "backbone=resnet18"]
    assert configured(settings=settings) == config
    assert config["size"] == [64, 96]


@pytest.mark.parametrize(
    ("detector", "setting", "sentence"),
    [
        ("csflow", "epochs=0", "at least 1"),
        ("csflow", "samples_per_epoch=0", "at least 1"),
        ("csflow", "samples_per_epoch=many", "a whole number, or none"),
        ("csflow", "kernel_sizes=3,4", "odd"),
        ("csflow", "kernel_sizes=3,,3", "several with commas"),
        ("csflow", "learning_rate=nan", "a finite number"),
        ("csflow", "learning_rate=none", "a number"),
        ("csflow", "size=64,64", "HEIGHTxWIDTH"),
        ("csflow", "init_seed=5", "--seed"),
        ("csflow", "schedule=5", "NAME=VALUE"),
        ("csflow", "hidden=5", "hidden_channels"),
        ("glass", "hard_quantile=1.5", "at most 1"),
        ("glass", "layers=", "a name"),
        ("glass", "hypothesis=sphere", "hypersphere"),
        ("glass", "textures", "NAME=VALUE"),
        ("glass", "bounds=1,0.5", "smaller distance first: 0.5,1"),
        ("glass", "feature_scaling=all", "none, uniform, whitened"),
        ("glass", "embedding=20000", "at most 16384"),
        ("glass", "smoothing_sigma=1e9", "at most 1000"),
        ("csflow", "kernel_sizes=33", "at most 31"),
        ("csflow", "hidden_channels=2000000", "at most 1048576"),
        ("csflow", "epochs=2000000", "at most 1048576"),
        ("patchcore", "most_candidates=2000000", "at most 1048576"),
    ],
)
def test_values_that_cannot_be_are_refused(detector, setting, sentence):
    with pytest.raises(UserError, match=sentence) as raised:
        configured(detector, settings=[setting])
    assert setting.partition("=")[0] in str(raised.value)


def test_of_several_detectors_the_one_that_refuses_an_option_is_named():
    with pytest.raises(UserError, match=r"^--epochs 2: this detector is fitted at once"):
        DetectorChoice(detector=("patchcore",), epochs=2).configs("fast")
    with pytest.raises(UserError, match=r"^--detector patchcore, --epochs 2: .* by --set DETECTOR/NAME=VALUE\.$"):
        DetectorChoice(detector=("glass", "patchcore"), epochs=2).configs("fast")
    found, refused = DetectorChoice(detector=("glass", "patchcore"), settings=("glass/epochs=2",)).configs("fast")
    assert found["glass"]["schedule"]["epochs"] == 2
    assert not refused
