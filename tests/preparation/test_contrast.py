import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest

from raylab2f.datasets.demo import DemoConfig, demo_dataset
from raylab2f.datasets.pictures import read_mask, read_picture
from raylab2f.preparation.contrast import segment_by_contrast
from raylab2f.preparation.segmentation import NothingDetectedError


def overlap(one, other):
    return (one & other).sum() / (one | other).sum()


def scene(light, dark, *, height=200, width=260):
    """A ring with a hole of 60 pixels, blurred a little and noisy, and its mask."""
    mask = np.zeros((height, width), np.uint8)
    cv2.circle(mask, (120, 100), 70, 1, -1)
    cv2.circle(mask, (120, 100), 30, 0, -1)
    picture = np.where(mask[..., None], light, dark).repeat(3, axis=2).astype(np.float32)
    picture = cv2.GaussianBlur(picture, (0, 0), 1.0)
    picture += np.random.default_rng(0).normal(0, 3, picture.shape)
    return picture.clip(0, 255).astype(np.uint8), mask > 0


@pytest.mark.parametrize(("light", "dark"), [(180, 50), (40, 200)])
def test_an_object_lighter_or_darker_than_the_background_and_its_hole(light, dark):
    picture, mask = scene(light, dark)
    found = segment_by_contrast(picture)
    assert overlap(found.mask, mask) > 0.96
    assert not found.mask[100, 120]
    assert found.note is None


def test_large_pictures_keep_their_size():
    picture, mask = scene(180, 50)
    large = cv2.resize(picture, (1300, 1000), interpolation=cv2.INTER_CUBIC)
    found = segment_by_contrast(large)
    assert found.mask.shape == (1000, 1300)
    wanted = cv2.resize(mask.astype(np.uint8), (1300, 1000), interpolation=cv2.INTER_NEAREST) > 0
    assert overlap(found.mask, wanted) > 0.94


def test_demo_parts_are_found(tmp_path):
    config = DemoConfig(nominal_objects=3, anomalous_objects=3, views=2, seed=5)
    folder = demo_dataset(config, tmp_path, workers=1)
    rows = pq.read_table(folder / "manifest.parquet").to_pylist()
    found = [segment_by_contrast(read_picture(folder / row["path"])).mask for row in rows]
    overlaps = [
        overlap(mask, read_mask(folder / row["foreground_path"])) for mask, row in zip(found, rows, strict=True)
    ]
    assert np.mean(overlaps) >= 0.95
    assert min(overlaps) >= 0.9


def test_the_largest_of_several_objects_and_a_note():
    picture = np.full((200, 300, 3), 30, np.uint8)
    cv2.circle(picture, (80, 100), 45, (200, 200, 200), -1)
    cv2.circle(picture, (220, 100), 38, (200, 200, 200), -1)
    found = segment_by_contrast(picture)
    assert found.mask[100, 80]
    assert not found.mask[100, 220]
    assert "2 objects of similar size" in found.note


def test_a_surface_without_background_fills_the_picture():
    generator = np.random.default_rng(0)
    shade = np.linspace(60, 160, 240)[None, :, None] + generator.normal(0, 10, (180, 240, 3))
    found = segment_by_contrast(shade.clip(0, 255).astype(np.uint8))
    assert found.mask.all()
    assert "fill the picture" in found.note


@pytest.mark.parametrize("size", [(1, 1), (2, 300), (120, 160)])
def test_a_picture_of_one_lightness_shows_nothing(size):
    with pytest.raises(NothingDetectedError, match="one lightness"):
        segment_by_contrast(np.full((*size, 3), 120, np.uint8))


def test_a_speck_is_no_object():
    picture = np.full((250, 250, 3), 100, np.uint8)
    picture[100:109, 100:109] = 255
    with pytest.raises(NothingDetectedError, match="tiny"):
        segment_by_contrast(picture)
