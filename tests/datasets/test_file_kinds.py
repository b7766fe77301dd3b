"""Files that tell classes apart: formats, qualities and sizes that go with the label or the given split."""

import numpy as np
import pytest
from PIL import Image

from raylab2f.datasets.decoding import kind_of_file
from raylab2f.datasets.entries import Entry
from raylab2f.datasets.file_warnings import file_warnings
from raylab2f.datasets.probing import probe_entries


@pytest.fixture
def write(tmp_path):
    rng = np.random.default_rng(0)

    def write(name, size=(24, 16), **options):
        path = tmp_path / name
        Image.fromarray(rng.integers(255, size=(*size, 3), dtype=np.uint8)).save(path, **options)
        return path

    return write


@pytest.mark.parametrize("quality", [5, 30, 50, 75, 85, 95, 100])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_the_quality_of_a_jpeg_is_read_back(write, quality, mode):
    path = write("x.png")
    Image.open(path).convert(mode).save(path.with_suffix(".jpg"), quality=quality)
    with Image.open(path.with_suffix(".jpg")) as image:
        assert kind_of_file(image) == f"JPEG of quality {quality}"
    with Image.open(path) as image:
        assert kind_of_file(image) == "PNG"


def warnings_of(entries):
    return [str(found) for found in file_warnings(probe_entries(entries, 10**6)) if found.code == "RL221"]


def entries(write, defective, good_test, good_train=None, count=6):
    """Pictures of three kinds, each (suffix, options of `write`)."""
    made = []
    for name, label, split, (suffix, options) in (
        ("d", 1, "test", defective),
        ("t", 0, "test", good_test),
        ("g", 0, "train", good_train or good_test),
    ):
        for number in range(count):
            path = write(f"{name}{number}{suffix}", **options)
            made.append(Entry(path.name, str(path), label, "dent" if label else "good", split))
    return made


PNG, JPEG, COARSE = (".png", {}), (".jpg", {"quality": 95}), (".jpg", {"quality": 80})


@pytest.mark.parametrize(
    ("defective", "good_test", "good_train", "said"),
    [
        (JPEG, JPEG, JPEG, None),
        (COARSE, JPEG, JPEG, "Defective and good pictures differ in their files (JPEG of quality 80, against JPEG of"),
        (JPEG, PNG, PNG, "Defective and good pictures differ in their files (JPEG of quality 95, against PNG), which"),
        (
            COARSE,
            COARSE,
            JPEG,
            "Good pictures given for test and for training differ in their files (JPEG of quality 8",
        ),
        ((".png", {"size": (24, 18)}), PNG, PNG, "Defective and good pictures differ in size (18 x 24 pixels, against"),
    ],
)
def test_what_tells_classes_or_splits_apart_is_said_once(write, defective, good_test, good_train, said):
    found = warnings_of(entries(write, defective, good_test, good_train))
    if said is None:
        assert found == []
    else:
        (sentence,) = found
        assert sentence.startswith(said)


def test_a_few_pictures_and_mixed_kinds_are_no_sign(write):
    assert warnings_of(entries(write, COARSE, JPEG, JPEG, count=2)) == []
    mixed = entries(write, JPEG, JPEG) + entries(write, COARSE, COARSE)
    assert warnings_of(mixed) == []


def test_a_size_for_every_picture_is_no_rule(write):
    made = []
    for number in range(20):
        path = write(f"{number}.png", size=(20 + number, 16))
        made.append(Entry(path.name, str(path), number % 2, "good" if number % 2 == 0 else "dent", "test"))
    assert warnings_of(made) == []


def test_sizes_of_their_own_against_one_size_are_a_rule(write):
    made = []
    for number in range(24):
        path = write(f"{number}.png", size=(20, 16) if number < 12 else (20 + number, 16))
        made.append(Entry(path.name, str(path), int(number < 12), "dent" if number < 12 else "good", "test"))
    [sentence] = warnings_of(made)
    assert sentence.startswith("Defective and good pictures differ in size (16 x 20 pixels, against")


def test_a_size_for_every_part_says_which_part_it_is_not_what_is_wrong_with_it(write):
    made = []
    for number in range(36):
        part = number % 6
        path = write(f"{number}.png", size=(20 + part, 16))
        made.append(Entry(path.name, str(path), part % 2, "dent" if part % 2 else "good", "test", f"part{part}"))
    assert warnings_of(made) == []


def test_a_test_side_saved_differently_is_no_matter_of_classes_however_few_its_good_pictures_are(write):
    made = entries(write, COARSE, COARSE, JPEG)
    for number in range(60):
        path = write(f"more{number}.jpg", quality=95)
        made.append(Entry(path.name, str(path), 0, "good", "train"))
    [sentence] = warnings_of(made)
    assert sentence.startswith("Good pictures given for test and for training differ in their files")
    assert "--merge-nominal-test no" in sentence
