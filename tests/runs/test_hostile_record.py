"""A run.json that says what none of ours says is refused in one sentence, whatever it is, or read as it stands."""

import json
from contextlib import suppress
from dataclasses import replace

import pytest
from odd_values import ODD, WHOLE_FILES, changed, places

from raylab2f.cli.run_cv import run_cv
from raylab2f.detectors.checkpoint import load_detector, save_detector
from raylab2f.detectors.registry import config_from_dict, config_to_dict, detector_class, preset_config
from raylab2f.errors import UserError
from raylab2f.evaluation.comparison.run_scores import read_run
from raylab2f.files.atomic import write_json
from raylab2f.options.declaration import declared
from raylab2f.options.settings_file import read_settings
from raylab2f.runs.folder import DataSettings, RunFolder, RunSettings
from raylab2f.runs.recorded_cache import recorded_cache

OPTIONS = declared(run_cv)
SHAPES = {"csflow": [(8, 4, 4), (8, 2, 2), (8, 1, 1)], "glass": [(8, 4, 4)]}


def record(detector):
    settings = RunSettings(
        data=DataSettings("/parts.csv", conditions=None),
        detector=detector,
        preset="fast",
        config=config_to_dict(preset_config(detector, "fast")),
        evaluation={"strategies": ["youden"], "replicates": 100, "mute": ["RL1"]},
    )
    dataset = {"name": "parts", "pictures": 4, "fingerprint": "abc", "train_on": {"train_on": "good-objects"}}
    return {"settings": settings.to_dict(), "dataset": dataset, "partitions": [], "cache": "/nowhere", "versions": {}}


def looks(place):
    """Every way in which a command looks into another run's record."""
    folder = RunFolder(str(place))
    yield lambda: config_from_dict(folder.settings().detector, folder.settings().config)
    yield lambda: folder.check_continues(folder.settings())
    yield lambda: folder.check_pictures("abc")
    yield lambda: recorded_cache(str(place))
    yield lambda: read_settings(str(place / "run.json"), OPTIONS)
    yield lambda: read_run(place)


def refusals(place):
    """What is said by those looks that refuse it; any other error would end the test."""
    found = [said for said in map(refusal, looks(place)) if said is not None]
    assert not [said for said in found if "\n" in said or len(said) > 1000]
    return found


def refusal(look):
    try:
        look()
    except UserError as error:
        return str(error)
    return None


def test_any_value_of_a_record_may_be_odd(tmp_path, write_run):
    write_run(tmp_path, folds=1)
    sound = record("csflow")
    write_json(tmp_path / "run.json", sound)
    assert refusals(tmp_path) == []
    for path in places(sound):
        # Half of them, for there are many places.
        for odd in ODD[::2]:
            (tmp_path / "run.json").write_text(changed(sound, path, odd), encoding="utf-8")
            refusals(tmp_path)


@pytest.mark.parametrize(
    ("path", "odd"),
    [
        (("settings", "folds"), 10**12),
        (("settings", "seed"), -1),
        (("settings", "train_fraction"), 0),
        (("settings", "split_by"), "batch"),
        (("settings", "evaluation"), {"strategies": ["youden"], "surprise": 1}),
        (("settings", "config", "size"), [10**6, 10**6]),
        (("settings", "config", "learning_rate"), "fast"),
        (("settings", "config", "schedule", "epochs"), "many"),
        (("settings", "preparation", "train_angles"), "all"),
        (("settings", "data", "pixel_limit"), None),
    ],
)
def test_what_would_break_later_is_refused_at_once(tmp_path, path, odd):
    (tmp_path / "run.json").write_text(changed(record("csflow"), path, odd), encoding="utf-8")
    folder = RunFolder(str(tmp_path))
    with pytest.raises(UserError, match=path[-1]):
        config_from_dict(folder.settings().detector, folder.settings().config)


@pytest.mark.parametrize("odd", WHOLE_FILES)
def test_a_record_that_is_none(tmp_path, odd):
    WHOLE_FILES[odd](tmp_path / "run.json")
    assert len(refusals(tmp_path)) >= 4


@pytest.mark.parametrize("detector", SHAPES)
def test_any_value_of_a_models_description_may_be_odd(tmp_path, detector):
    # Seeds are the one number that is large in sound descriptions too.
    config = replace(preset_config(detector, "fast"), init_seed=2**62)
    save_detector(tmp_path, detector_class(detector)(config, SHAPES[detector]), SHAPES[detector])
    assert load_detector(tmp_path).config == config
    sound = json.loads((tmp_path / "model.json").read_text(encoding="utf-8"))
    for path in places(sound):
        for odd in ODD:
            (tmp_path / "model.json").write_text(changed(sound, path, odd), encoding="utf-8")
            with suppress(UserError):
                assert load_detector(tmp_path).name in SHAPES


def test_numbers_of_a_record_are_of_its_types(tmp_path):
    """True is no number, and a whole number is one where a fraction is wanted."""
    values = record("csflow")
    for odd, fits in ((1, True), (True, False), ("1", False)):
        values["settings"]["train_fraction"] = odd
        (tmp_path / "run.json").write_text(json.dumps(values), encoding="utf-8")
        if fits:
            assert RunFolder(str(tmp_path)).settings().train_fraction == odd
        else:
            with pytest.raises(UserError, match="train_fraction"):
                RunFolder(str(tmp_path)).settings()
