from pathlib import Path

import numpy as np
import pytest
from PIL import Image

MTD = Path(__file__).parents[3] / "shared" / "data" / "mtd"


@pytest.fixture(scope="session")
def mtd_folder():
    if not MTD.is_dir():
        pytest.skip("the Magnetic Tile Defects pictures are not in ../shared/data/mtd")
    return MTD


@pytest.fixture(scope="session")
def save():
    """Write a picture; each path gets its own content unless the array is given."""

    def write(path, array=None, size=(6, 8), **options):
        path.parent.mkdir(parents=True, exist_ok=True)
        if array is None:
            seed = np.frombuffer(path.as_posix().encode(), np.uint8)
            array = np.random.default_rng(list(seed)).integers(0, 256, (*size, 3)).astype(np.uint8)
        Image.fromarray(array).save(path, **options)
        return path

    return write


@pytest.fixture(scope="session")
def save_mask():
    def write(path, size=(6, 8), value=255):
        path.parent.mkdir(parents=True, exist_ok=True)
        mask = np.zeros(size, np.uint8)
        mask[1:3, 2:4] = value
        Image.fromarray(mask).save(path)
        return path

    return write


@pytest.fixture
def mvtec_folder(tmp_path, save, save_mask):
    """A small category in MVTec's layout, with masks."""
    root = tmp_path / "nut"
    for number in range(3):
        save(root / "train" / "good" / f"{number:03}.png")
    save(root / "test" / "good" / "000.png")
    for number in range(2):
        save(root / "test" / "dent" / f"{number:03}.png")
        save_mask(root / "ground_truth" / "dent" / f"{number:03}_mask.png")
    return root
