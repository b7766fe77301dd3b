"""Folders of textures, good and bad, and the default ones."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage

from raylab2f.detectors.glass.textures import Textures
from raylab2f.errors import UserError


def write(path, shape=(30, 40, 3), value=200):
    path.parent.mkdir(parents=True, exist_ok=True)
    ok, data = cv2.imencode(path.suffix, np.full(shape, value, np.uint8))
    assert ok
    path.write_bytes(data.tobytes())


def test_the_default_ones_are_photographs_of_an_installed_package():
    textures = Textures(None, (24, 32))
    assert len(textures) == 15
    for index in range(len(textures)):
        assert textures.load(index).shape == (24, 32, 3)
        assert textures.load(index).std() > 5


def test_default_ones_that_are_missing_are_named(tmp_path, monkeypatch):
    installed = Path(skimage.__file__).parent / "data"
    (tmp_path / "data").mkdir()
    for path in installed.iterdir():
        if path.is_file() and path.name != "gravel.png":
            (tmp_path / "data" / path.name).symlink_to(path)
    monkeypatch.setattr(skimage, "__file__", str(tmp_path / "__init__.py"))
    with pytest.raises(UserError, match=r"without gravel\.png.*--set textures=FOLDER"):
        Textures(None, (24, 32))


def test_pictures_are_found_in_sub_folders_in_a_fixed_order(tmp_path):
    for name in ("images/striped/b ü.jpg", "images/dotted/a.png", "c.JPG"):
        write(tmp_path / name)
    (tmp_path / "notes.txt").write_text("not a picture")
    textures = Textures(str(tmp_path), (8, 8))
    assert [path.name for path in textures.paths] == ["c.JPG", "a.png", "b ü.jpg"]


@pytest.mark.parametrize("shape", [(30, 40), (30, 40, 4), (7, 5, 3), (300, 20, 3)])
@pytest.mark.parametrize("size", [(16, 16), (16, 48), (50, 10)])
def test_any_picture_covers_the_size(tmp_path, shape, size):
    write(tmp_path / "x.png", shape)
    loaded = Textures(str(tmp_path), size).load(0)
    assert loaded.shape == (*size, 3)
    assert (loaded == 200).all()


def test_the_aspect_is_kept_and_the_middle_shown(tmp_path):
    picture = np.zeros((20, 60, 3), np.uint8)
    picture[:, 20:40] = 255
    cv2.imwrite(str(tmp_path / "x.png"), picture)
    assert (Textures(str(tmp_path), (20, 20)).load(0) == 255).all()


def test_red_stays_red(tmp_path):
    cv2.imwrite(str(tmp_path / "x.png"), np.full((9, 9, 3), (0, 0, 255), np.uint8))
    assert Textures(str(tmp_path), (4, 4)).load(0)[0, 0].tolist() == [255, 0, 0]


def test_a_folder_that_is_absent_or_empty_is_named(tmp_path):
    for folder in (tmp_path / "absent", tmp_path):
        with pytest.raises(UserError, match="textures") as error:
            Textures(str(folder), (8, 8))
        assert str(folder) in str(error.value)


def test_a_file_that_is_no_picture_is_named(tmp_path):
    (tmp_path / "broken.png").write_bytes(b"no picture")
    with pytest.raises(UserError, match=r"broken\.png"):
        Textures(str(tmp_path), (8, 8)).load(0)
