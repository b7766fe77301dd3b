"""What lies where a file of JSON should is read as one, or named in a sentence."""

import os
from pathlib import Path

import pytest

from raylab2f.errors import UserError
from raylab2f.files.strangers import read_json


@pytest.mark.parametrize(
    "make",
    [os.mkdir, os.mkfifo, lambda path: path.symlink_to("/dev/zero"), lambda path: path.symlink_to(path)],
    ids=["folder", "pipe", "device", "link to itself"],
)
def test_what_is_no_file_is_named(tmp_path, make):
    path = tmp_path / "run.json"
    make(path)
    before = _open_files()
    with pytest.raises(UserError) as caught:
        read_json(path)
    assert str(caught.value).startswith(f"{path} ")
    assert _open_files() == before


def _open_files():
    return len(list(Path("/proc/self/fd").iterdir()))
