"""What may not be looked at is named, whatever the layout."""

import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest

from raylab2f.datasets import load_dataset
from raylab2f.errors import UserError

NOBODY = 65_534


@contextmanager
def without_rights():
    """Root may read everything, so it is somebody else meanwhile."""
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if is_root:
            os.seteuid(0)


@pytest.fixture
def folder():
    made = Path(tempfile.mkdtemp(dir="/tmp"))
    made.chmod(0o755)
    yield made
    for path in (made, *made.rglob("*")):
        if path.is_dir():
            path.chmod(0o755)
    shutil.rmtree(made)


@pytest.fixture
def category(folder, save):
    for number in range(2):
        for kind in ("train/good", "test/dent", "test/cut", "ground_truth/dent"):
            save(folder / kind / f"{number}.png")
    return folder


@pytest.mark.parametrize("locked", ["test/cut", "ground_truth", "train/good", "test"])
def test_a_locked_folder_of_a_layout_is_named(category, locked):
    (category / locked).chmod(0)
    with without_rights(), pytest.raises(UserError) as error:
        load_dataset(category)
    assert f"{locked}: the folder cannot be opened (Permission denied)" in str(error.value)


def test_one_can_go_on_without_it(category):
    (category / "test" / "cut").chmod(0)
    with without_rights():
        dataset = load_dataset(category, skip_unreadable=True)
    assert [name for name, _ in dataset.skipped] == ["test/cut"]
    assert dataset.manifest.num_rows == 4


@pytest.mark.parametrize("options", [{}, {"nominal": ["good"], "anomalous": ["bad"]}, {"layout": "btad"}])
def test_the_folder_itself_cannot_be_opened(folder, save, options):
    save(folder / "set" / "good" / "a.png")
    (folder / "set").chmod(0)
    with without_rights(), pytest.raises(UserError, match=r"set: the folder cannot be opened \(Permission denied\)"):
        load_dataset(folder / "set", **options)
    with without_rights(), pytest.raises(UserError, match=r"m\.csv: cannot be looked at \(permission denied\)"):
        load_dataset(folder / "set" / "m.csv")


def test_a_locked_folder_where_no_layout_is_recognised(folder, save):
    for kind in ("good", "bad"):
        save(folder / kind / "a.png")
    (folder / "good").chmod(0)
    with (
        without_rights(),
        pytest.raises(UserError, match=r"no known layout recognised; name the folders .*there is bad"),
    ):
        load_dataset(folder)
    with without_rights(), pytest.raises(UserError, match=r"good: the folder cannot be opened \(Permission denied\)"):
        load_dataset(folder, nominal=["good"], anomalous=["bad"])
