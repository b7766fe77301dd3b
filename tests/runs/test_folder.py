"""Whose folder is it, and may a run go on there?"""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from raylab2f.errors import UserError
from raylab2f.runs.folder import DataSettings, RunFolder, RunSettings

SETTINGS = RunSettings(data=DataSettings("/parts.csv"), detector="csflow", preset="fast", config={}, folds=3)
DATASET = {"name": "parts", "pictures": 20, "fingerprint": "abc"}


@pytest.fixture
def folder(tmp_path):
    """A run that was begun."""
    run = RunFolder(str(tmp_path / "run"))
    run.begin(SETTINGS, DATASET, [])
    return run


def test_a_run_begins_in_an_empty_folder_or_none(tmp_path):
    (tmp_path / ".hidden").touch()
    for place in (tmp_path, tmp_path / "new"):
        for resume in (False, True):
            assert not RunFolder(str(place)).begins_or_continues(SETTINGS, resume=resume)


def test_no_run_begins_among_other_files(tmp_path):
    (tmp_path / "manifest.parquet").touch()
    for resume in (False, True):
        with pytest.raises(UserError, match=r"holds no run, but manifest\.parquet"):
            RunFolder(str(tmp_path)).begins_or_continues(SETTINGS, resume=resume)


def test_a_run_goes_on_only_if_asked_with_the_same_settings_and_no_fewer_folds(folder):
    with pytest.raises(UserError, match="add --resume"):
        folder.begins_or_continues(SETTINGS, resume=False)
    for settings in (SETTINGS, replace(SETTINGS, folds=5), replace(SETTINGS, evaluation={"beta": 1.0})):
        assert folder.begins_or_continues(settings, resume=True)
    with pytest.raises(UserError, match="--folds 3"):
        folder.begins_or_continues(replace(SETTINGS, folds=2), resume=True)
    with pytest.raises(UserError, match=r"\(--seed 0 then, 1 now\)"):
        folder.begins_or_continues(replace(SETTINGS, seed=1), resume=True)


def test_a_run_begun_before_a_setting_existed_goes_on_with_its_default(folder):
    record = json.loads((folder.path / "run.json").read_text(encoding="utf-8"))
    del record["settings"]["train_on"]
    (folder.path / "run.json").write_text(json.dumps(record), encoding="utf-8")
    assert folder.settings() == SETTINGS
    assert folder.begins_or_continues(SETTINGS, resume=True)
    with pytest.raises(UserError, match=r"--train-on auto then, good-pictures now"):
        folder.begins_or_continues(replace(SETTINGS, train_on="good-pictures"), resume=True)


def test_a_run_does_not_go_on_with_other_pictures(folder, tmp_path):
    folder.check_pictures("abc")
    RunFolder(str(tmp_path / "none yet")).check_pictures("abd")
    before = (folder.path / "run.json").read_bytes()
    with pytest.raises(UserError, match=r"other pictures \(parts, 20 pictures\)"):
        folder.check_pictures("abd")
    assert (folder.path / "run.json").read_bytes() == before


def test_one_command_at_a_time_works_in_a_folder(folder):
    other = RunFolder(folder.place)
    with folder.in_use(), pytest.raises(UserError, match="another command works there"), other.in_use():
        pass
    with other.in_use():
        pass


def test_what_a_killed_command_left_half_written_goes(folder):
    half = folder.fold(0) / ".maps.parquet.4711.0badcafe.tmp"
    half.parent.mkdir(parents=True)
    half.touch()
    (folder.fold(0) / "notes.tmp").touch()
    with folder.in_use():
        assert [path.name for path in folder.fold(0).iterdir()] == ["notes.tmp"]


@pytest.mark.parametrize("name", ["file", "file/run"])
def test_a_folder_that_cannot_be_made_is_named(tmp_path, name):
    Path(tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"file.* cannot be written"), RunFolder(str(tmp_path / name)).in_use():
        pass


def test_settings_from_before_there_were_conditions_go_on():
    recorded = SETTINGS.to_dict()
    del recorded["data"]["conditions"]
    assert RunSettings.from_dict(recorded) == SETTINGS
