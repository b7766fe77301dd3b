import numpy as np
import pyarrow as pa
import pytest

from raylab2f.preparation import (
    PictureShards,
    Preparation,
    PreparationSettings,
    finish_shards,
    prepare,
    with_copies,
    write_shard,
)
from raylab2f.preparation.lost_defects import lost_defects_note
from raylab2f.preparation.shards import shard_path

# Name, label, view, whether there is a mask file, and the mask's box.
PICTURES = [
    ("good", 0, "0", False, None),
    ("corner", 1, "0", True, (2, 2)),
    ("other corner", 1, "60", True, (55, 55)),
    ("middle", 1, "0", True, (28, 28)),
    ("empty", 1, "0", True, None),
    ("unknown", 1, "0", False, None),
]


@pytest.fixture
def note(tmp_path):
    """note(settings) -> the note on six pictures of 64 x 64 pixels, prepared as the settings ask."""

    def make(settings):
        rows = [
            {"image_id": name, "label": label, "view": view, "mask_path": "mask.png" if has_mask else None}
            for name, label, view, has_mask, _ in PICTURES
        ]
        pictures = with_copies(pa.Table.from_pylist(rows), settings.angles)
        prepared = []
        for row in pictures.to_pylist():
            [box] = [box for name, *_, box in PICTURES if name == row["source_id"]]
            defect = np.zeros((64, 64), bool)
            if box is not None:
                defect[box[0] : box[0] + 6, box[1] : box[1] + 6] = True
            picture = np.zeros((64, 64, 3), np.uint8)
            prepared.append(prepare(picture, Preparation((64, 64)), defect=defect, angle=row["rotation"]))
        arrays = [np.stack([getattr(one, name) for one in prepared]) for name in ("picture", "foreground", "defect")]
        write_shard(shard_path(tmp_path, 0), pictures["image_id"].to_pylist(), *arrays)
        finish_shards(tmp_path, pictures["image_id"].to_pylist(), False, {})
        return lost_defects_note(pictures, PictureShards.open(tmp_path), settings)

    return make


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, None),
        ({"eval_angles": (0, 90, 180, -90)}, None),
        # Copies that only train are nominal.
        ({"train_angles": (0, 45)}, None),
        ({"eval_angles": (0, 45)}, "2 of 4 turned copies"),
        ({"eval_angles": (0, 45, -45)}, "4 of 8 turned copies"),
        ({"eval_angles": (0, 45), "keep_views": "60"}, "1 of 1 turned copies"),
        ({"eval_angles": (0, 45), "keep_views": "60", "keep_views_for": "training"}, "2 of 4 turned copies"),
    ],
)
def test_judged_copies_that_lost_their_defect_are_counted(note, settings, words):
    said = note(PreparationSettings(**settings))
    assert said is None if words is None else said.startswith(words)
