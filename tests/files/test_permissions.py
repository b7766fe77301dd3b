"""Whoever writes a file, it has the mode that the user's umask says, and what is in a group's folder is the group's."""

import os
import stat
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from safetensors.torch import save_file

from raylab2f.datasets.archives import extract_archive
from raylab2f.datasets.demo import DemoConfig, demo_dataset
from raylab2f.files.atomic import atomic_path, write_json, write_parquet
from raylab2f.files.locks import folder_in_use
from raylab2f.files.permissions import make_folders
from raylab2f.reporting.log_file import LogFile, now

SHARED = 0o2775


@pytest.fixture(params=[0o022, 0o002, 0o077, 0o027], ids=oct)
def umask(request):
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


@pytest.fixture
def shared(tmp_path):
    folder = tmp_path / "cache"
    folder.mkdir()
    folder.chmod(SHARED)
    return folder


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def by_safetensors(path):
    save_file({"x": torch.zeros(2)}, path)


def by_numpy(path):
    with path.open("wb") as file:
        np.save(file, np.zeros(2))


def by_tempfile(path):
    """As libraries write that rename a private file of their own."""
    descriptor, name = tempfile.mkstemp(dir=path.parent)
    os.close(descriptor)
    Path(name).replace(path)


WRITERS = [by_safetensors, by_numpy, by_tempfile, lambda path: path.write_text("x")]


def write_all(folder):
    for number, writer in enumerate(WRITERS):
        with atomic_path(folder / "new" / f"{number}") as temporary:
            writer(temporary)
    write_json(folder / "new" / "x.json", {})
    write_parquet(folder / "new" / "x.parquet", pa.table({"a": [1]}))
    LogFile(folder / "new" / "log.txt").write([(now(), "hello")])
    return sorted((folder / "new").iterdir())


def test_all_files_have_the_mode_of_the_umask(tmp_path, umask):
    files = write_all(tmp_path)
    assert len(files) == len(WRITERS) + 3
    assert {mode(path) for path in files} == {0o666 & ~umask}
    assert mode(tmp_path / "new") == 0o777 & ~umask


def test_all_files_in_a_groups_folder_are_the_groups_whatever_the_umask(shared, umask):
    assert {mode(path) for path in write_all(shared)} == {0o666 & ~umask | 0o060}
    assert mode(shared / "new") == 0o2770 | (0o777 & ~umask)


def test_folders_within_folders_stay_the_groups(shared, umask):
    make_folders(shared / "a" / "b" / "c")
    make_folders(shared / "a" / "b" / "c")
    for name in ("a", "a/b", "a/b/c"):
        assert mode(shared / name) & 0o2070 == 0o2070
    assert [path.name for path in shared.iterdir()] == ["a"]


def test_a_groups_folder_is_the_groups_when_it_appears(shared, umask, monkeypatch):
    """Else another member could not write there for a moment."""
    chmod, seen = Path.chmod, []

    def look(path, mode):
        seen.append((shared / "new").exists())
        chmod(path, mode)

    monkeypatch.setattr(Path, "chmod", look)
    make_folders(shared / "new")
    assert seen == [False]


def test_a_folder_that_others_filled_meanwhile_stays(shared, monkeypatch):
    """Somebody is quicker between a look and the making."""
    isdir = os.path.isdir
    monkeypatch.setattr(os.path, "isdir", lambda path: Path(path).name not in {"a", "b"} and isdir(path))
    (shared / "a").mkdir()
    (shared / "a" / "theirs").touch()
    make_folders(shared / "a" / "b")
    assert sorted(path.name for path in (shared / "a").iterdir()) == ["b", "theirs"]


def test_a_file_in_the_way_is_an_error_and_nothing_is_left(shared):
    (shared / "a").touch()
    with pytest.raises(OSError, match="a"):
        make_folders(shared / "a" / "b")
    assert [path.name for path in shared.iterdir()] == ["a"]


def test_what_is_unpacked_or_rendered_is_the_groups_too(shared, umask):
    archive = shared.parent / "x.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("deep/er/a.png", b"x")
    extract_archive(archive, shared / "unpacked")
    demo_dataset(DemoConfig(picture_size=64, nominal_objects=1, anomalous_objects=1, views=1), shared, workers=1)
    made = [path for path in shared.rglob("*") if path != shared]
    assert any(path.suffix == ".png" and "demo" in path.parts for path in made)
    for path in made:
        wanted = 0o2070 if path.is_dir() else 0o060
        assert mode(path) & wanted == wanted, path


def test_a_lock_can_be_taken_by_whoever_may_make_files_beside_it(shared, umask):
    with folder_in_use(shared / "run"):
        (lock,) = (shared / "run").iterdir()
        assert mode(lock) & 0o060 == 0o060
        assert mode(lock) & 0o002 == 0
