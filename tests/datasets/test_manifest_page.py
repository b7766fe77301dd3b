"""The page on manifests says what the reader does."""

import csv
import io
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from raylab2f.datasets import load_dataset
from raylab2f.datasets.layouts import table
from raylab2f.errors import UserError
from raylab2f.files.cells import LABEL_WORDS

PAGE = (Path(__file__).parents[2] / "docs" / "manifests.md").read_text(encoding="utf-8")
EXAMPLE = re.search(r'^```csv title="parts.csv"\n(.*?)^```', PAGE, re.MULTILINE | re.DOTALL)[1]
COLUMNS = re.findall(r"^\| (`[a-z0-9_`, ]+) \| (?:yes)? ?\|", PAGE, re.MULTILINE)


def rows():
    return list(csv.DictReader(io.StringIO(EXAMPLE)))


@pytest.fixture
def folder(tmp_path):
    """A folder with the example's files; returns a function that writes rows as its manifest."""
    for place, row in enumerate(rows()):
        for name in filter(None, (row["path"], row["mask_path"])):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            values = np.random.default_rng(place).integers(0, 256, (16, 16, 3)).astype(np.uint8)
            if name == row["mask_path"]:
                values = np.zeros((16, 16), np.uint8)
                values[4:8, 4:8] = 255
            Image.fromarray(values).save(tmp_path / name)

    def write(rows):
        with (tmp_path / "parts.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)
        return tmp_path / "parts.csv"

    return write


def test_the_example_is_read_as_it_stands(folder):
    manifest = load_dataset(folder(rows())).manifest
    found = {row["image_id"]: row for row in manifest.to_pylist()}
    assert {row["object_id"] for row in found.values()} == {"0001", "0002"}
    assert {row["condition"] for row in found.values()} == {"day", "night"}
    defect = found["pictures/0002_left.png"]
    assert (defect["label"], defect["defect_type"], defect["view"]) == (1, "scratch", "left")
    assert defect["mask_path"].endswith("masks/0002_left.png")


def test_the_page_lists_the_columns_that_are_read():
    listed = {name for cell in COLUMNS for name in re.findall(r"`([a-z0-9_]+)`", cell)}
    assert listed == set(table._COLUMNS)


def test_the_page_lists_the_labels_that_are_read():
    line = next(line for line in PAGE.splitlines() if line.startswith("| `label`"))
    nominal, anomalous = line.split("|")[3].split(";")[:2]
    assert tuple(re.findall(r"`(\w+)`", nominal)) == LABEL_WORDS[False]
    assert tuple(re.findall(r"`(\w+)`", anomalous)) == LABEL_WORDS[True]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"label": "perhaps"}, "row 3 .*label perhaps"),
        ({"object_id": ""}, "row 3 .*no object_id"),
        ({"path": "pictures/0001_left.png"}, "0001_left"),
        ({"path": "pictures/none.png"}, "none.png"),
        ({"sha256": "0" * 64}, "0002_left"),
        ({"mask_path": "small.png"}, "0002_left.*"),
    ],
    ids=lambda change: next(iter(change)) if isinstance(change, dict) else "",
)
def test_what_cannot_be_used_is_named(folder, change, sentence, tmp_path):
    Image.fromarray(np.full((8, 9), 255, np.uint8)).save(tmp_path / "small.png")
    changed = [{**row, **dict.fromkeys(change, row.get(next(iter(change)), ""))} for row in rows()]
    changed[2] |= change
    with pytest.raises(UserError, match=sentence):
        load_dataset(folder(changed))


def test_a_column_that_is_nearly_a_known_one_is_told_and_not_read(folder):
    changed = [{("objct_id" if name == "object_id" else name): cell for name, cell in row.items()} for row in rows()]
    dataset = load_dataset(folder(changed))
    assert [w.code for w in dataset.warnings if "objct_id" in w] == ["RL218"]
    assert len(set(dataset.manifest["object_id"].to_pylist())) == 4
